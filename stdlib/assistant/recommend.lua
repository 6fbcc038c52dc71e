-- recommend.lua - hyperparameters for a folder, each with its reason, as a recipe that passes `calotype check`.
--
--   local advice = recommend.run { folder = "photos", goal = "character", base = "models/sd15" }
--   advice.rows[1]    -- { name = "resolution", value = 512, reason = "what the base draws; ..." }
--   advice.text       -- the recipe
local analyze = require "assistant.analyze"
local auto = require "caption.auto"
local bases = require "recipe.base"
local cache = require "hub.cache"
local consult = require "assistant.consult"
local folder = require "assistant.folder"
local fs = require "native.fs"
local judge = require "assistant.judge"
local script = require "native.script"
local set = require "recipe.set"
local settings = require "assistant.settings"
local size_text = require "size_text"

local M = {}

M.GOALS = { "character", "style", "scene", "object" }

M.settings = settings.define("recommend", judge.with {
  { "goal", "choice", choices = M.GOALS, default = "object", doc = "what is to be learned" },
  { "base", "text", default = "", doc = "the base, a folder as diffusers keeps it; the first in models/ when left out" },
  { "trigger", "text", default = "", doc = "the made-up word that will call it; made from the folder's name when left out" },
  { "memory", "number", min = 0.001, max = 100000, unit = "GB", doc = "what may be used; what the device has when left out" },
  { "recursive", "boolean", default = false, doc = "read the folders below it too" },
  { "to", "text", default = "recipe.lua", doc = "the recipe to write; to= only shows it" },
  { "overwrite", "boolean", default = false, doc = "write over a recipe that is there" },
})

-- What differs by goal: how often each picture is shown, the LoRA's rank, how many steps at most, captions left out, what is drawn on the way.
local BY_GOAL = {
  character = { passes = 100, rank = 16, most = 3000, dropout = 0.05, caption = "a picture of [trigger]",
    prompts = { "a portrait of [trigger]", "[trigger] riding a bicycle" },
    why_passes = "a face wants about 100 looks at each picture", why_rank = "one being in many clothes and poses" },
  style = { passes = 60, rank = 32, most = 4000, dropout = 0.1, caption = "a picture in the style of [trigger]",
    prompts = { "a lighthouse, [trigger]", "a cat on a chair, [trigger]" },
    why_passes = "a style is in every picture, so each is needed less often", why_rank = "a style touches everything that is drawn" },
  scene = { passes = 80, rank = 16, most = 3000, dropout = 0.05, caption = "a view of [trigger]",
    prompts = { "[trigger] at night", "[trigger] in fog" },
    why_passes = "a place wants about 80 looks at each picture", why_rank = "one place from many sides" },
  object = { passes = 80, rank = 8, most = 2000, dropout = 0.05, caption = "a photo of [trigger]",
    prompts = { "a photo of [trigger] on a table", "[trigger] in the snow" },
    why_passes = "a thing wants about 80 looks at each picture", why_rank = "one thing of one form" },
}

local MANY_PASSES, MOST_STEPS = 10, 30000
local FEW, HELD_FROM = 10, 16 -- pictures: below, the rank is halved; from, some are held out

-- The base ----------------------------------------------------------------------------------------------------------------

local DEFAULT_BASE = "models/sd15"

-- The first base in models/.
local function found_base()
  if not fs.grant("models", "read") then return nil end
  for _, entry in ipairs(fs.list "models" or {}) do
    if entry.kind == "folder" and fs.stat(entry.path .. "/unet") and fs.stat(entry.path .. "/vae") then return entry.path end
  end
end

-- path, model or nil, why there is none
local function open_base(given)
  local path = given ~= "" and given:gsub("(.)/+$", "%1") or found_base() or DEFAULT_BASE
  local problem
  local _, _, code = fs.grant(cache.root(path), "read")
  if code == "NOTFOUND" and given == "" then return path, nil, ("there is no base %s; base=FOLDER names one"):format(path) end
  local model = bases.open(path, function(message, hint, what)
    problem = { message, hint, what }
    folder.fail(message, hint, what == "DENIED" and what or "usage")
  end)
  return path, model, problem and problem[1]
end

local function base_sides(model)
  if not model then return 512, 64 end
  local sides = require "models.sides"
  return math.max(sides.own(model)), sides.multiple(model)
end

-- The trigger ---------------------------------------------------------------------------------------------------------------

local PLAIN = { a = true, an = true, the = true, photo = true, picture = true, image = true, this = true, there = true, two = true, one = true, in_ = true }

-- The word that nearly all captions begin with, where it is no word that any caption may begin with.
local function trigger_of_captions(captions)
  local count, all, best = {}, 0, nil
  for _, text in pairs(captions.of) do
    all = all + 1
    local word = text:match "^([%w_%-]+)"
    if word and #word >= 3 and not PLAIN[word:lower()] and not word:find "^%d+%a+$" then
      count[word] = (count[word] or 0) + 1
      if not best or count[word] > count[best] or (count[word] == count[best] and word < best) then best = word end
    end
  end
  return best and all >= 3 and count[best] >= 0.8 * all and best or nil
end

local function made_up(path, model)
  local name = (fs.absolute(path) or path):match "([^/]*)/*$":lower():gsub("[^a-z]", "")
  local word = name:sub(1, 1) .. name:sub(2):gsub("[aeiou]", "")
  word = #word >= 3 and word:sub(1, 4) or word .. "zkr"
  for _ = 1, 3 do
    local ids = model and model.tokenizer:tokens(word)
    if not ids or #ids > 1 then break end
    word = word .. "x"
  end
  return word
end

-- Numbers -------------------------------------------------------------------------------------------------------------------

local function rounded_to(value, step) return math.max(step, math.floor(value / step + 0.5) * step) end

-- The largest side up to the base's that two thirds of the pictures reach.
local function resolution_of(items, own, multiple)
  local step = math.max(multiple, own >= 512 and 64 or multiple)
  local function reach(side)
    local count = 0
    for _, item in ipairs(items) do if math.min(item.width, item.height) >= side then count = count + 1 end end
    return count
  end
  local side = own // multiple * multiple
  while side > step and side > own // 2 and reach(side) * 3 < #items * 2 do side = side - step end
  return side, reach(side)
end

-- The sizes that :train_lora would make of the pictures.
local function sizes_of(items, resolution, multiple)
  local dataset = require "native.dataset"
  local step = math.max(multiple, resolution >= 512 and 64 // multiple * multiple or multiple)
  local buckets = dataset.buckets { resolution = resolution, min = math.max(step, resolution // 2 // step * step), max = resolution * 2, step = step }
  local seen, sizes = {}, {}
  for _, item in ipairs(buckets and items or {}) do
    local b = dataset.bucket(item.width, item.height, buckets)
    local name = b and ("%dx%d"):format(b.width, b.height)
    if name and not seen[name] then
      seen[name] = true
      sizes[#sizes + 1] = { name = name, width = b.width, height = b.height }
    end
  end
  return sizes
end

-- The batch that the device's memory takes, with a reason; and a sentence where not even one picture fits.
local function batch_of(o, model, items, rank, resolution, multiple, count, prompts)
  local device, message = require("native.device").open()
  if not device then return 1, "no device was found to ask for its memory: " .. message end
  local opened <close> = device
  local info = opened:info()
  local memory_bytes = o.memory and o.memory * 1e9 or info.memory
  local named = ("%s, %s%s"):format(info.name, size_text(math.floor(memory_bytes)), o.memory and " allowed" or "")
  if not model then return 1, ("without the base its size is not known (%s)"):format(named) end
  local memory = require "train.memory"
  local sizes = sizes_of(items, resolution, multiple)
  local job = { model = model, device = opened, memory = memory_bytes, options = { rank = rank, alpha = rank, targets = "transformers",
    lr = { unet = 1e-4, text = 0 }, batch = 1, resolution = resolution, clip = 1, weight_decay = 0.01, clip_skip = 1,
    sample = { every = 1, prompts = prompts, negative = "", steps = 20, cfg = 7.5, sampler = "ddim", seed = 0 } } }
  local function needs(batch)
    folder.poll()
    local graphs = memory.graphs(job, setmetatable({ batch = batch }, { __index = job.options }), sizes)
    return graphs and memory.sum(graphs).all
  end
  local one = needs(1)
  if not one then return 1, ("what it needs could not be worked out (%s)"):format(named) end
  if one > memory_bytes then
    return 1, ("needs %s, more than %s"):format(size_text(one), named), memory.hint(job, sizes, 0)
  end
  if info.cpu then return 1, ("needs %s of %s; a CPU is no faster with more"):format(size_text(one), named) end
  for _, batch in ipairs { 4, 2 } do
    local all = count >= 4 * batch and needs(batch)
    if all and all * 1.1 <= memory_bytes then return batch, ("needs %s of %s"):format(size_text(all), named) end
  end
  return 1, ("needs %s of %s"):format(size_text(one), named)
end

-- The recipe ------------------------------------------------------------------------------------------------------------------

local function captioned_by(found, goal)
  local captions, total = found.captions, #found.pictures
  local beside = 0
  for _, item in ipairs(found.pictures) do if item.caption then beside = beside + 1 end end
  if total > 0 and beside == total then return "sidecar {}", "every picture has its caption beside it" end
  local provider, why = auto.choose()
  if provider then return "auto {}", ("%s writes those that are missing; plan or check tells what it would cost"):format(type(provider) == "table"
    and provider.provider or provider) end
  return ("template { text = %q }"):format(goal.caption),
    ("%d of %d have no caption beside them and %s: one sentence for all, until they are described"):format(
    captions.without + captions.models, total, why)
end

local function number_text(value)
  if math.type(value) == "integer" then return tostring(value) end
  return ("%.7g"):format(value)
end

local function recipe_text(found, o, rows, parts)
  local by = {}
  for _, row in ipairs(rows) do by[row.name] = row end
  local out = {}
  local function put(text, ...) out[#out + 1] = select("#", ...) > 0 and text:format(...) or text end
  local function value(name) return number_text(by[name].value) end
  put "#!/usr/bin/env calotype"
  put("-- A LoRA of a%s %s, as `calotype recommend` would train it on %s. Each number has its reason beside it; all are meant to be changed.",
    o.goal == "object" and "n" or "", o.goal, set.count(parts.count))
  put "local p = params {"
  put("  data       = { %q, kind = \"folder\", help = \"the pictures\" },", found.folder)
  put("  base       = { %q, kind = \"folder\", help = \"a base as diffusers keeps it\" },", parts.base)
  for _, row in ipairs { { "resolution", 8, 4096 }, { "rank", 1, 1024 }, { "steps", 1, 1000000 }, { "batch", 1, 1024 } } do
    put("  %-10s = { %s, min = %d, max = %d }, -- %s", row[1], value(row[1]), row[2], row[3], by[row[1]].reason)
  end
  put("  lr         = { %s, min = 0, max = 1 }, -- %s", value "lr", by.lr.reason)
  put "}"
  put(found.photos.recursive and "local photos = images { p.data, recursive = true }" or "local photos = images(p.data)")
  put "  :orient()"
  local cuts, names = found.suggestion.options, {}
  for name in pairs(cuts) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do names[i] = ("%s = %s"):format(name, name == "side_below" and "p.resolution" or number_text(cuts[name])) end
  if #names > 0 then put("  :reject { %s }", table.concat(names, ", ")) end
  if found.suggestion.dedupe then put '  :dedupe { by = "phash", distance = 4, keep = "sharpest" }' end
  put("  -- captions: %s", by.captions.reason)
  put("  :caption { with = %s, trigger = %q }", by.captions.value, by.trigger.value)
  local train, validate = "photos", ""
  if by.held_out.value > 0 then
    put("local train, held = photos:split { held_out = %d } -- %s", by.held_out.value, by.held_out.reason)
    train, validate = "train", " validate = held,"
  end
  put("local lora = %s:train_lora {", train)
  put "  base = p.base, resolution = p.resolution, rank = p.rank, steps = p.steps, batch = p.batch, lr = p.lr,"
  put("  warmup = p.steps // 20, cooldown = p.steps // 5, min_snr = %s, caption_dropout = %s,%s", value "min_snr", value "caption_dropout", validate)
  local prompts = {}
  for i, prompt in ipairs(parts.goal.prompts) do prompts[i] = ("%q"):format(prompt) end
  put("  sample = { every = %s, prompts = { %s } },", value "sample_every", table.concat(prompts, ", "))
  put "}"
  put("lora:samples { prompts = { %s }, seeds = { 0, 1, 2 }, to = \"out/[trigger]-grid.png\" }", table.concat(prompts, ", "))
  put 'lora:export  { to = "out/[trigger].safetensors" }'
  put 'lora:report  { to = "out/[trigger].html" }'
  return table.concat(out, "\n") .. "\n"
end

--- What to train with. Nothing is written but to the store.
---@param options { folder: string, goal?: string, base?: string, trigger?: string, memory?: number, recursive?: boolean, store?: string, say?: function }
---@return table advice
function M.run(options)
  local o = settings.read(M.settings, consult.given(options, { goal = options.goal, base = options.base, trigger = options.trigger,
    memory = options.memory, recursive = options.recursive }))
  if o.trigger ~= "" and not o.trigger:find "^%S[^\n]*%S$" then
    folder.fail(("trigger=%s: it needs at least two letters and no spaces around it"):format(o.trigger), nil, "usage")
  end
  local base, model, lacking = open_base(o.base)
  local goal, own, multiple = BY_GOAL[o.goal], base_sides(model)
  local found = analyze.run(consult.given(o, { folder = options.folder, side = math.max(64, own), recursive = o.recursive, store = options.store,
    say = options.say }))
  if #found.pictures == 0 then
    found.photos:close()
    folder.fail(("no picture of %s can be read"):format(found.folder), "calotype analyze tells what is wrong with each")
  end
  local rows = {}
  local function add(name, value, reason, ...)
    rows[#rows + 1] = { name = name, value = value, reason = select("#", ...) > 0 and reason:format(...) or reason }
    return value
  end
  local count = math.max(1, found.suggestion.kept)
  local side, reach = resolution_of(found.pictures, own, multiple)
  local whose = model and "the base" or "SD 1.5"
  if side == own then add("resolution", side, "what %s draws; %d of %d pictures are at least as large", whose, reach, #found.pictures)
  elseif reach * 3 < #found.pictures * 2 then add("resolution", side, "half of what %s draws; even so most pictures are enlarged: get larger ones", whose)
  else add("resolution", side, "%s draws %d, but only from %d on are two thirds of the pictures not enlarged", whose, own, side) end
  local held = count >= HELD_FROM and math.max(2, math.min(8, count // 10)) or 0
  local trained = count - held
  local rank = trained < FEW and math.max(4, goal.rank // 2) or goal.rank
  add("rank", rank, trained < FEW and "%s would take %d; half of it for only %s, so that they are not learned by heart" or "%s",
    trained < FEW and o.goal or goal.why_rank, goal.rank, set.count(trained))
  local batch, why_batch, does_not_fit = batch_of(o, model, found.pictures, rank, side, multiple, trained, goal.prompts)
  -- Many pictures need fewer looks each, but some: ten.
  local looks = math.min(goal.passes, math.max(MANY_PASSES, goal.most / trained))
  local steps = rounded_to(math.min(MOST_STEPS, math.max(300, trained * looks)) / batch, 50)
  add("steps", steps, "%s%s; with these %s is seen %.0f times", goal.why_passes, looks < goal.passes and ", many pictures fewer" or "",
    trained == 1 and "it" or ("each of %d"):format(trained), steps * batch / trained)
  add("batch", batch, why_batch)
  local lr = trained < 5 and 5e-5 or batch > 1 and rounded_to(1e-4 * math.sqrt(batch), 1e-5) or 1e-4
  add("lr", lr, trained < 5 and "half of the usual: with so few pictures more forgets what the base knew" or batch > 1
    and "the usual 1e-4, times the root of the batch" or "usual for LoRAs with AdamW; halve it if samples burn, double it if nothing is learned")
  add("warmup", math.max(1, steps // 20), "a twentieth of the steps, so that the first ones do no harm")
  add("cooldown", steps // 5, "the last fifth: fewer steps learn the same")
  add("min_snr", 5, "usual: weighs all noise levels alike")
  add("caption_dropout", goal.dropout,
    o.goal == "style" and "a tenth without words, so that the style does not hang on them" or "some without words keep guidance working")
  add("held_out", held, held > 0 and "a tenth is not trained on: their loss tells when pictures are learned by heart" or
    "%s are too few to hold any out: look at the samples instead", set.count(count))
  add("sample_every", math.max(50, rounded_to(steps / 6, 50)), "six looks on the way")
  local from_captions = o.trigger == "" and trigger_of_captions(found.captions)
  add("trigger", o.trigger ~= "" and o.trigger or from_captions or made_up(found.folder, model), o.trigger ~= "" and "as given" or from_captions
    and "the captions begin with it" or "made up: a word that the base knows would mix in what it means there")
  local with, why_with = captioned_by(found, goal)
  add("captions", with, why_with)
  if found.judged then add("judged", math.floor(found.judged.quality * 10 + 0.5) / 10, "%s", judge.advice(found.judged, o.goal, #found.pictures)) end
  local advice = { fault = found.fault, folder = found.folder, photos = found.photos, found = found, rows = rows, base = base, model = model,
    lacking = lacking, goal = o.goal,
    count = count, does_not_fit = does_not_fit }
  advice.text = recipe_text(found, o, rows, { base = base, goal = goal, count = count })
  return advice
end

--- What `calotype check` says of the recipe: true, or false and its message.
---@return boolean, string?
function M.check(advice, name, store)
  local lines = {}
  local ok, fault = script.call(require("recipe.command").check, { file = name, text = advice.text, store = store,
    put = function(line) lines[#lines + 1] = line end })
  return ok, ok and lines[#lines] or tostring(fault.message), ok and lines or fault
end

return M
