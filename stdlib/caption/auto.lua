-- The provider that the environment names. What says it, the first that does: USE_GEMINI, OPENAI_BASE_URL, HF_BASE_URL, GEMINI_MODEL_NAME or a
-- key for Gemini. USE_GEMINI=0 rules Gemini out. A token for Hugging Face alone says nothing: it is there for downloads too.
local remote = require "caption.remote"
local services = require "caption.services"

local M = {
  name = "auto", version = 1, author = "model",
  doc = "Whoever the environment or .env names: gemini with USE_GEMINI=1 (GEMINI_MODEL_NAME is its model), openai with OPENAI_BASE_URL, huggingface with "
    .. "HF_BASE_URL, gemini with a key alone. `check` and `plan` say who that is; captions found beside the pictures are used first.",
  example = "photos:caption { with = auto {} }",
  options = remote.options(remote.shared, remote.pace),
}
for _, option in ipairs(M.options) do option.default = nil end -- those of the provider hold

local function off(value) return value == "0" or value:lower() == "false" or value:lower() == "no" end

--- The provider's name and which variable says so; or nil and the sentence to say.
---@return string?, string
function M.choose()
  local function set(name)
    local value = services.setting(name)
    return value and value ~= "" and value or nil
  end
  local wanted = set "USE_GEMINI"
  local no_gemini = wanted and off(wanted)
  if wanted and not no_gemini then return "gemini", "USE_GEMINI" end
  for _, name in ipairs { "openai", "huggingface" } do
    local variable = services.list[name].variable
    if set(variable) then return name, variable end
  end
  if not no_gemini then
    if set "GEMINI_MODEL_NAME" then return "gemini", "GEMINI_MODEL_NAME" end
    local key = services.has_key(services.list.gemini.keys)
    if key then return "gemini", key end
  end
  local wrong, right = services.misspelt { "GEMINI_API_KEY", "USE_GEMINI", "OPENAI_BASE_URL", "HF_BASE_URL", "GEMINI_MODEL_NAME" }
  return nil, "auto {} found no caption model: " .. (wrong and (".env has %s; did you mean %s?"):format(wrong, right)
    or "neither the environment nor .env names one")
end

--- The provider that stands for auto {}, as a recipe would have written it, and a sentence about it; nil and the sentence to say.
---@return table?, string
function M.resolve(options)
  local name, why = M.choose()
  if not name then return nil, why end
  local provider, given = require("recipe.providers").by_name[name], {}
  for _, option in ipairs(provider.options) do
    given[option[1]] = options[option[1]] == nil and option.default or options[option[1]]
  end
  return { provider = name, version = provider.version, options = given }, ("auto {} is %s {} here: %s says so"):format(name, why)
end

M.HINT = 'name a provider: with = blip {} (a model on this machine, without a key), with = template { text = "a photo of {stem}" }, with = sidecar {}, '
  .. "or with = fake {} to try; or put a key into .env: GEMINI_API_KEY=..."

return M
