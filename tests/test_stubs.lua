-- editor/luals/ and docs/language.md are made from the schemas. CALOTYPE_WRITE=1 make test T=stubs writes it again.
local fs = require "native.fs"
local stubs = require "recipe.stubs"

local FILES = { ["editor/luals/library/calotype.lua"] = stubs.library(), ["editor/luals/config.json"] = stubs.config(),
  ["docs/language.md"] = require "recipe.help".manual() }

test("the stubs for editors and the manual are those of the schemas", function()
  for path, text in pairs(FILES) do
    if os.getenv "CALOTYPE_WRITE" then assert(fs.write(path, text)) end
    if fs.read(path) ~= text then error(path .. " is not what the schemas say: CALOTYPE_WRITE=1 make test T=stubs") end
  end
end)

test("the stubs are Lua, and name every verb and every option", function()
  local text = stubs.library()
  check.ok(load(text))
  for _, verb in ipairs(require("recipe.verbs").list) do
    check.contains(text, verb.name)
    for _, option in ipairs(verb.options) do check.contains(text, "---@field " .. option.name) end
  end
end)
