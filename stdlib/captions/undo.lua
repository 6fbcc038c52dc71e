-- undo.lua - `calotype captions undo` and `redo`: pictures get the text back that they had. Nothing is taken away: what comes back is a new
-- row that points to the old one, and it answers the question that the last run asked, so that the next run uses it and asks nobody.
--
-- A caption file beside the picture is written anew when it has the text that is undone.
local beside = require "captions.beside"
local difference = require "captions.difference"
local fs = require "native.fs"
local history = require "recipe.history"
local log = require "native.log"
local named = require "captions.named"
local script = require "native.script"
local set = require "recipe.set"
local tags = require "caption.tags"
local telling = require "captions.telling"

local M = {}

local SHOWN = 20 -- pictures whose change is shown
local MOST = 1000

local function fail(message, hint, exit) script.fail { message = message, hint = hint, source = false, exit = exit or 2 } end

local function add(store, row)
  local id, message, code = store:add_caption(row)
  if not id then fail("the store cannot go on: " .. message, nil, code == "BUSY" and 75 or 1) end
end

-- The caption file beside a picture; a person's text in it that no run has seen yet is noted first, so that it is not lost.
local function file_of(store, picture)
  fs.grant(picture.path:match "^(.*)/[^/]*$" or ".", "read")
  local file, message, code = beside.read(store, picture.sha, picture.path)
  if code then fail(message, "save the caption file as UTF-8, or remove it", 1) end
  if not file or not file.text:find "%S" then return nil end
  local ok, problem = pcall(beside.note, store, picture.sha, file)
  if not ok then fail("the store cannot go on: " .. problem.message, nil, problem.code == "BUSY" and 75 or 1) end
  return { path = file.path, raw = file.text, text = tags.meant(file.text), ours = file.ours }
end

-- What the caption file will say; nil when it stays as it is: also a person's words that the next run adds to.
local function rewritten(file, old, new)
  if not file or file.text == beside.existing(new) then return nil end
  if file.text == old.text or file.ours and new.author == "human" then return new.text end
  if file.ours and old.text ~= "" then
    local from, to = file.raw:find(old.text, 1, true) -- with prefix and trigger around it
    if from then return file.raw:sub(1, from - 1) .. new.text .. file.raw:sub(to + 1) end
  end
end

local function write(store, picture, file, new, text)
  local ok, message, code = true, nil, nil
  if new.author == "model" then ok, message, code = beside.mark(store, picture.sha, new, text) end
  if ok then ok, message, code = beside.write(file.path, text) end
  if not ok then fail(message, "its picture's text is left as it was", code == "DENIED" and 3 or 1) end
end

-- Where `steps` texts back (or on, when below 0) lead: texts that say the same count as one.
local function target(line, at, steps)
  local way, left = steps > 0 and -1 or 1, math.abs(steps)
  local i, text = at, line[at] and line[at].text
  while left > 0 do
    i = i + way
    while line[i] and line[i].text == text do i = i + way end
    if not line[i] then return nil end
    text, left = line[i].text, left - 1
  end
  return i
end

-- One picture. nil and why when there is nothing to go back to.
local function move(store, picture, steps)
  local file = picture.path and file_of(store, picture)
  local rows = store:captions(picture.sha)
  local line, at = history.line(rows)
  local to = target(line, at, steps)
  if not to then return nil, #rows == 0 and "no captions yet" or steps > 0 and "no earlier text" or "no later text" end
  local old, new = line[at], history.back(rows, line, to)
  local text = rewritten(file, old, new)
  if text then write(store, picture, file, new, text) end
  if old.aside then add(store, history.back(rows, line, at)) end -- so that redo finds it
  add(store, new)
  local numbers = {}
  for i, row in ipairs(rows) do numbers[row.id] = i end
  return { picture = picture, old = old, new = new, from = numbers[old.id], to = numbers[new.restores], file = text and file.path,
    left = file and not text and file.text ~= new.text and file.path or nil }
end

local function put(change)
  local new = change.new
  log.put_marked { { "strong", telling.title(change.picture) },
    { "faint", ("   from %d (%s) to %d (%s)"):format(change.from, telling.who(change.old), change.to, telling.who(new)) } }
  local parts = { "  " }
  for _, part in ipairs(difference.words(change.old.text, new.text)) do
    parts[#parts + 1] = type(part) == "table" and { part[1], telling.indented(part[2], 2) } or telling.indented(part, 2)
  end
  log.put_marked(parts)
end

-- "calotype captions redo photos" as one would type it.
local function again(word, name)
  return ("calotype captions %s %s"):format(word, name:find "[^%w_./=,:@%%+-]" and "'" .. name:gsub("'", "'\\''") .. "'" or name)
end

local function steps_of(word, text)
  local count = tonumber(text or "1")
  if not count or count % 1 ~= 0 or count < 1 or count > MOST then
    fail(("calotype captions %s goes a number of texts back, not '%s'"):format(word, text), ("a whole number from 1 to %d"):format(MOST))
  end
  return math.tointeger(count) * (word == "redo" and -1 or 1)
end

--- undo|redo FILE|FOLDER [n]
---@param store table
---@param words string[]
---@param word "undo"|"redo"
---@return integer exit
function M.run(store, words, word)
  local steps = steps_of(word, words[2])
  local pictures, folder = named.pictures(store, words[1])
  local changes, reasons, order, files, left, done = {}, {}, {}, 0, {}, {}
  local bar <close> = log.progress(word, #pictures)
  for i, picture in ipairs(pictures) do
    if #pictures > SHOWN then bar:set(i) end
    if script.interrupted() > 0 then fail("stopped", ("%s so far; what was changed is kept"):format(set.count(#changes, "text")), 130) end
    if not done[picture.sha] then -- copies of one content have one history
      done[picture.sha] = true
      local change, why = move(store, picture, steps)
      if change then
        changes[#changes + 1] = change
        if change.file then files = files + 1 end
        if change.left then left[#left + 1] = change.left end
      else
        if not reasons[why] then order[#order + 1] = why end
        reasons[why] = (reasons[why] or 0) + 1
      end
    end
  end
  if #changes == 0 then
    fail(#pictures == 0 and ("no picture in %s could be read"):format(words[1])
      or ("nothing to %s: %s%s"):format(word, folder and "the pictures have " or words[1] .. " has ", order[1]),
      order[1] == "no later text" and "redo brings back what undo took" or nil, 1)
  end
  bar:close()
  for i = 1, math.min(#changes, SHOWN) do put(changes[i]) end
  if #changes > SHOWN then log.put_words(("... and %d more"):format(#changes - SHOWN)) end
  local parts = { ("%s; the next run uses %s and asks nobody"):format(set.count(#changes, "text") .. " put back", #changes == 1 and "it" or "them") }
  for _, why in ipairs(order) do parts[#parts + 1] = ("%s with %s"):format(set.count(reasons[why]), why) end
  if files > 0 then parts[#parts + 1] = ("%s written"):format(set.count(files, "caption file")) end
  log.put_words(table.concat(parts, "; "))
  if #left > 0 then
    log.put_words(("%s beside the pictures left as %s, the first is %s: a recipe that exports there writes it anew"):format(set.count(#left, "caption file"),
      #left == 1 and "it is" or "they are", left[1]))
  end
  log.put(("%s%s %s"):format(again(word == "undo" and "redo" or "undo", words[1]), math.abs(steps) > 1 and " " .. math.abs(steps) or "",
    word == "undo" and "brings back what was undone" or "goes back again"))
  return 0
end

return M
