-- tokens.lua - how much of a caption the text encoder sees.
--
--   local t = tokens.new { base = "models/sd15" }      -- its tokenizer; without a base (or without its files) an estimate for CLIP
--   local count, exact = t:count(caption)              -- places, without the two that every text has
--   if count > t.most then local from = t:beyond(caption) ... end     -- from this byte on nothing is seen; t.most is 75 for CLIP
--   filter.compile("tokens:>75", { tokens = t.counter })
--   tokens.triggers("zkr, a zkr door", "zkr")          --> { { 1, 3 }, { 8, 10 } }: bytes, whole words only
local folder = require "models.folder"
local cache = require "hub.cache"
local fs = require "native.fs"
local places = require "caption.places"
local trigger = require "recipe.trigger"

local M = {}
local Tokens = {}
Tokens.__index = Tokens

--- `why` tells why there is an estimate only; nil when the count is exact.
---@param options? { base?: string }
---@return { most: integer, why?: string, counter: fun(s: string): integer }
function M.new(options)
  local self = setmetatable({ most = places.CLIP }, Tokens)
  local base = options and options.base
  if base then
    local path = base:gsub("/+$", "") .. "/tokenizer"
    fs.grant(cache.root(path), "read")
    local tokenizer, length = folder.tokenizer(path)
    if tokenizer then
      self.tokenizer = tokenizer
      if math.type(length) == "integer" and length > 2 and length < 10000 then self.most = length - 2 end
    else
      self.why = length
    end
  else
    self.why = "an estimate: no base is named whose tokenizer could count; calotype view FOLDER base=models/sd15 names one"
  end
  self.counter = function(s) return (self:count(s)) end
  return self
end

---@param s string
---@return integer count, boolean exact
function Tokens:count(s) return places.count(s, self.tokenizer) end

--- The byte from which on the encoder sees nothing; nil when it sees all.
---@param s string
---@return integer?
function Tokens:beyond(s)
  if self:count(s) <= self.most then return nil end
  local ends, starts = {}, {}
  for from, part in s:gmatch "()(%S+)" do
    starts[#starts + 1], ends[#ends + 1] = from, from + #part - 1
  end
  -- The first word that is not seen whole: a prefix never takes more places than the text.
  local low, high = 1, #ends
  while low < high do
    local middle = (low + high) // 2
    if self:count(s:sub(1, ends[middle])) > self.most then high = middle else low = middle + 1 end
  end
  local from = starts[low]
  if ends[low] - from < 32 then return from end
  -- scripts without spaces: letter by letter
  local at = from
  while at <= ends[low] do
    local after = utf8.offset(s, 2, at) or #s + 1
    if self:count(s:sub(1, after - 1)) > self.most then return at end
    at = after
  end
  return from
end

--- Where the trigger stands.
---@param s string
---@param word? string
---@return { [1]: integer, [2]: integer }[]
function M.triggers(s, word)
  if not word or word == "" or s == "" then return {} end
  return trigger.places(s, word)
end

return M
