-- caption.lua - captions for a folder without writing a recipe: the recipe is made here, shown and run.
--
--   local spec = caption.settings { with = "gemini" }                 -- the command's own settings and those of the provider
--   caption.recipe("photos", settings.read(spec, { style = "concise" }))
--       --> 'local photos = images "photos"\n  :caption { with = auto { style = "concise" } }\nphotos:report { to = "out/captions.html" }\n'
local auto = require "caption.auto"
local folder = require "assistant.folder"
local providers = require "recipe.providers"
local set = require "recipe.set"
local settings = require "assistant.settings"
local suggest = require "recipe.suggest"

local M = {}

-- Those that can be named in one word: an ensemble has members.
local WRITERS = {}
for _, name in ipairs(providers.names) do if name ~= "ensemble" then WRITERS[#WRITERS + 1] = name end end

M.own = {
  { "with", "text", default = "auto", doc = "who writes: " .. table.concat(WRITERS, ", ") .. "; calotype help NAME tells of each" },
  { "trigger", "text", default = "", doc = "the made-up word that will call the subject; stands in every caption" },
  { "prefix", "text", default = "", doc = "put before every caption" },
  { "suffix", "text", default = "", doc = "put after every caption" },
  { "replace", "boolean", default = false, doc = "ask for all captions, people's too (theirs stay in the history)" },
  { "recursive", "boolean", default = false, doc = "read the folders below it too" },
  { "beside", "boolean", default = false, doc = "write name.txt beside each picture; without it captions are kept in the store" },
  { "to", "text", default = "out/captions.html", doc = "a page with the pictures and their captions; to= writes none" },
  { "save", "text", default = "", doc = "also write the recipe to this file" },
  { "show", "boolean", default = false, doc = "show the recipe and do nothing else" },
}

-- Options of providers that can be typed: what is written for them in the recipe.
local WRITTEN = {
  text = function(value) return ("%q"):format(value) end,
  choice = function(value) return ("%q"):format(value) end,
  path = function(value) return ("%q"):format(value) end,
  integer = function(value) return ("%d"):format(value) end,
  number = function(value) return ("%.14g"):format(value) end,
  boolean = tostring,
  money = function(value) return ("usd(%.14g)"):format(value) end,
  list = function(value)
    local parts = {}
    for part in (value .. ","):gmatch "%s*(.-)%s*," do if part ~= "" then parts[#parts + 1] = ("%q"):format(part) end end
    return "{ " .. table.concat(parts, ", ") .. " }"
  end,
}

local TYPED = { money = "number", list = "text", path = "text" }

--- The settings of the command with this provider: its own, and the provider's. The command ends for a provider that is none.
---@param given table<string, string>
---@return table spec
function M.settings(given)
  local name = given.with or "auto"
  local provider = providers.by_name[name]
  if not provider then
    local near = suggest.closest(name, providers.names)
    folder.fail(("with=%s: there is no such provider"):format(name), near and ("did you mean '%s'?"):format(near) or "there are "
      .. table.concat(providers.names, ", "), "usage")
  end
  if name == "ensemble" then
    folder.fail("with=ensemble: its members are named in a recipe", "for example with = ensemble { gemini {}, openai {} }; docs/language.md", "usage")
  end
  local options, taken = table.move(M.own, 1, #M.own, 1, {}), {}
  for _, option in ipairs(M.own) do taken[option[1]] = true end
  for _, option in ipairs(provider.options or {}) do
    if WRITTEN[option[2]] and not taken[option[1]] then
      options[#options + 1] = { option[1], TYPED[option[2]] or option[2], money = option[2] == "money",
        min = option[2] == "money" and 0 or option.min, max = option.max,
        unit = option[2] == "money" and "US dollars" or nil, choices = option.choices, doc = option.doc, written = WRITTEN[option[2]] }
    end
  end
  return settings.define("caption", options)
end

--- The recipe as text.
---@param path string|string[] a folder, or pictures
---@param o table settings
---@param spec table
---@return string
function M.recipe(path, o, spec)
  local parts, options = {}, {}
  for _, option in ipairs(spec.options) do
    if option.written and o[option.name] ~= nil then parts[#parts + 1] = ("%s = %s"):format(option.name, option.written(o[option.name])) end
  end
  options[1] = ("with = %s {%s}"):format(o.with, #parts > 0 and " " .. table.concat(parts, ", ") .. " " or "")
  for _, name in ipairs { "trigger", "prefix", "suffix" } do if o[name] ~= "" then options[#options + 1] = ("%s = %q"):format(name, o[name]) end end
  if o.replace then options[#options + 1] = "replace = true" end
  local from = type(path) == "string" and ("%q"):format(path)
  if not from then
    local names = {}
    for i, name in ipairs(path) do names[i] = ("  %q,\n"):format(name) end
    from = ("{\n%s}"):format(table.concat(names))
  end
  local out = { ("local photos = images %s"):format(o.recursive and ("{ %q, recursive = true }"):format(path) or from),
    ("  :caption { %s }"):format(table.concat(options, ", ")) }
  if o.beside then out[#out + 1] = 'photos:export { as = "sidecars", beside = true }' end
  if o.to ~= "" then out[#out + 1] = ("photos:report { to = %q }"):format(o.to) end
  return table.concat(out, "\n") .. "\n"
end

--- What can be done where nobody would write: the beginning of a sentence, and all of it for the command.
M.KEY = "put a key into .env (GEMINI_API_KEY=...), or the address of a server of your own (OPENAI_BASE_URL=http://localhost:8080), or "
M.NOBODY = M.KEY .. "say with=blip, a model on this machine (calotype help blip), or with=template "
  .. 'text="a photo of [trigger]" trigger=WORD for one sentence for all'

--- The command ends where a picture would be without words and nobody is there to ask.
function M.look_ahead(path, o, options)
  if o.with ~= "auto" or auto.choose() then return end
  local photos <close> = folder.open { folder = path, recursive = o.recursive, store = options.store, say = function() end }
  local without = 0
  for _, item in ipairs(photos.items) do if not item.caption or o.replace then without = without + 1 end end
  if without == 0 then return end
  folder.fail(("%d of %s %s no caption, and there is nobody to ask: no key and no server was found"):format(without, set.count(#photos.items),
    without == 1 and "has" or "have"), M.NOBODY, "usage")
end

return M
