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

local found = setmetatable({}, { __mode = "k" }) -- item -> the words to ask about, and what was looked up for them

-- The words of a caption as it goes out, and of it as it stands here. What stands in a file has its backslashes; recipes read it as it was meant.
local function look(self, item)
  local known, word = found[item], item.trigger or self.trigger
  if known and known.caption == item.caption and known.out == item.out and known.out_of == item.out_of and known.word == word then return known end
  local own = matched.text(item.sidecar and tags.meant(item.caption) or item.caption, word)
  local text = item.out and item.out_of == item.caption and matched.text(item.out, word) or own
  known = { caption = item.caption, out = item.out, out_of = item.out_of, word = word, own = own, text = text }
  found[item] = known
  return known
end

---@return string?
function M.asked(self, item) return look(self, item).text end

---@param item table
---@return number?
function M.match(self, item)
  if not item.sha256 or item.caption == "" or item.draft and item.draft ~= item.caption then return nil end
  local known = look(self, item)
  if known.sha256 ~= item.sha256 or known.stamp ~= self.matches then
    known.sha256, known.stamp = item.sha256, self.matches
    known.match = known.text and matched.last(self.store, item.sha256, known.text)
    if not known.match and known.own and known.own ~= known.text then known.match = matched.last(self.store, item.sha256, known.own) end
  end
  return known.match or nil
end

---@return boolean
function M.new_matches(self)
  local stamp = matched.stamp(self.store)
  if stamp == self.matches then return false end
  self.matches = stamp
  self:changed()
  return true
end

return M
