-- pictures.lua - the pictures on the screen: decoded by the loader's threads once they are seen, forgotten when they are scrolled away before
-- their turn, and kept within a bound.
--
--   local pictures = Pictures.new(window, loader)
--   local texture, trouble = pictures:thumb(item)       -- nil while it is on its way
--   pictures:rest()                                     -- at the end of a pass: who was not looked at is not waited for
--   pictures:arrive(function(answer) ... end)           -- take what is ready; answers that are no pictures go to the function
--
-- The bound is MOST bytes of textures, thumbnails and large pictures together; those not seen for longest go first.
local log = require "native.log"

local M = {}

local SLICE = 0.02 -- seconds
M.MOST = 256 << 20 -- bytes
local SIDES = { 512, 1024, 2048, 4096, 16384 } -- a picture is asked for at the next of these, in pixels of its longer side
local THUMB, LARGE, LATER = 20, 30, 10 -- urgency

---@class calotype.pictures
local Pictures = {}
Pictures.__index = Pictures

---@param window table
---@param loader table
---@return calotype.pictures
function M.new(window, loader)
  return setmetatable({ window = window, loader = loader, known = {}, asked = {}, tags = {}, tag = 0, bytes = 0, pass = 0, others = {} }, Pictures)
end

-- What a picture is known by: its file as it was when it was listed.
local function name(item, what) return ("%s|%s|%s"):format(what, item.mtime_ns or 0, item.path) end

local function entry(self, key)
  local known = self.known[key]
  if known then known.seen = self.pass end
  return known
end

local function ask(self, key, item, what, side, urgency)
  local asked = self.asked[key]
  if asked then
    asked.seen = self.pass
    return
  end
  self.tag = self.tag + 1
  if not self.loader:ask(self.tag, { path = item.path, what = what, side = side, urgency = urgency }) then return end -- no memory: in the next pass
  self.asked[key] = { tag = self.tag, seen = self.pass }
  self.tags[self.tag] = key
end

--- Its thumbnail. Second: why there is none and will be none.
---@return table? texture, string? trouble
function Pictures:thumb(item)
  local key = name(item, "thumb")
  local known = entry(self, key)
  if known then return known.texture, known.error end
  ask(self, key, item, "thumb", nil, THUMB)
end

--- The picture with at least `side` pixels on its longer side, or all it has; until that is there the best of what is.
---@return table? texture, string? trouble, boolean? coming
function Pictures:picture(item, side, later)
  local best, wanted, trouble
  for i, size in ipairs(SIDES) do
    local known = entry(self, name(item, size))
    if known then
      best, trouble = known.texture or best, known.error or trouble
      if size >= side or known.whole then return known.texture, known.error end
    end
    if not wanted and (size >= side or i == #SIDES) then wanted = size end
  end
  if trouble then return best, trouble end
  ask(self, name(item, wanted), item, "picture", wanted, later and LATER or LARGE)
  return best or self:thumb(item), nil, true
end

--- Ask for what is no picture ("identify", "measure"); the answer comes with `item`. Refused for want of memory: no answer comes.
---@return boolean? ok, string? message, string? code
function Pictures:ask(item, what, urgency)
  self.tag = self.tag + 1
  local ok, message, code = self.loader:ask(self.tag, { path = item.path, what = what, urgency = urgency or 0 })
  if ok then self.others[self.tag] = item end
  return ok, message, code
end

--- Take what is ready: at most `most` answers and SLICE seconds, so that no pass is long; how many came, and how many of them were pictures.
---@param other fun(answer: table, item: table)
---@return integer came, integer pictures
function Pictures:arrive(other, most)
  local came, pictures = 0, 0
  local till = log.clock() + SLICE
  while came < (most or 32) and (came == 0 or log.clock() < till) do
    local answer = self.loader:next()
    if not answer then break end
    came = came + 1
    local key, item = self.tags[answer.tag], self.others[answer.tag]
    self.tags[answer.tag], self.others[answer.tag] = nil, nil
    if item then
      other(answer, item)
    elseif key then
      self.asked[key], pictures = nil, pictures + 1
      local texture, message
      if answer.image then texture, message = self.window:texture(answer.image) end
      local bytes = texture and texture:bytes() or 0
      local width, height = 0, 0
      if answer.image then width, height = answer.image:width(), answer.image:height() end
      self.known[key] = { texture = texture, error = answer.error or message, bytes = bytes, seen = self.pass,
        whole = answer.width and math.max(width, height) >= math.max(answer.width, answer.height) }
      self.bytes = self.bytes + bytes
    end
  end
  return came, pictures
end

-- Those not seen for longest go until the rest is within the bound; what was seen in this pass stays.
local function shrink(self)
  if self.bytes <= M.MOST then return end
  local keys = {}
  for key, known in pairs(self.known) do if known.seen < self.pass then keys[#keys + 1] = key end end
  table.sort(keys, function(a, b) return self.known[a].seen < self.known[b].seen end)
  for _, key in ipairs(keys) do
    if self.bytes <= M.MOST * 3 // 4 then return end
    local known = self.known[key]
    if known.texture then known.texture:close() end
    self.bytes, self.known[key] = self.bytes - known.bytes, nil
  end
end

--- The end of a pass that was painted.
function Pictures:rest()
  for key, asked in pairs(self.asked) do
    if asked.seen < self.pass then
      self.loader:forget(asked.tag)
      self.tags[asked.tag], self.asked[key] = nil, nil
    end
  end
  shrink(self)
  self.pass = self.pass + 1
end

--- Whether something is on its way.
function Pictures:waiting() return next(self.asked) ~= nil or next(self.others) ~= nil end

--- The window lost its textures: they are made again when they are seen.
function Pictures:lost()
  for _, known in pairs(self.known) do if known.texture then known.texture:close() end end
  self.known, self.bytes = {}, 0
end

return M
