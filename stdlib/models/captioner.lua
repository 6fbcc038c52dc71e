-- captioner.lua - BLIP at work: pictures in, texts out, a batch at a time.
--
--   local it <close>, message, code = captioner.open { model = hub_folder.blip(path, "captioner"), device =, dtype =, batch = 4, prompt = "a picture of",
--     beams = 3, longest = 20, shortest = 5, penalty = 1, memory = bytes }
--   local texts = it:write(floats, 3)           -- { { text =, ids =, score =, ended = }, ... } of 3 pictures; floats: image.floats of as many
--                                               -- { over = true } of one in which the model's numbers ran over

local blip = require "models.blip"
local generate = require "models.generate"
local part = require "models.part"
local text = require "native.text"

local captioner = {}

-- Tokens that are no words.
local MARKS = { "[UNK]", "[SEP]", "[CLS]", "[PAD]", "[MASK]" }

local Captioner = {}
Captioner.__index = Captioner

--- The tokens that texts begin with, and whether there is room for more: what can be said of `options` (model, prompt, beams, longest) before anything
--- is computed.
---@return integer[]? prompt
---@return string? message
---@return string? code
---@return string? option the one that it is about
function captioner.prompt(options)
  local c = options.model.config
  local asked, message, code = options.model.words:tokens(options.prompt)
  if not asked then return nil, message, code end
  local said = options.model.words:decode(asked)
  for _, mark in ipairs(MARKS) do
    if said:find(mark, 1, true) then
      return nil, mark == "[UNK]" and "this model has no word for a part of the prompt; letters, digits and points of its language are known"
        or mark == "[SEP]" and "the prompt has [SEP] in it, which ends a text" or ("the prompt has %s in it, which is no word"):format(mark), "ARG", "prompt"
    end
  end
  if #asked + 1 >= options.longest then
    return nil, ("the prompt has %d tokens, so a caption of %d has no room"):format(#asked, options.longest), "ARG", "longest"
  end
  if options.longest > c.places then
    return nil, ("%d tokens are asked for; this model writes %d at most"):format(options.longest, c.places), "ARG", "longest"
  end
  if options.beams > 1 and 2 * options.beams > c.vocabulary then
    return nil, ("%d beams look at the %d likeliest words of each step; this model knows %d"):format(options.beams, 2 * options.beams, c.vocabulary),
      "ARG", "beams"
  end
  return { c.first, table.unpack(asked) }
end

--- options: model from hub_folder.blip, device, dtype "f32" | "f16" | "bf16", batch, prompt (text), beams, longest and shortest (tokens, those of the
--- prompt with them), penalty, memory (bytes, nil: not looked at). The caller closes it.
---@return table? it
---@return string? message
---@return string? code
function captioner.open(options)
  local o, model = options, options.model
  local prompt, message, code = captioner.prompt(o)
  if not prompt then return nil, message, code end
  local plan, io
  plan, io, code = part.plan(model.part, o, function(g, w, batch)
    return blip.captioner(g, w, model.config, { batch = batch, beams = o.beams, prompt = #prompt, length = o.longest, mean = model.looks.mean,
      spread = model.looks.spread })
  end, o.beams > 1 and { "fewer beams", "a smaller longest" } or { "a smaller longest" })
  if not plan then return nil, io, code end
  return setmetatable({ config = model.config, options = o, words = model.words, prompt = prompt, plan = plan, io = io }, Captioner)
end

function Captioner:close() self.plan:close() end
Captioner.__close = Captioner.close

-- What every beam reads now, and where it goes on from; a picture whose texts are done reads padding.
local function rows(writers, beams, pad)
  local ids, from, busy = {}, {}, false
  for b, writer in ipairs(writers) do
    local done = writer:done()
    busy = busy or not done
    for k = 1, beams do
      local id, row = pad, 1
      if not done then id, row = writer:row(k) end
      ids[#ids + 1], from[#from + 1] = id, (b - 1) * beams + row - 1
    end
  end
  return busy and ids, from
end

-- One step of each writer that is not done: `row` gives the row of its beam k. A picture whose logits are no numbers is over, without a text.
local function choose(writers, over, logits, vocabulary, row)
  for b, writer in ipairs(writers) do
    if not writer:done() then
      local ok, message, code = writer:step(function(k, rules) return text.best(logits, row(b, k), vocabulary, rules) end)
      if not ok and code ~= "FORMAT" then return nil, message, code end
      if not ok then
        over[b] = true
        writer:stop()
      end
    end
  end
  return true
end

--- The words of a text as people write them: without its first token, `last` and others that are no words, no blanks before points or around
--- apostrophes and hyphens.
---@param words userdata the tokenizer
---@param ids integer[]
---@param last integer the end's token
---@return string
function captioner.spoken(words, ids, last)
  local list, marks = {}, {}
  for _, mark in ipairs(MARKS) do marks[words:id(mark) or last] = true end
  for i, id in ipairs(ids) do if i > 1 and id ~= last and id < words:size() and not marks[id] then list[#list + 1] = id end end
  local said = words:decode(list)
  return (said:gsub(" ([%.,!%?;:])", "%1"):gsub("(%w) (['%-]) (%w)", "%1%2%3"):gsub("(%w) (['%-]) (%w)", "%1%2%3"))
end

--- The texts of as many pictures as there are in `floats`: f32 bytes [count, side, side, 3] from -1 to 1, count at most the batch. `poll` is called
--- between tokens; what it returns that is not nil ends the work and is handed on.
---@return { text: string?, ids: integer[]?, score: number?, ended: boolean?, over: boolean? }[]? texts over: the model's numbers ran over in it
---@return string? message
---@return string? code
function Captioner:write(floats, count, poll)
  local o, io, c, plan = self.options, self.io, self.config, self.plan
  local each = c.vision.side * c.vision.side * 3 * 4
  local start, writers, over = {}, {}, {}
  for b = 1, o.batch do
    for _, id in ipairs(self.prompt) do start[#start + 1] = id end
    if b <= count then
      writers[b] = generate.writer { prompt = self.prompt, last = c.last, beams = o.beams, most = o.longest, least = o.shortest, penalty = o.penalty }
    end
  end
  plan:set(io.pixels, floats .. ("\0"):rep((o.batch - count) * each))
  plan:set(io.start, start)
  local ok, message, code = plan:run "accumulate"
  if not ok then return nil, message, code end
  local logits
  logits, message, code = plan:bytes(io.first)
  if not logits then return nil, message, code end
  ok, message, code = choose(writers, over, logits, c.vocabulary, function(b) return b end)
  if not ok then return nil, message, code end
  for place = #self.prompt, o.longest - 1 do
    local ids, from = rows(writers, o.beams, c.pad)
    if not ids then break end
    if poll then
      message, code = poll()
      if message then return nil, message, code end
    end
    for i = #ids + 1, o.batch * o.beams do ids[i], from[i] = c.pad, i - 1 end
    local here, mask = {}, {}
    for i = 1, o.longest do here[i], mask[i] = i - 1 == place and 1 or 0, i - 1 <= place and 0 or io.unseen end
    plan:set(io.ids, ids)
    if io.from then plan:set(io.from, from) end
    plan:set(io.place, { place })
    plan:set(io.here, here)
    plan:set(io.mask, mask)
    ok, message, code = plan:run "sample"
    if not ok then return nil, message, code end
    logits, message, code = plan:bytes(io.next)
    if not logits then return nil, message, code end
    ok, message, code = choose(writers, over, logits, c.vocabulary, function(b, k) return (b - 1) * o.beams + k end)
    if not ok then return nil, message, code end
  end
  local texts = {}
  for b, writer in ipairs(writers) do
    local best = not over[b] and writer:texts()[1]
    texts[b] = best and { ids = best.ids, score = best.score, ended = best.ids[#best.ids] == c.last,
      text = captioner.spoken(self.words, best.ids, c.last) } or { over = true }
  end
  return texts
end

return captioner
