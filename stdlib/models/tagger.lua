-- tagger.lua - WD14 at work: pictures in, how sure it is of each tag out, a batch at a time.
--
--   local it <close>, message, code = tagger.open { model = hub_folder.wd14(path), device =, dtype =, batch = 4, memory = bytes }
--   local found = it:look(floats, 3)            -- of 3 pictures: found[k][i] is how sure it is of the kth's tag i
--                                               -- { over = true } of one in which the model's numbers ran over

local part = require "models.part"
local wd14 = require "models.wd14"

local tagger = {}

local Tagger = {}
Tagger.__index = Tagger

--- options: model from hub_folder.wd14, device, dtype "f32" | "f16" | "bf16", batch, memory (bytes, nil: not looked at). The caller closes it.
---@return table? it
---@return string? message
---@return string? code
function tagger.open(options)
  local model = options.model
  local plan, io, code = part.plan(model.part, options, function(g, w, batch) return wd14.tagger(g, w, model.config, { batch = batch }) end)
  if not plan then return nil, io, code end
  return setmetatable({ config = model.config, options = options, plan = plan, io = io }, Tagger)
end

function Tagger:close() self.plan:close() end
Tagger.__close = Tagger.close

-- One picture's numbers of all; none where one is no number, for what runs over does not stay in one place.
local function of_one(all, from, count)
  local list = table.move(all, from + 1, from + count, 1, {})
  for _, p in ipairs(list) do if p ~= p then return { over = true } end end
  return list
end

--- For each of `count` pictures, at most the batch, in `floats` f32 bytes [count, side, side, 3] from -1 to 1: probabilities from 0 to 1 of the model's
--- tags.
---@param floats string
---@param count integer
---@return (number[] | { over: boolean })[]? found over: the model's numbers ran over in it
---@return string? message
---@return string? code
function Tagger:look(floats, count)
  local each = self.config.side * self.config.side * 3 * 4
  self.plan:set(self.io.pixels, floats .. ("\0"):rep((self.options.batch - count) * each))
  local ok, message, code = self.plan:run "sample"
  if not ok then return nil, message, code end
  local all
  all, message, code = self.plan:get(self.io.probabilities)
  if not all then return nil, message, code end
  local found, tags = {}, self.config.tags
  for k = 1, count do found[k] = of_one(all, (k - 1) * tags, tags) end
  return found
end

return tagger
