-- providers.lua - who can write captions. A new one is a file in stdlib/caption/ and its name here.
--
-- A provider is a schema with
--   author   "model" or "human"
--   depends  fun(item, options, context): string   what its text depends on besides options and content (part of the key); may be absent
--   ask      fun(items, options, emit, context)   emit(i, text [, detail]) for each item it has words for; each is stored at once
--   check    fun(options): complaint, hint, key   what no option may say
--   declare  fun(options, state)            while a recipe is read: permissions, warnings; may be absent
--   question fun(options): table            those of its options that the answer depends on (part of the key); all when absent
--   estimate fun(items, options, context)   what asking for them would take, for `calotype plan`; may be absent
--   wordless fun(context, item, key): boolean   whether an earlier run found that it has no words for this picture; may be absent
--   finishes true: after Ctrl-C it keeps what it has paid for and stops by itself
--   remote   true: it asks others, and hands on what it cannot answer: context.elsewhere(n, why), where that is there
-- detail: model, prompt, cost (dollars; nil: unknown), tokens = { input, output, thought }, finish, fallback, settings; of a model on this machine
-- weights, the sha256 of its config and files.
-- A script writes `template { text = "..." }` and gets { provider = "template", version = 1, options = { ... } }.
local schema = require "recipe.schema"

local M = { by_name = {}, names = {}, list = {} }

for _, name in ipairs { "gemini", "openai", "huggingface", "blip", "wd14", "ensemble", "sidecar", "template", "fake", "auto" } do
  local provider = require("caption." .. name)
  provider.kind = "provider"
  schema.define(provider)
  M.by_name[name] = provider
  M.names[#M.names + 1] = name
  M.list[#M.list + 1] = provider
end

--- Whether a provider with these options writes lists of tags.
---@param with { provider: string, options: table }
---@return boolean
function M.writes_tags(with)
  local provider, members = M.by_name[with.provider], with.options.members
  if members then return M.writes_tags(members[1]) end -- all or none of them do
  return (provider.question and provider.question(with.options) or with.options).style == "tags"
end

return M
