local quantities = require "recipe.quantities"
local schema = require "recipe.schema"
local set = require "recipe.set"

local M = {
  name = "reject", version = 1,
  doc = "Leave out pictures by a measured number. A cut is a number, or a share of the pictures that arrive: \"lowest 10%\".",
  example = 'photos:reject { side_below = 512, sharpness_below = "lowest 10%" }',
  options = {
    { "side_below", "cut", side = "lowest", min = 1, max = 65535, unit = "px", quantity = "side", doc = "shorter side, as displayed" },
    { "aspect_above", "cut", side = "highest", min = 1, max = 100, quantity = "aspect", doc = "longer side divided by shorter side" },
    { "sharpness_below", "cut", side = "lowest", min = 0, quantity = "sharpness",
      doc = "variance of the Laplacian at 512 px, sharpest tile; below about 100 a picture looks soft" },
    { "dark_below", "cut", side = "lowest", min = 0, max = 1, quantity = "highlights",
      doc = "99th percentile of the brightness: a picture is dark when even its bright spots are; cleanvision cuts at 0.32" },
    { "light_above", "cut", side = "highest", min = 0, max = 1, quantity = "shadows",
      doc = "5th percentile of the brightness: a picture is washed out when even its shadows are light; cleanvision cuts at 0.95" },
    { "entropy_below", "cut", side = "lowest", min = 0, max = 10, unit = "bits", quantity = "entropy",
      doc = "information in the histogram; below about 3 a picture is nearly empty" },
    { "noise_above", "cut", side = "highest", min = 0, max = 255, quantity = "noise",
      doc = "standard deviation of the noise in gray levels, in the calm parts; above about 12 it is seen. Fine texture all over counts, too" },
    { "blocking_above", "cut", side = "highest", min = 1, max = 1000, quantity = "blocking",
      doc = "steps at the borders of JPEG's squares; about 1.6 at quality 75, 2 at 50, 3 at 20" },
    { "match_below", "cut", side = "lowest", min = 0, max = 1, quantity = "match", elsewhere = { "score_below" },
      doc = "how sure the model of :score is that the caption belongs to the picture; below about 0.1 it mostly does not" },
    { "match_above", "cut", side = "highest", min = 0, max = 1, quantity = "match", elsewhere = { "score_above" },
      doc = "the same: what is above goes, to look at the others" },
  },
}

-- Whether a number is there to cut by: that of a caption is only where :score asked for it.
local function need_score(state)
  local key = state.options.match_below and "match_below" or state.options.match_above and "match_above"
  if not key then return end
  local stage = require "recipe.stage"
  for _, input in ipairs(state.inputs) do
    for _, step in ipairs(stage.lineage(input)) do if stage.state(step).verb.name == "score" then return end end
  end
  state.session:fail(state.at, ("option '%s' of :reject needs a :score before it"):format(key),
    { key = key, hint = 'for example :score { model = "models/blip-itm-base-coco" } before this :reject' })
end

function M.declare(state)
  if next(state.options) == nil then
    state.session:fail(state.at, ":reject has nothing to reject by", { hint = "for example :reject { side_below = 512 }" })
  end
  need_score(state)
end

-- The number a share means for these pictures: items beyond it go. Ties with the last kept picture stay.
local function threshold_of(values, cut)
  local sorted = set.copy(values)
  table.sort(sorted)
  local count = math.floor(#sorted * cut.percent / 100 + 1e-9)
  if #sorted == 0 then return 0 end
  return cut.cut == "lowest" and sorted[math.min(count + 1, #sorted)] or sorted[math.max(#sorted - count, 1)]
end

function M.run(context, options, input)
  local cuts, unscored = {}, 0
  for _, option in ipairs(M.options) do
    local value = options[option.name]
    if value then
      local quantity = quantities.by_name[option.quantity]
      local values = {}
      for _, item in ipairs(input.items) do values[#values + 1] = quantity.of(item) end
      local share = type(value) == "table" and schema.show(value):gsub('"', "") or nil
      cuts[#cuts + 1] = {
        quantity = quantity.name, option = option.name, below = option.side == "lowest", values = values,
        threshold = share and threshold_of(values, value) or value, text = share or tostring(value), share = share, line = context.line,
      }
      if quantity.name == "match" then unscored = #input.items - #values end
    end
  end
  local by, together, order, reasons = {}, {}, {}, {} -- together: by what a picture was rejected, each picture once
  local out, count = set.filter(input, "reject", context.line, function(item)
    local found, names, rank = {}, {}, 0
    for i, cut in ipairs(cuts) do
      local quantity = quantities.by_name[cut.quantity]
      local value = quantity.of(item)
      if value and ((cut.below and value < cut.threshold) or (not cut.below and value > cut.threshold)) then
        found[#found + 1] = ("%s %s is %s %s%s"):format(cut.quantity, quantities.text(quantity, value), cut.below and "below" or "above",
          quantities.text(quantity, cut.threshold), cut.share and " (" .. cut.share .. ")" or "")
        by[cut.quantity] = (by[cut.quantity] or 0) + 1
        names[#names + 1], rank = cut.quantity, rank * 10 + i
      end
    end
    if #found == 0 then return nil end
    local name = table.concat(names, " and ")
    if not together[rank] then
      together[rank] = { name = name, count = 0, rank = rank }
      order[#order + 1] = together[rank]
    end
    together[rank].count = together[rank].count + 1
    return table.concat(found, "; ")
  end)
  table.move(cuts, 1, #cuts, #out.cuts + 1, out.cuts)
  table.sort(order, function(a, b) return a.rank < b.rank end)
  for i, it in ipairs(order) do reasons[i] = ("%d %s"):format(it.count, it.name) end
  for _, cut in ipairs(cuts) do
    local wanted = cut.share and math.floor(#cut.values * options[cut.option].percent / 100 + 1e-9) or 0
    if wanted > (by[cut.quantity] or 0) then
      reasons[#reasons + 1] = ("the %s by %s would be %d, but pictures with the same value stay"):format(cut.share, cut.quantity, wanted)
    end
  end
  if unscored > 0 then
    reasons[#reasons + 1] = ("%d without a match %s"):format(unscored, context.planning and "so far" or unscored == 1 and "stays" or "stay")
  end
  context.account(("%d kept, %d rejected%s"):format(#out.items, count, #reasons > 0 and ": " .. table.concat(reasons, ", ") or ""))
  return out
end

return M
