-- diff.lua - `calotype captions diff`: what changed in the texts of pictures, word by word.
local difference = require "captions.difference"
local log = require "native.log"
local named = require "captions.named"
local script = require "native.script"
local set = require "recipe.set"
local suggest = require "recipe.suggest"
local telling = require "captions.telling"

local M = {}

local function fail(message, hint, exit) script.fail { message = message, hint = hint, source = false, exit = exit or 2 } end

-- What one side of between= means, as fun(rows): row?
local function side(word)
  if word == "now" then
    return function(rows)
      for _, row in ipairs(rows) do if row.in_force then return row end end
    end
  elseif word == "first" then
    return function(rows) return rows[1] end
  elseif word:find "^%d%d?%d?$" then
    return function(rows) return rows[tonumber(word)] end
  elseif word:find "^%d%d%d%d%-%d%d%-?[%dT:%-Z ]*$" then -- the text at that time
    local last = word:gsub(" ", "T") .. "~"
    return function(rows)
      local found
      for _, row in ipairs(rows) do if not row.aside and row.time < last then found = row end end
      return found
    end
  end
  local person = word == "person" or word == "human"
  return function(rows)
    local found
    for _, row in ipairs(rows) do
      if not row.restores and (person and row.author == "human" or row.author == "model" and row.provider == word) then found = row end
    end
    return found
  end, not person and word or nil
end

-- The text now and the one before it, in time, that says something else: after an undo that is what was undone.
local function last_two(rows)
  local old, now
  for i = #rows, 1, -1 do
    local row = rows[i]
    if now and not row.aside and row.text ~= now.text then old = row break end
    if row.in_force then now = row end
  end
  return old, now
end

local function choose(between)
  if not between then return last_two end
  local list = {}
  for word in (between .. ","):gmatch "%s*([^,]*),"  do list[#list + 1] = word:gsub("%s+$", "") end
  if #list > 2 or list[1] == "" or list[2] == "" then
    fail(("between=%s is not two texts"):format(between), "for example between=gemini,openai, between=2026-11-20,now or between=1,3")
  end
  local a, provider_a = side(list[1])
  local b, provider_b = side(list[2] or "now")
  return function(rows) return a(rows), b(rows) end, { provider_a, provider_b }
end

-- A provider that no picture here has words from was meant otherwise.
local function check_providers(asked, seen)
  local names = { "now", "first", "person" }
  for name in pairs(seen) do names[#names + 1] = name end
  table.sort(names)
  for _, name in pairs(asked or {}) do
    if not seen[name] then
      local near = suggest.closest(name, names)
      fail(("no text here is of '%s'"):format(name), near and ("did you mean '%s'?"):format(near) or "there are " .. table.concat(names, ", ")
        .. ", numbers as in the log, and times")
    end
  end
end

local function put(picture, old, new)
  log.put_marked { { "strong", telling.title(picture) },
    { "faint", ("   %s, %s -> %s, %s"):format(telling.who(old), telling.when(old), telling.who(new), telling.when(new)) } }
  local parts = { "  " }
  for _, part in ipairs(difference.words(old.text, new.text)) do
    parts[#parts + 1] = type(part) == "table" and { part[1], telling.indented(part[2], 2) } or telling.indented(part, 2)
  end
  log.put_marked(parts)
end

--- diff FILE|FOLDER [between=A,B]
---@param store table
---@param words string[]
---@param params table<string, string>
---@return integer exit
function M.run(store, words, _, params)
  local both, asked = choose(params.between)
  local pictures, folder = named.pictures(store, words[1])
  local seen, found, same, lacking = {}, {}, 0, 0
  for _, picture in ipairs(pictures) do
    if script.interrupted() > 0 then fail("stopped", nil, 130) end
    local rows = store:captions(picture.sha)
    for _, row in ipairs(rows) do if row.author == "model" and row.provider then seen[row.provider] = true end end
    local old, new = both(rows)
    if not old or not new then lacking = lacking + 1
    elseif old.text == new.text then same = same + 1
    else found[#found + 1] = { picture, old, new } end
  end
  check_providers(asked, seen)
  for _, change in ipairs(found) do put(table.unpack(change)) end
  if not folder and #found == 0 then
    log.put_words(same > 0 and ("%s: the two texts are the same"):format(words[1]) or params.between and ("%s does not have both texts"):format(words[1])
      or ("%s has one text only"):format(words[1]))
  elseif folder then
    log.put_words(("%d of %s differ%s%s"):format(#found, set.count(#pictures), same > 0 and (", %d are the same"):format(same) or "",
      lacking > 0 and (", %d do not have both texts"):format(lacking) or ""))
  end
  return 0
end

return M
