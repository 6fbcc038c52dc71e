local asking = require "recipe.asking"
local looking = require "caption.looking"
local matched = require "caption.matched"
local matching = require "caption.matching"
local set = require "recipe.set"

local M = {
  name = "score", version = 1,
  doc = "Ask a model on this machine whether each caption belongs to its picture: a number from 0 to 1, `match`, for :reject, :keep_if, reports and "
    .. "sheets. Nothing is sent, nothing costs, and no caption of a picture is asked about twice. The trigger is left out; a long caption is read up to "
    .. "35 pieces of words. The model is Salesforce/blip-itm-base-coco of the hub (0.9 GB): `calotype get hf:NAME`.",
  example = 'photos:score { model = "models/blip-itm-base-coco" }:reject { match_below = "lowest 5%" }',
  options = {
    { "by", "choice", choices = { "blip-itm" }, default = "blip-itm", doc = "BLIP's image-text matching: softmax of its two answers" },
    { "model", "path", default = "models/blip-itm-base-coco", doc = "its folder, as the Hugging Face hub or its cache has it" },
    table.unpack(looking.options),
  },
}

function M.label(options) return "score " .. options.by end

function M.declare(state) matching.declare(state.options, state) end

-- "p1.png, p2.png and 3 more"
local function some(names)
  if #names <= 4 then return table.concat(names, ", ") end
  return ("%s and %d more"):format(table.concat(names, ", ", 1, 3), #names - 3)
end

--- "0.02 to 0.97, the middle one 0.9" of numbers from 0 to 1.
---@param values number[]
---@return string
function M.spread(values)
  local sorted = set.copy(values)
  table.sort(sorted)
  return ("%.3g to %.3g, the middle one %.3g"):format(sorted[1], sorted[#sorted], sorted[(#sorted + 1) // 2])
end

function M.run(context, options, input)
  local rows, at, without, coming = {}, {}, {}, 0
  for i, item in ipairs(input.items) do
    local text = matched.text(item.caption, item.trigger)
    if item.caption and item.caption:find(asking.TO_COME, 1, true) then
      coming = coming + 1
    elseif text then
      rows[#rows + 1], at[i] = { item = item, text = text }, #rows + 1
    else
      without[#without + 1] = item.name
    end
  end
  local done = context.planning and matching.plan(context, options, rows) or matching.score(context, options, rows)
  local values = {}
  local out = set.map(input, function(item, i)
    local value = at[i] and done.values[at[i]]
    values[#values + 1] = value or nil
    local made = set.with(item, {})
    made.match = value or nil
    return made
  end)

  local parts = {}
  local function part(count, text) if count > 0 then parts[#parts + 1] = text:format(count) end end
  part((done.open or 0) + coming, "%d to compute")
  part(done.computed or 0, "%d computed")
  part(done.known, "%d known")
  part(context.planning and 0 or #rows - done.known - done.computed, "%d left without")
  part(done.cut or 0, "%d read in part")
  part(#without, "%d without a caption")
  if #without > 0 and not context.planning then
    context.warn(("%s %s no caption and %s not scored; a :caption before :score writes one"):format(some(without), #without == 1 and "has" or "have",
      #without == 1 and "is" or "are"))
  end
  context.account((#parts > 0 and "match: " .. table.concat(parts, ", ") or "nothing to score") .. (#values > 0 and "; " .. M.spread(values) or ""))
  return out
end

return M
