local callback = require "recipe.callback"
local schema = require "recipe.schema"
local set = require "recipe.set"
local suggest = require "recipe.suggest"
local weight = require "recipe.verbs.weight"

local M = {
  name = "edit", version = 1, positional = "change",
  doc = "Change captions and weights (0.01 to 1000, as in :weight) with a function. It gets a copy of a picture's fields and returns it; "
    .. "returning nil means unchanged.",
  example = 'photos:edit(function(picture)\n  picture.caption = picture.caption:gsub("^The image shows ", "")\n  return picture\nend)',
  options = { { "change", "callback", required = true, doc = "gets a picture, returns it changed, or nil" } },
}

local TIMES = weight.options[1]
local TYPES = { caption = "string", weight = "number" }

function M.declare(state) callback.key(state.options.change, state.session.known, state.at) end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, part in pairs(a) do if not same(part, b[key]) then return false end end
  for key in pairs(b) do if a[key] == nil then return false end end
  return true
end

function M.run(context, options, input)
  local before = callback.key(options.change, context.session.known, context.at)
  local changed = 0
  local out = set.map(input, function(item)
    local given = callback.call(options.change, context.at, "edit", item, set.copy_deep(item))
    if given == nil then return item end
    if type(given) ~= "table" then
      context.fail((":edit returned %s for %s"):format(schema.show(given), item.path), { hint = "return the picture, or nil to leave it as it is" })
    end
    local changes = {}
    for key, value in pairs(given) do
      if not same(value, item[key]) then
        if not TYPES[key] then
          local near = item[key] == nil and suggest.closest(tostring(key), { "caption", "weight" })
          context.fail((":edit cannot change '%s' (of %s)"):format(tostring(key), item.path),
            { hint = near and ("did you mean '%s'?"):format(near) or "an edit changes caption and weight" })
        end
        if type(value) ~= TYPES[key] then
          context.fail((":edit made the %s of %s %s"):format(key, item.path, schema.show(value)),
            { hint = ("it must be a %s"):format(TYPES[key] == "string" and "text" or "number") })
        end
        if key == "caption" and not utf8.len(value) then
          context.fail((":edit made the caption of %s no longer UTF-8"):format(item.path),
            { hint = "string functions cut bytes; cut at spaces or use utf8.offset" })
        end
        if key == "weight" and not (value >= TIMES.min and value <= TIMES.max) then
          context.fail((":edit gave %s the weight %s"):format(item.path, schema.show(value)), { hint = "it must be " .. schema.range_text(TIMES) })
        end
        changes[key] = value
      end
    end
    if next(changes) == nil then return item end
    changed = changed + 1
    if changes.caption and not item.caption_by then changes.caption_by = { author = "model", provider = "edit" } end
    return set.with(item, changes, "edit")
  end)
  if callback.key(options.change, context.session.known, context.at) ~= before then
    context.fail("the function of :edit changes what it closed over, so its result depends on the order of calls",
      { hint = "let it compute its result from the picture alone" })
  end
  context.account(("%d of %s changed"):format(changed, set.count(#out.items)))
  return out
end

return M
