-- telling.lua - what asking a service left undone, and why, in sentences for the person.
--
--   telling.left(asking)               -- at the end: warns of pictures left without a caption, fails where asking stopped
--   telling.flying(asking, fault)      -- answers that are paid and will not be kept
local set = require "recipe.set"

local M = {}

local NAMED = 5 -- pictures named in a sentence

--- A reason in a sentence about the service, unless it names the service itself.
---@return string
function M.about(name, format, why)
  return why:sub(1, #name):lower() == name and why or format:format(name, why)
end

-- "a.png, b.png (SAFETY), c.png (too large)": names with the same reason stand together, a few of each.
local function names_of(list)
  local reasons, by = {}, {}
  for _, entry in ipairs(list) do
    local why = entry.why or ""
    if not by[why] then
      by[why] = {}
      reasons[#reasons + 1] = why
    end
    table.insert(by[why], entry.item.name)
  end
  for i, why in ipairs(reasons) do
    local names = by[why]
    local text = table.concat(names, ", ", 1, math.min(#names, NAMED)) .. (#names > NAMED and (" and %d more"):format(#names - NAMED) or "")
    reasons[i] = why ~= "" and ("%s (%s)"):format(text, why) or text
  end
  return table.concat(reasons, ", ", 1, math.min(#reasons, NAMED)) .. (#reasons > NAMED and ", ..." or "")
end

local SENTENCES = {
  before = "%s blocked %s in an earlier run, not asked for again (%s does): %s",
  blocked = "%s blocked %s, left without %s: %s",
  unusable = "%s had no usable words for %s: %s",
  refused = "%s refused %s: %s",
}

--- Pictures that stay without a caption, by what the service said of them.
function M.without(asking)
  local context = asking.context
  for _, kind in ipairs { "before", "blocked", "unusable", "refused" } do
    local list = asking.left[kind]
    local parts = { asking.name, set.count(#list) }
    if kind == "before" then parts[3] = context.session.command and "again=yes" or "again = true" end -- as the option is written there
    if kind == "blocked" then parts[3] = asking.asked.read and "a judgement" or context.aside and "its caption" or "a caption" end
    parts[#parts + 1] = names_of(list)
    if #list > 0 then context.warn(SENTENCES[kind]:format(table.unpack(parts))) end
  end
end

--- What is left without a caption; fails where asking stopped before all was asked.
function M.left(asking)
  local context = asking.context
  M.without(asking)
  local stopped, open = asking.stopped, #asking.left.failed + asking.flying
  for i = asking.first, #asking.queue do if asking.queue[i] then open = open + 1 end end
  if not stopped and open > 0 then stopped = { why = ("%s failed: %s"):format(set.count(open), names_of(asking.left.failed)), more = { exit = 75 } } end
  if not stopped then return end
  local more = {}
  for key, value in pairs(stopped.more) do more[key] = value end
  if more.exit == 2 and asking.done == 0 then return context.fail(stopped.why, more) end -- nothing was begun
  more.notes = { ("%s written and kept, %d still without%s"):format(set.count(asking.done, "caption"), open,
    (asking.options.replay or open == 0) and "" or "; the same command asks for those alone") }
  context.fail(stopped.why, more)
end

--- What is left in the air is paid for all the same: by a second Ctrl-C, or because an answer could not be kept (then that one, too).
function M.flying(asking, fault)
  local count = asking.flying - (asking.unsent or 0) + (fault and asking.taking and 1 or 0)
  if count == 0 or asking.purse.costless or asking.options.batch then return end
  asking.context.warn(("%s of %s %s under way and may be paid, but will not be kept"):format(set.count(count, "answer"), asking.name,
    count == 1 and "was" or "were"))
end

return M
