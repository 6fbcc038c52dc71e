-- providers.lua - who can write captions. A new one is a file in stdlib/caption/ and its name here.
--
-- A provider is a schema with
--   author   "model" or "human"
--   depends  fun(item, options): string     what its text depends on besides options and content (part of the key); may be absent
--   ask      fun(items, options, emit)      emit(i, text [, detail]) for each item it has words for; each is stored at once
-- A script writes `template { text = "..." }` and gets { provider = "template", version = 1, options = { ... } }.
local schema = require "recipe.schema"

local M = { by_name = {}, names = {}, list = {} }

for _, name in ipairs { "sidecar", "template", "fake", "auto" } do
  local provider = require("caption." .. name)
  provider.kind = "provider"
  schema.define(provider)
  M.by_name[name] = provider
  M.names[#M.names + 1] = name
  M.list[#M.list + 1] = provider
end

return M
