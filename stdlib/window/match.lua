-- match.lua - how well captions belong to their pictures, where :score computed it: the numbers that the store has. No model is asked here.
--
--   p:match(item)                     --> 0.83; nil where nobody asked about this picture with this text
--   p:new_matches()                   -- now and then: true when numbers were computed since, by whomever
--   match.asked(p, item)              --> the words that a model is asked about: without the trigger; nil where there are none
--
-- A number belongs to a content and a text: a caption that is another has none until it is asked about, and has it again when it is taken back.
-- One that is being written has none. Of a recipe the text is the one that goes out. The first two are methods of a project (project.lua).
local matched = require "caption.matched"
local tags = require "caption.tags"

local M = {}

local found = setmetatable({}, { __mode = "k" }) -- item -> what was looked up, and for which text

local function words_of(self, item, text) return matched.text(text, item.trigger or self.trigger) end

-- What stands in a file has its backslashes; recipes read it as it was meant.
local function own(self, item) return words_of(self, item, item.sidecar and tags.meant(item.caption) or item.caption) end

---@return string?
function M.asked(self, item)
  if item.out and item.out_of == item.caption then return words_of(self, item, item.out) end
  return own(self, item)
end

---@param item table
---@return number?
function M.match(self, item)
  if not item.sha256 or item.caption == "" or item.draft and item.draft ~= item.caption then return nil end
  local stamp, word, known = self.matches or "", self.trigger, found[item]
  if known and known.caption == item.caption and known.out == item.out and known.sha256 == item.sha256 and known.stamp == stamp and known.word == word then
    return known.match
  end
  local text, plain = M.asked(self, item), own(self, item)
  local value = text and matched.last(self.store, item.sha256, text)
  if not value and plain and plain ~= text then value = matched.last(self.store, item.sha256, plain) end
  found[item] = { caption = item.caption, out = item.out, sha256 = item.sha256, stamp = stamp, word = word, match = value }
  return value
end

---@return boolean
function M.new_matches(self)
  local stamp = matched.stamp(self.store)
  if stamp == (self.matches or "") then return false end
  self.matches = stamp
  self:changed()
  return true
end

return M
