-- generate.lua - texts, a token at a time: the likeliest, or the best of several beams.
--
--   local writer = generate.writer { last = 102, prompt = { 30522 }, beams = 3, most = 20, least = 5, penalty = 1, length_penalty = 1 }
--   writer:step(function(_, rules) return text.best(first, 1, vocabulary, rules) end)      -- what may come first
--   while not writer:done() do
--     local id, from = writer:row(b)                                        -- what beam b reads now, and the beam that it goes on from
--     ... and the model, for all beams ...
--     writer:step(function(b, rules) return text.best(logits, b, vocabulary, rules) end)
--   end
--   writer:texts()                                                          -- { { ids = { ... }, score = }, ... }, best first
--
-- One writer is one picture's texts; what others in its batch do changes nothing. The rules are those of transformers 5's greedy and beam
-- search (generation/utils.py, early_stopping = false): of each step the best 2 * beams continuations are looked at, an end counts only among
-- the first `beams`, the search ends when no open text can become better than the worst finished one.

local generate = {}

local Writer = {}
Writer.__index = Writer

---@param options { prompt: integer[], last: integer, beams: integer, most: integer, least?: integer, penalty?: number, length_penalty?: number }
---   prompt: the tokens that are there, most: tokens at most with them, least: no end before there are so many
function generate.writer(options)
  return setmetatable({ o = options, open = { { ids = options.prompt, score = 0, from = 1 } }, finished = {}, length = #options.prompt,
    hopeful = #options.prompt < options.most }, Writer)
end

function Writer:done() return not self.hopeful end

--- Nothing more is written.
function Writer:stop() self.hopeful = false end

--- The last token of beam b and which beam of the step before it goes on from. Beams that are not needed repeat the first.
function Writer:row(b)
  local it = self.open[b] or self.open[1]
  return it.ids[#it.ids], it.from
end

-- ids with one more.
local function longer(ids, id)
  local list = table.move(ids, 1, #ids, 1, {})
  list[#list + 1] = id
  return list
end

local function by_score(a, b)
  if a.score ~= b.score then return a.score > b.score end
  if a.from ~= b.from then return a.from < b.from end
  return a.id < b.id
end

--- One step. best(b, rules) gives what may follow beam b, { ids }, { scores }: rules are text.best's.
---@return boolean? ok
---@return string? message
---@return string? code
function Writer:step(best)
  local o = self.o
  local many = o.beams > 1
  local looked_at, list = many and 2 * o.beams or 1, {}
  for b, it in ipairs(self.open) do
    local ids, scores, code = best(b, { count = looked_at, logarithms = many, penalty = o.penalty, seen = it.ids,
      never = self.length < (o.least or 0) and o.last or nil })
    if not ids then return nil, scores, code end
    for i, id in ipairs(ids) do list[#list + 1] = { id = id, score = (many and it.score or 0) + scores[i], from = b, ids = it.ids } end
  end
  if many then table.sort(list, by_score) end
  local full, open = self.length + 1 >= o.most, {}
  local divisor = (self.length + 1 - #o.prompt) ^ (o.length_penalty or 1)
  for i = 1, math.min(#list, looked_at) do
    local it = list[i]
    if full or it.id == o.last then
      if i <= o.beams then
        table.insert(self.finished, { ids = longer(it.ids, it.id), score = it.score / divisor, id = it.id, from = #self.finished })
      end
    elseif #open < o.beams then
      open[#open + 1] = { ids = longer(it.ids, it.id), score = it.score, from = it.from }
    end
  end
  table.sort(self.finished, by_score)
  for i = #self.finished, o.beams + 1, -1 do self.finished[i] = nil end
  self.open, self.length = open, self.length + 1
  local worst = self.finished[o.beams]
  self.hopeful = #open > 0 and not full and (not worst or many and open[1].score / divisor > worst.score)
  return true
end

--- What was written, best first: ids with the prompt, and the end where there is one.
function Writer:texts() return self.finished end

return generate
