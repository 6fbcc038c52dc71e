local schema = require "recipe.schema"
local set = require "recipe.set"
local trigger = require "recipe.trigger"
local words = require "caption.words"

local M = {
  name = "expect", version = 1, sink = true,
  doc = "Say what must be true of the result; the run ends with code 4 when it is not. Expectations are looked at before any output is written.",
  example = "photos:expect { count = { 10, 200 }, captioned = true }",
  options = {
    { "count", "range", min = 0, doc = "how many pictures are left" },
    { "rejected", "range", min = 0, doc = "how many were rejected on the way" },
    { "captioned", "boolean", doc = "true: every picture has a caption" },
    { "triggered", "boolean", doc = "true: every caption has the trigger as a whole word" },
    { "words", "range", min = 0, doc = "words in each caption" },
    { "side", "range", min = 1, unit = "px", doc = "shorter side of each picture" },
  },
}

function M.declare(state)
  if next(state.options) == nil then state.session:fail(state.at, ":expect expects nothing", { hint = "for example :expect { count = { 10, 200 } }" }) end
  if state.options.triggered and not state.trigger then
    state.session:fail(state.at, ":expect looks for a trigger, but none is declared", { key = "triggered", hint = 'declare it: :caption { trigger = "..." }' })
  end
end

local function outside(value, range) return range and (value < range[1] or value > range[2]) end
local function range_text(range) return range[1] == range[2] and ("%g"):format(range[1]) or ("%g to %g"):format(range[1], range[2]) end

function M.run(context, options, input)
  local function fail(message, key, item)
    context.fail("expected " .. message, { exit = 4, key = key, notes = item and { "the first is " .. item.path } or nil })
  end
  if outside(#input.items, options.count) then fail(("%s pictures, but there are %d"):format(range_text(options.count), #input.items), "count") end
  if outside(#input.rejected, options.rejected) then
    fail(("%s rejects, but there are %d"):format(range_text(options.rejected), #input.rejected), "rejected")
  end
  local function every(key, message, bad)
    local count, first = 0, nil
    for _, item in ipairs(input.items) do
      if bad(item) then count, first = count + 1, first or item end
    end
    if count > 0 then fail(("%s; %s not"):format(message, count == 1 and "1 picture does" or count .. " pictures do"), key, first) end
  end
  if options.captioned then every("captioned", "every picture to have a caption", function(item) return not item.caption or item.caption == "" end) end
  if options.triggered then
    every("triggered", ("every caption to have %q"):format(context.trigger), function(item) return trigger.count(item.caption or "", context.trigger) == 0 end)
  end
  if options.words then
    every("words", ("captions of %s words"):format(range_text(options.words)), function(item)
      return outside(words.count(item.caption or ""), options.words)
    end)
  end
  if options.side then
    every("side", ("shorter sides of %s px"):format(range_text(options.side)), function(item)
      return outside(math.min(item.width, item.height), options.side)
    end)
  end
  local said = {}
  for _, option in ipairs(M.options) do
    if options[option.name] ~= nil then said[#said + 1] = ("%s %s"):format(option.name, schema.show(options[option.name])) end
  end
  context.account("as expected: " .. table.concat(said, ", ") .. (" (%s)"):format(set.count(#input.items)))
end

return M
