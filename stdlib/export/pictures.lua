-- pictures.lua - what all exports share: names that any tool takes, bytes that any trainer reads, captions that are whole.
local image = require "native.image"
local set = require "recipe.set"
local tags = require "caption.tags"
local trigger = require "recipe.trigger"
local trim = require "caption.trim"

local M = {}

--- ASCII names without dots, one per item; equal ones get numbers. Case does not make names different.
---@param items calotype.item[]
---@return string[]
function M.stems(items)
  local stems, used = {}, {}
  for i, item in ipairs(items) do
    local base = item.stem:gsub("[^%w_-]+", "_"):gsub("^_+", ""):gsub("_+$", "")
    if base == "" then base = "picture" end
    local stem, number = base, 1
    while used[stem:lower()] do
      number = number + 1
      stem = ("%s_%d"):format(base, number)
    end
    used[stem:lower()], stems[i] = true, stem
  end
  return stems
end

--- One line; a line end becomes `joint`.
function M.one_line(text, joint) return trim.one_line(text, joint) end

--- The captions as they go out: on one line, the trigger once, brackets with backslashes where `escape` asks for them. Ends the run when one
--- is missing. Second: how many were mended.
function M.captions(context, items, escape)
  local captions, missing, mended = {}, {}, 0
  for i, item in ipairs(items) do
    local text = item.caption and M.one_line(item.caption) or ""
    if text == "" then
      missing[#missing + 1] = item
    else
      local changed, misspelt = false, trigger.misspelt(text)
      local asked = item.caption_by and item.caption_by.prompt -- a service's words: a bracket there is no mistake of the recipe's
      if misspelt and not asked then context.fail(("the caption of %s has %s"):format(item.path, misspelt), { hint = "did you mean [trigger]?" }) end
      if item.trigger then
        text, changed = trigger.once(text, item.trigger)
      elseif trigger.wanted(text) and asked then
        text = trigger.fill(text, "trigger") -- trainers would put a word of theirs there
      elseif trigger.wanted(text) then
        context.fail(("the caption of %s has [trigger], but no trigger is declared"):format(item.path), { hint = 'declare it: :caption { trigger = "..." }' })
      end
      if changed then mended = mended + 1 end
      captions[i] = escape and tags.escaped(text) or text
    end
  end
  if #missing > 0 then
    context.fail(("%s of %d %s no caption"):format(#missing, #items, #missing == 1 and "has" or "have"), {
      hint = 'add :caption { with = template { text = "a photo of {stem}" } } before :export, or write ' .. missing[1].path:gsub("%.[^.]*$", "") .. ".txt",
      notes = { "the first is " .. missing[1].path },
    })
  end
  return captions, mended
end

--- How a picture goes out: { extension, path } when its file can go as it is, { extension, bytes } when it had to be converted.
--- Trainers read 8-bit JPEG and PNG for certain: other formats become PNG, 16-bit PNG becomes 8-bit, a JPEG for the printer
--- (CMYK) becomes RGB. `upright` also turns what a camera stored turned.
function M.file(context, item, upright, quality)
  local changed = set.changed(item)
  if changed then context.fail(changed, { hint = "run again" }) end
  local turned = (upright or item.upright) and (item.orientation or 1) ~= 1
  local format = (item.format or item.extension):lower()
  local jpeg = format == "jpeg" or format == "jpg"
  local header = image.probe(item.path) or {}
  local plain = (jpeg and header.samples ~= 4 or format == "png") and (header.bits or 8) <= 8
  if not turned and plain then return { extension = jpeg and "jpg" or "png", path = item.path } end
  local picture, message, code = image.load(item.path)
  if not picture then context.fail(("%s cannot be read any more"):format(item.path), { hint = message, code = code }) end
  local bytes, problem, problem_code = picture:encode(jpeg and "jpeg" or "png", jpeg and { quality = quality } or {})
  if not bytes then context.fail(("%s cannot be converted"):format(item.path), { hint = problem, code = problem_code }) end
  return { extension = jpeg and "jpg" or "png", bytes = bytes, converted = true }
end

--- An export without pictures is a mistake nobody wants to find later.
--- Told at the step that rejected most.
function M.need_some(context, input)
  if #input.items > 0 then return end
  local by, steps = {}, {}
  for _, reject in ipairs(input.rejected) do
    local name = "could not be read"
    if reject.verb ~= "images" then name = ("were rejected by :%s%s"):format(reject.verb, reject.line and " at " .. reject.line or "") end
    if not by[name] then
      by[name] = { name = name, verb = reject.verb, line = reject.line, count = 0, why = {} }
      steps[#steps + 1] = by[name]
    end
    local step = by[name]
    step.count = step.count + 1
    for quantity in ("; " .. reject.reason):gmatch "; (%a+)" do step.why[quantity] = (step.why[quantity] or 0) + 1 end
  end
  if #steps == 0 then context.fail("there are no pictures") end
  table.sort(steps, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return a.name < b.name
  end)
  local parts = {}
  for i, step in ipairs(steps) do
    local why = {}
    for reason, count in pairs(step.why) do why[#why + 1] = ("%d %s"):format(count, reason) end
    table.sort(why)
    parts[i] = (#steps == 1 and "" or step.count .. " ") .. step.name .. (step.verb == "reject" and " (" .. table.concat(why, ", ") .. ")" or "")
  end
  local all = #steps == 1 and ("all %d "):format(#input.rejected) or ("of %d, "):format(#input.rejected)
  context.fail(("no picture is left: %s%s"):format(all, table.concat(parts, ", ")),
    { of = steps[1], hint = steps[1].verb == "images" and "what it says of each: :sheet or :report"
      or ("loosen :%s; why each one went: :sheet or :report"):format(steps[1].verb) })
end

--- "2 captions had the trigger twice or not at all" and the like, for the account.
function M.note(items, converted, mended)
  local parts = { set.count(#items) }
  if converted > 0 then parts[#parts + 1] = ("%d converted"):format(converted) end
  if mended > 0 then parts[#parts + 1] = ("trigger set right in %s"):format(set.count(mended, "caption")) end
  return table.concat(parts, ", ")
end

return M
