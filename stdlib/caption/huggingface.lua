-- Captions by Hugging Face: models behind its router, which are chatted with, or an endpoint of your own that turns pictures into text (BLIP).
local remote = require "caption.remote"
local services = require "caption.services"

-- An endpoint that only captions takes no words.
local WORDS = { "model", "style", "focus", "language", "tag_language", "instructions" }

local M = remote.provider {
  name = "huggingface",
  doc = "Hugging Face. With HF_BASE_URL=https://... in .env: an inference endpoint of your own that captions by itself (BLIP, BLIP-2); it is "
    .. "waited for while it loads. Without it: a model that is chatted with through the router; `model` names it. Needs HF_TOKEN=... in .env. "
    .. "The pictures are sent there.",
  example = 'photos:caption { with = huggingface { model = "Qwen/Qwen2.5-VL-7B-Instruct" }, trigger = "zkr" }',
  options = remote.options(remote.shared, {
    { "task", "choice", choices = { "image-to-text", "chat" },
      doc = "how the server is spoken to; image-to-text when HF_BASE_URL is set, chat when it is not" },
    { "free", "boolean", default = false, doc = "the server is your own and asking costs nothing" },
  }, remote.pace),
}
for _, option in ipairs(M.options) do -- what was written must be told from what was not
  for _, word in ipairs(WORDS) do if option[1] == word then option.default = nil end end
end

--- How the server is spoken to.
function M.task(options)
  if options.task then return options.task end
  local base = services.setting(services.list.huggingface.variable)
  return base and base ~= "" and "image-to-text" or "chat"
end

local check, question = M.check, M.question

function M.check(options)
  if M.task(options) == "image-to-text" then
    for _, word in ipairs(WORDS) do
      if options[word] and word ~= "model" then
        return ("has %s, but an endpoint that turns pictures into text is asked nothing"):format(word), 'task = "chat" asks a model in words', word
      end
    end
  end
  return check(options)
end

function M.question(options)
  local kept = question(options)
  kept.task = M.task(options)
  return kept
end

return M
