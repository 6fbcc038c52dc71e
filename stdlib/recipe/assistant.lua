-- assistant.lua - analyze, outliers, recommend and tags as functions of the language: what the commands of these names find, as a table.
--
--   local found = analyze "photos"                        -- or analyze { "photos", side = 1024 }
--   if found.quality < 6 then ... end                     -- fields as in the command's json=
--   recommend { "photos", goal = "style" }                -- shown at the prompt: what the command prints
--
-- They look and change nothing: pages, moving and writing are the commands' (calotype outliers photos remove=yes), and so is asking a model.
local json = require "native.json"
local place = require "recipe.place"
local schema = require "recipe.schema"

local M = {}

-- Settings that only a command has: where it writes, what it changes, whom it asks.
local COMMANDS_OWN = { to = true, json = true, page = true, remove = true, restore = true, overwrite = true, write = true, people = true, most = true,
  judge = true, with = true, model = true, language = true, spend = true, record = true, replay = true, accept = true, except = true }

-- What one of them needs: the modules are read when it is called, most recipes never do.
local FUNCTIONS = {
  { name = "analyze", doc = "How good, consistent and diverse a folder is, what is wrong with which picture, and a recipe that cuts it.",
    gives = function(found) return json.decode(require("assistant.analyze").json(found)) end,
    tell = function(found, put) require("assistant.telling").analysis(found, put) end },
  { name = "outliers", doc = "The pictures of a folder that are unlike the others, with the measure that tells.",
    gives = function(found) return json.decode(require("assistant.outliers").json(found)) end,
    tell = function(found, put) require("assistant.telling").outliers(found, put) end },
  { name = "recommend", doc = "Hyperparameters for a folder, each with its reason, and the recipe with them.",
    gives = function(advice)
      local out = { goal = advice.goal, pictures = advice.count, recipe = advice.text, reasons = {} }
      for _, row in ipairs(advice.rows) do out[row.name], out.reasons[row.name] = row.value, row.reason end
      return out
    end,
    tell = function(advice, put) require("assistant.telling").advice(advice, put) end },
  { name = "tags", doc = "Which lists of tags of a folder would be mended, and how.",
    gives = function(found)
      local list = {}
      for i, row in ipairs(found.list) do list[i] = { path = row.item.path, old = row.old, new = row.new, author = row.author } end
      return { folder = found.folder, fine = found.fine, sentences = found.sentences, without = found.without, changes = list }
    end,
    tell = function(found, put) require("assistant.telling").tags(found, put, math.huge) end },
}

local function options_of(name)
  local options = { { "folder", "folder", required = true, doc = "the pictures" } }
  for _, option in ipairs(require("assistant." .. name).settings.options) do
    if not COMMANDS_OWN[option.name] then
      local copy = {}
      for key, value in pairs(option) do copy[key] = value end
      options[#options + 1] = copy
    end
  end
  return options
end

local specs = {}

--- The schema of one, made when somebody asks.
local function spec_of(row)
  specs[row.name] = specs[row.name] or schema.define { name = row.name, kind = "function", doc = row.doc, positional = "folder",
    example = ('local found = %s "photos"'):format(row.name), options = options_of(row.name) }
  return specs[row.name]
end

--- The schemas, for help and the manual.
---@return calotype.schema[]
function M.schemas()
  local list = {}
  for i, row in ipairs(FUNCTIONS) do list[i] = spec_of(row) end
  return list
end

-- A table as the prompt and tostring show it: the command's lines.
local function told(row, found)
  local lines = {}
  row.tell(found, function(line) lines[#lines + 1] = line end)
  local text = table.concat(lines, "\n")
  return setmetatable(row.gives(found), { __name = row.name, __metatable = false, __tostring = function() return text end })
end

--- Put them among the globals of a recipe. `stop(at)` ends reading where nothing is computed.
---@param base table
---@param session table
---@param stop fun(at: table)
function M.install(base, session, stop)
  for _, row in ipairs(FUNCTIONS) do
    base[row.name] = function(given, extra)
      local at = place.here(row.name)
      local options = schema.read(spec_of(row), given, session:reading(at), extra)
      session:permit(options.folder, "read", at)
      if session.reads_only then stop(at) end
      options.store, options.say = session.store_folder, function() end
      local found = require("assistant." .. row.name).run(options)
      local _ <close> = found.photos
      return told(row, found)
    end
  end
end

return M
