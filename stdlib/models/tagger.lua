-- tagger.lua - WD14 at work: pictures in, how sure it is of each tag out, a batch at a time.
--
--   local it <close>, message, code = tagger.open { model = hub_folder.wd14(path), device =, dtype =, batch = 4, memory = bytes }
--   local found = it:look(floats, 3)            -- [4, tags], of 3 pictures: found[(k - 1) * #model.tags + i] is how sure it is of the kth's tag i

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

--- Probabilities from 0 to 1 of the model's tags, one picture after the other: `count` of them, in `floats` f32 bytes [count, side, side, 3] from
--- -1 to 1, count at most the batch; what follows them is of nothing. FORMAT: the model's numbers ran over.
---@param floats string
---@param count integer
---@return number[]? found
---@return string? message
---@return string? code
function Tagger:look(floats, count)
  local each = self.config.side * self.config.side * 3 * 4
  self.plan:set(self.io.pixels, floats .. ("\0"):rep((self.options.batch - count) * each))
  local ok, message, code = self.plan:run "sample"
  if not ok then return nil, message, code end
  local found
  found, message, code = self.plan:get(self.io.probabilities)
  if not found then return nil, message, code end
  for k = 0, count - 1 do -- what runs over in a picture is in each of its numbers
    local p = found[k * self.config.tags + 1]
    if p ~= p then return nil, "what it says of a tag is not a number", "FORMAT" end
  end
  return found
end

return tagger
