-- scorer.lua - BLIP's matcher at work: pictures and texts in, how sure it is that each text belongs to its picture out, a batch at a time.
--
--   local it <close>, message, code = scorer.open { model = hub_folder.blip(path, "matcher"), device =, dtype =, batch = 4, memory = bytes }
--   local found = it:score(floats, { "a red door", "a cat" })     -- { { match = 0.97, cut = 0 }, ... }; floats: image.floats of as many pictures

local blip = require "models.blip"
local part = require "models.part"

local scorer = {}

--- Pieces of words that are read of a text, [CLS] and [SEP] with them: so it was trained (BLIP's blip_retrieval.py).
scorer.MOST = 35

local Scorer = {}
Scorer.__index = Scorer

--- options: model from hub_folder.blip, device, dtype "f32" | "f16" | "bf16", batch, memory (bytes, nil: not looked at). The caller closes it.
---@return table? it
---@return string? message
---@return string? code
function scorer.open(options)
  local model, config = options.model, options.model.config
  local length = math.min(scorer.MOST, config.places)
  local plan, io, code = part.plan(model.part, options, function(g, w, batch)
    return blip.matcher(g, w, config, { batch = batch, length = length, mean = model.looks.mean, spread = model.looks.spread })
  end)
  if not plan then return nil, io, code end
  return setmetatable({ config = config, options = options, words = model.words, last = model.words:id "[SEP]", length = length, plan = plan, io = io },
    Scorer)
end

function Scorer:close() self.plan:close() end
Scorer.__close = Scorer.close

--- For each of at most `batch` pictures, f32 bytes [count, side, side, 3] from -1 to 1, and its text: match, the probability from 0 to 1 that the text
--- belongs to it, and cut, how many pieces of words were too many. Instead of a match it has `why` where its text cannot be read, `over` where the
--- model's numbers ran over.
---@param floats string
---@param texts string[]
---@return { match: number?, cut: integer?, why: string?, over: boolean? }[]? found
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
    local no, yes = logits[2 * b - 1], logits[2 * b]
    if not one.why then
      if math.abs(no) < math.huge and math.abs(yes) < math.huge then one.match = 1 / (1 + math.exp(no - yes)) -- softmax of two
      else one.over = true end
    end
  end
  return found
end

return scorer
