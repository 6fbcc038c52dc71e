-- Captions from a pattern: for pictures whose names say what they are.
local suggest = require "recipe.suggest"

local FIELDS = {
  stem = function(item) return (item.stem:gsub("[_%s]+", " ")) end,
  name = function(item) return item.name end,
  folder = function(item) return item.path:match "([^/]+)/[^/]*$" or "" end,
  width = function(item) return tostring(item.width) end,
  height = function(item) return tostring(item.height) end,
}
local NAMES = { "folder", "height", "name", "stem", "width" }

local function text_of(item, options)
  return (options.text:gsub("{(%a+)}", function(field) return FIELDS[field] and FIELDS[field](item) end))
end

local M = {
  name = "template", version = 1, author = "model", instant = true,
  doc = "The same sentence for every picture, with its name filled in.",
  example = 'photos:caption { with = template { text = "a photo of {stem}, [trigger]" } }',
  options = {
    { "text", "text", default = "a photo of {stem}", doc = "may have {stem}, {name}, {folder}, {width}, {height} and [trigger]" },
  },
}

--- Refuses fields that no picture has.
function M.check(options)
  for field in options.text:gmatch "{([^{}]*)}" do
    if not FIELDS[field] then
      local near = suggest.closest(field, NAMES)
      return ("has {%s}, which no picture has"):format(field), near and ("did you mean {%s}?"):format(near)
        or "there are {" .. table.concat(NAMES, "}, {") .. "}"
    end
  end
end

M.depends = text_of

function M.ask(items, options, emit)
  for i, item in ipairs(items) do emit(i, text_of(item, options)) end
end

return M
