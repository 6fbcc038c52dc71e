-- The provider that the environment names: USE_GEMINI and GEMINI_MODEL_NAME. No model provider is built in yet, so pictures
-- without a caption beside them are told plainly who could caption them.
local script = require "native.script"

local M = {
  name = "auto", version = 1, author = "model",
  doc = "Whoever the environment names (USE_GEMINI); captions found beside the pictures are used first.",
  example = "photos:caption { with = auto {} }",
}

--- The provider's name, or nil and the sentence to say.
---@return string?, string?
function M.choose()
  local wanted = script.env "USE_GEMINI"
  if wanted and wanted ~= "" and wanted ~= "0" and wanted:lower() ~= "false" then
    return nil, "USE_GEMINI asks for gemini, which this version does not have"
  end
  return nil, "auto {} found no caption model that this version could use"
end

--- The provider that stands for auto {}, as a recipe would have written it; nil and the sentence to say.
---@return table?, string?
function M.resolve() return M.choose() end

M.HINT = 'name a provider: with = template { text = "a photo of {stem}" }, with = sidecar {}, or with = fake {} to try'

return M
