-- scorer.lua - BLIP's matcher at work: pictures and texts in, how sure it is that each text belongs to its picture out, a batch at a time.
--
--   local it, message, code = scorer.open { model = hub_folder.blip(path, "matcher"), device =, dtype =, batch = 4, memory = bytes }
--   local found = it:score(floats, { "a red door", "a cat" })     -- { { match = 0.97, cut = 0 }, ... }; floats: image.floats of as many pictures
--   it:close()

local blip = require "models.blip"
local layers = require "models.layers"
local part = require "models.part"

local scorer = {}

--- Pieces of words that are read of a text, [CLS] and [SEP] with them: so it was trained (BLIP's blip_itm.py).
scorer.MOST = 35

local Scorer = {}
Scorer.__index = Scorer

-- The plan for these options, with its weights in it.
local function prepare(it, o)
  local g = layers.new { device = o.device, dtype = o.dtype, forward = true }
  it.io = blip.matcher(g, o.model.part:weights(g), it.config, { batch = o.batch, length = it.length, mean = o.model.looks.mean, spread = o.model.looks.spread })
  local message, code
  it.plan, message, code = part.plan(g, o.model.part, o)
  return it.plan, message, code
end

--- options: model from hub_folder.blip, device, dtype "f32" | "f16" | "bf16", batch, memory (bytes, nil: not looked at). The caller closes it.
---@return table? it
---@return string? message
---@return string? code
function scorer.open(options)
  local config = options.model.config
  local it = setmetatable({ config = config, options = options, words = options.model.words, last = options.model.words:id "[SEP]",
    length = math.min(scorer.MOST, config.places) }, Scorer)
  local fine, ok, message, code = pcall(prepare, it, options)
  if not fine then ok, message, code = nil, tostring(ok), "FORMAT" end
  if not ok then
    it:close()
    return nil, message, code
  end
  return it
end

function Scorer:close()
  if self.plan then self.plan:close() end
  self.plan = nil
end

--- For each of at most `batch` pictures, f32 bytes [count, side, side, 3] from -1 to 1, and its text: match, the probability from 0 to 1 that the text
--- belongs to it, and cut, how many pieces of words were too many. A picture has `why` instead of a match where its text cannot be read, or no number
--- came of it.
---@param floats string
---@param texts string[]
---@return { match: number?, cut: integer?, why: string? }[]? found
---@return string? message
---@return string? code
function Scorer:score(floats, texts)
  local o, io, c, plan = self.options, self.io, self.config, self.plan
  local ids, mask, found = {}, {}, {}
  for b = 1, o.batch do
    local row, cut, code
    if texts[b] then
      row, cut, code = self.words:encode(texts[b], self.length)
      if not row and code ~= "FORMAT" then return nil, cut, code end
      found[b] = { cut = row and cut, why = not row and cut or nil }
    end
    local last = 1 -- what is read ends with the last [SEP]
    for i = 1, row and self.length or 0 do if row[i] == self.last then last = i end end
    for i = 1, self.length do ids[#ids + 1], mask[#mask + 1] = row and row[i] or c.pad, i <= last and 0 or io.unseen end
  end
  local each = c.vision.side * c.vision.side * 3 * 4
  plan:set(io.pixels, floats .. ("\0"):rep((o.batch - #texts) * each))
  plan:set(io.ids, ids)
  plan:set(io.mask, mask)
  local ok, message, code = plan:run "sample"
  if not ok then return nil, message, code end
  local logits
  logits, message, code = plan:get(io.match)
  if not logits then return nil, message, code end
  for b, one in ipairs(found) do
    local p = 1 / (1 + math.exp(logits[2 * b - 1] - logits[2 * b])) -- softmax of two
    if not one.why and not (math.abs(logits[2 * b - 1]) < math.huge and math.abs(logits[2 * b]) < math.huge) then
      one.why = "the model gave no number for it; with dtype = \"f32\" it may"
    end
    if not one.why then one.match = p end
  end
  return found
end

return scorer
