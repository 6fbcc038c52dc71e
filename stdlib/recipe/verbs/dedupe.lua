local dataset = require "native.dataset"
local script = require "native.script"
local set = require "recipe.set"

local M = {
  name = "dedupe", version = 1,
  doc = "Keep one of each picture. Files with the same content are always found; by = \"phash\" also finds pictures that look the same "
    .. "(scaled, recompressed, mirrored, turned). The caption of a picture that goes is given to the one that stays, if that has none.",
  example = 'photos:dedupe { keep = "sharpest" }',
  options = {
    { "by", "choice", choices = { "phash", "exact" }, default = "phash", doc = "how pictures are compared" },
    { "distance", "integer", min = 0, max = 16, unit = "of 64 bits", default = 4, doc = "how far two hashes may differ" },
    { "flips", "boolean", default = true, doc = "find mirrored and turned copies too" },
    { "keep", "choice", choices = { "sharpest", "largest", "first", "captioned" }, default = "sharpest", doc = "which one of a group stays" },
  },
}

-- True when `a` is the one to keep; equal pictures keep the order of their names.
local BETTER = {
  first = function() return false end,
  largest = function(a, b) return a.width * a.height > b.width * b.height end,
  sharpest = function(a, b)
    if math.abs(a.sharpness - b.sharpness) > 1e-6 * math.max(a.sharpness, b.sharpness) then return a.sharpness > b.sharpness end
    return a.width * a.height > b.width * b.height
  end,
}
function BETTER.captioned(a, b)
  local rank_a = a.caption and (a.caption_by.author == "human" and 2 or 1) or 0
  local rank_b = b.caption and (b.caption_by.author == "human" and 2 or 1) or 0
  if rank_a ~= rank_b then return rank_a > rank_b end
  return BETTER.sharpest(a, b)
end

-- What a picture is called beside another one: its name alone when they lie in the same folder.
local function called(item, other)
  local folder, name = item.path:match "^(.*/)([^/]*)$"
  return folder and other.path:match "^.*/" == folder and name or item.path
end

local LOOK = 256 -- pictures until Ctrl-C is looked for again

-- A round of choosing: of each group one stays. What goes has a reason; its caption is given to the one that stays, if that has none.
local Choice = {}
Choice.__index = Choice

-- For Ctrl-C, once for each picture of a loop.
function Choice:look()
  self.seen = self.seen + 1
  if self.seen % LOOK == 0 and script.interrupted() > 0 then self.context.fail("stopped while pictures were compared", { exit = 130 }) end
end

function Choice:best(group)
  local best = group[1]
  for i = 2, #group do if self.better(self.items[group[i]], self.items[best]) then best = group[i] end end
  return best
end

-- Keep the best of a group of places in `items`; `why(i, keep)` says why another goes. The one kept, and how many went.
function Choice:keep_one(group, why)
  local items, keep, count = self.items, self:best(group), 0
  for _, i in ipairs(group) do
    self:look()
    if i ~= keep then
      count = count + 1
      self.reasons[i] = why(i, keep)
      local giver = items[i].caption and i or self.gift[i]
      if not items[keep].caption and giver and not self.gift[keep] then self.gift[keep] = giver end
    end
  end
  return keep, count
end

-- Files with the same content. The places of those that stay, and how many went.
local function same_content(choice)
  local items, by_content, order = choice.items, {}, {}
  for i, item in ipairs(items) do
    local group = by_content[item.sha256]
    if not group then
      group = {}
      by_content[item.sha256], order[#order + 1] = group, group
    end
    group[#group + 1] = i
    choice:look()
  end
  local function why(i, keep) return ("same content as %s"):format(called(items[keep], items[i])) end
  local rest, count = {}, 0
  for n, group in ipairs(order) do
    local keep, went = choice:keep_one(group, why)
    rest[n], count = keep, count + went
  end
  return rest, count
end

-- Pictures that look the same, among those at `rest`. How many went; or nil, message, code.
local function same_looks(choice, options, rest)
  local items, hashes, place, count = choice.items, {}, {}, 0 -- place: where an item stands in `rest`
  for k, i in ipairs(rest) do hashes[k], place[i] = options.flips and items[i].phashes or items[i].phash, k end
  local groups, found, code = dataset.duplicates(hashes, { distance = options.distance, flips = options.flips })
  if not groups then return nil, found, code end
  local function why(i, keep)
    local distance, transform = found:pair(place[i], place[keep])
    local how = distance and ("distance %d of 64%s"):format(distance, transform ~= "same" and ", " .. transform or "") or "through a third picture"
    return ("looks like %s (%s)"):format(called(items[keep], items[i]), how)
  end
  for _, group in ipairs(groups) do
    local members = {}
    for k, i in ipairs(group) do members[k] = rest[i] end
    table.sort(members)
    local _, went = choice:keep_one(members, why)
    count = count + went
  end
  return count
end

function M.run(context, options, input)
  local items = input.items
  local choice = setmetatable({ context = context, items = items, better = BETTER[options.keep], reasons = {}, gift = {}, seen = 0 }, Choice)
  local rest, exact = same_content(choice)
  local near = 0
  if options.by == "phash" and #rest > 1 then
    local message, code
    near, message, code = same_looks(choice, options, rest)
    if not near then context.fail(message, { code = code }) end
  end

  local carried = 0
  local source = set.map(input, function(item, i)
    if choice.reasons[i] or not choice.gift[i] then return item end
    local giver = items[choice.gift[i]]
    carried = carried + 1
    return set.with(item, { caption = giver.caption, caption_by = set.with(giver.caption_by, { carried_from = giver.path }) }, "caption of " .. giver.name)
  end)
  local out, count = set.filter(source, "dedupe", context.line, function(_, i) return choice.reasons[i] end)
  local parts = {}
  if exact > 0 then parts[#parts + 1] = ("%d with the same content"):format(exact) end
  if near > 0 then parts[#parts + 1] = ("%d that look the same"):format(near) end
  if carried > 0 then parts[#parts + 1] = set.count(carried, "caption") .. " carried over" end
  context.account(("%d kept, %d rejected%s"):format(#out.items, count, #parts > 0 and ": " .. table.concat(parts, ", ") or ""))
  return out
end

return M
