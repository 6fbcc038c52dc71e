-- matching.lua - how well captions belong to their pictures, by a model on this machine's device: a number from 0 to 1 each, computed once.
--
--   matching.declare(options, state)                                  -- while a recipe is read
--   local done = matching.score(context, options, rows)               -- rows: { item =, text = }; done.values[i], nil where none came
--   local plan = matching.plan(context, options, rows)                -- the same, only counted: plan.known, plan.open
--
-- A number is kept under the picture's content, the text, the model's content and how its weights are held. It is no part of that how many pictures go
-- at once.
local alone = require "recipe.alone"
local hash = require "native.hash"
local hub_folder = require "models.hub_folder"
local json = require "native.json"
local log = require "native.log"
local looking = require "caption.looking"
local matched = require "caption.matched"
local part = require "models.part"
local scorer = require "models.scorer"

local M = {}

local VERSION = 1
local KIND = "match"

function M.declare(options, state) looking.declare(options, state, "matcher") end

-- What a number depends on besides the picture and its text.
local function question(options, print)
  local kept = looking.question(options)
  kept.version = VERSION
  return json.encode(kept) .. "\n" .. print .. "\n"
end

local function key_of(question_, row) return hash.sha256(question_ .. row.item.sha256 .. "\n" .. row.text) end

-- What the store has, and rows that stand for those it has not: those of the same picture and text are one.
local function look(store, question_, rows)
  local done, open_, seen = { values = {}, known = 0, computed = 0, cut = 0 }, {}, {}
  for i, row in ipairs(rows) do
    local key = key_of(question_, row)
    local value = tonumber(store:get(KIND, key) or nil)
    if value then
      done.values[i], done.known = value, done.known + 1
    elseif seen[key] then
      table.insert(seen[key].at, i)
    else
      seen[key] = { key = key, at = { i }, item = row.item, text = row.text }
      open_[#open_ + 1] = seen[key]
    end
  end
  return done, open_
end

local function compute(context, options, open_, done)
  local store, items = context.store(), {}
  for n, one in ipairs(open_) do items[n] = one.item end
  local bar <close> = log.progress("scores", #open_)
  local about = { kind = "matcher", key = "model", open = scorer.open,
    rest = function() return "the window's filter -is:scored shows them (`calotype view`)" end }
  function about.look(it, floats, numbers)
    local texts = {}
    for k, n in ipairs(numbers) do texts[k] = open_[n].text end
    return it:score(floats, texts)
  end
  function about.leave(n, why, _, left) left:tell(items[n], why) end
  function about.take(n, one, told, left)
    local asked = open_[n]
    if not one.match then return about.leave(n, one.why, told, left) end
    store:put(KIND, asked.key, ("%.17g"):format(one.match))
    -- A run that is stopped leaves what it found to those who only look, too.
    if matched.note(store, asked.item.sha256, asked.text, one.match) then matched.told(store) end
    for _, i in ipairs(asked.at) do done.values[i] = one.match end
    done.computed, done.cut = done.computed + #asked.at, done.cut + (one.cut > 0 and #asked.at or 0)
    bar:set(n)
  end
  looking.at(items, options, context, about)
end

--- Compute what the store has not. cut: how many of the texts that were read now were longer than the model reads.
---@param options table of :score
---@param rows { item: calotype.item, text: string }[]
---@return { values: table<integer, number>, known: integer, computed: integer, cut: integer }
function M.score(context, options, rows)
  if #rows == 0 then return { values = {}, known = 0, computed = 0, cut = 0 } end
  local store = context.store()
  local asked = question(options, looking.depends(options, context, "matcher"))
  local done, open_ = look(store, asked, rows)
  if #open_ > 0 then
    local _ <close> = alone.asking(store, function() context.fail("stopped", { exit = 130, hint = "scores so far are kept" }) end)
    done, open_ = look(store, asked, rows)
    if #open_ > 0 then compute(context, options, open_, done) end
  end
  store:batch(function()
    local new = false
    for i, row in ipairs(rows) do
      if done.values[i] then new = matched.note(store, row.item.sha256, row.text, done.values[i]) or new end
    end
    if new then matched.told(store) end
  end)
  return done
end

--- What a run would do: how many are known, how many would be computed.
---@return { values: table<integer, number>, known: integer, open: integer }
function M.plan(context, options, rows)
  if #rows == 0 then return { values = {}, known = 0, open = 0 } end
  local done = look(context.store(), question(options, looking.depends(options, context, "matcher")), rows)
  done.open = #rows - done.known
  return done
end

--- How many of these are known, for `check`: nothing is written, and a model that was never read is not read for it.
---@param rows { item: { sha256: string }, text: string }[]
---@return integer known
function M.known(store, options, rows)
  local model = hub_folder.open(options.model, "matcher")
  local print = model and part.fingerprint(store, model.part, true)
  return print and look(store, question(options, print), rows).known or 0
end

return M
