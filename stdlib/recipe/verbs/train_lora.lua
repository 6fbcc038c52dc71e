local bases = require "recipe.base"
local buckets = require "recipe.buckets"
local fs = require "native.fs"
local hash = require "native.hash"
local json = require "native.json"
local pictures = require "export.pictures"
local sampling = require "recipe.sampling"
local set = require "recipe.set"
local trigger = require "recipe.trigger"

-- Models and training are loaded when a recipe trains: the prompt does not wait for them.
local function sides() return require "models.sides" end

local M = {
  name = "train_lora", version = 1, gives = "lora", device = true,
  doc = "Train a LoRA of a base on the pictures and their captions. Latents and text states are made once and kept; checkpoints are LoRA "
    .. "files that can be used as they are. Ctrl-C finishes the step and keeps it: the same command goes on from there, bit for bit.",
  example = 'local lora = photos:train_lora { base = "models/sd15", rank = 16, steps = 1500, lr = 1e-4 }',
  options = {
    { "base", "folder", required = true, doc = "a model as diffusers keeps it: a folder with unet, vae, text_encoder, tokenizer, scheduler" },
    { "resolution", "integer", min = 8, max = 4096, unit = "px", default = 512,
      doc = "side of the square whose area pictures are scaled to where no :bucket was asked for; also the size of samples" },
    { "rank", "integer", min = 1, max = 1024, default = 16, doc = "columns of each LoRA pair" },
    { "alpha", "number", min = 0.001, max = 4096, doc = "what is learned counts alpha / rank times; the rank when left out" },
    { "targets", "choice", choices = { "transformers", "attention", "everything" }, default = "transformers",
      doc = "transformers: every linear layer and 1x1 convolution of the transformers, as kohya trains; attention: their attention's four "
        .. "projections only, as diffusers trains; everything: the resnets' and samplers' convolutions too" },
    { "steps", "integer", min = 1, max = 10000000, default = 1500, doc = "updates; may be raised when a run goes on" },
    { "batch", "integer", min = 1, max = 1024, default = 1, doc = "pictures of one size in a step" },
    { "lr", "options", alone = "unet", default = 1e-4, doc = "how fast is learned; a number is for the UNet and leaves the text encoder as it is", options = {
      { "unet", "number", min = 0, max = 1, default = 1e-4, doc = "of the UNet's LoRA" },
      { "text", "number", min = 0, max = 1, default = 0, doc = "of the text encoder's LoRA; 0: it is not trained" },
    } },
    { "warmup", "integer", min = 0, max = 1000000, default = 0, doc = "steps over which lr rises from 0" },
    { "cooldown", "integer", min = 0, max = 10000000, default = 0,
      doc = "steps at the end over which lr falls to 0: fewer steps learn the same; the run then belongs to its number of steps" },
    { "weight_decay", "number", min = 0, max = 1, default = 0.01, doc = "of AdamW" },
    { "clip", "number", min = 0, default = 1, doc = "the norm of the gradients is held to it; 0: it is not" },
    { "min_snr", "number", min = 0.1, max = 1000, doc = "weigh timesteps by min(SNR, this) / SNR (Hang et al. 2023); 5 is usual" },
    { "caption_dropout", "number", min = 0, max = 1, default = 0, doc = "share of pictures that are shown with an empty caption" },
    { "clip_skip", "integer", min = 1, max = 12, default = 1, doc = "2 leaves the text encoder's last block out" },
    { "seed", "integer", min = 0, default = 0, doc = "decides everything random" },
    { "dtype", "choice", choices = { "f32", "bf16", "f16" },
      doc = "how the base's weights and what flows between its layers are kept; left out: weights as in their files, f32 between. The LoRA is always f32" },
    { "validate", "stage", doc = "pictures held out by :split; their loss is measured at fixed noise with every checkpoint" },
    { "sample", "options", doc = "pictures drawn while training, into the folder of the checkpoints", options = {
      { "every", "integer", min = 1, default = 250, doc = "steps" },
      { "prompts", "list", of = "text", required = true, doc = "what is drawn; may have [trigger]" },
      sampling.negative, sampling.steps, sampling.cfg,
      { "seed", "integer", min = 0, default = 0, doc = "the noise that all samples begin with" },
      sampling.sampler,
    } },
    { "checkpoint", "options", alone = "every", default = {}, doc = "what is kept on the way; every one is kept until you remove it", options = {
      { "every", "integer", min = 1, default = 250, doc = "steps" },
      { "to", "folder", default = "checkpoints", doc = "each run gets a folder of its own below it; may have [trigger]" },
    } },
    { "device", "text", doc = "\"gpu\", \"cpu\" or a part of a name; left out: a GPU, else what there is. The first line of a run says which" },
    { "memory", "number", min = 0.001, unit = "GB", doc = "the most that may be used; what the device has when left out" },
  },
}

local MOST_TOKENS = 8 -- of a trigger, before it is told
local FEW = 5 -- pictures; with fewer a LoRA learns these pictures, not what they have in common

local function check_trigger(state, model)
  local session, word = state.session, state.trigger
  if not word then
    session:warn("no trigger is declared: nothing will call what is learned", state.at, "trigger")
    return
  end
  local ids = model.tokenizer:tokens(word)
  if not ids then return end
  -- A made-up word falls into a few pieces, and that is fine. One piece is a word of the base; many take the room of others.
  if #ids == 1 then
    session:note(("the trigger %q is a word that the base may know: what it means there mixes in, a made-up word does not"):format(word))
  elseif #ids > MOST_TOKENS then
    session:note(("the trigger %q takes %d of the %d places for pieces of words that a caption has: a shorter one leaves more"):format(word, #ids,
      model.length - 2))
  end
  if session.mode ~= "check" then return end
  local sample = state.options.sample
  local called = false
  for _, prompt in ipairs(sample and sample.prompts or {}) do called = called or trigger.count(prompt, word) > 0 end
  if sample and not called then session:warn("no prompt of 'sample' has the trigger", state.at, "trigger") end
end

function M.declare(state)
  local o, session, at = state.options, state.session, state.at
  session:permit_device(at)
  session:permit_base(o.base, at, "base")
  if o.lr.unet == 0 and o.lr.text == 0 then session:fail(at, "nothing is learned with lr 0", { key = "lr", value = true }) end
  if o.cooldown > o.steps then
    session:fail(at, ("cooldown %d: there are %d steps"):format(o.cooldown, o.steps),
      { key = "cooldown", value = true, hint = ("take %d"):format(o.steps // 3) })
  end
  o.alpha = o.alpha or o.rank
  if o.sample then
    for i, prompt in ipairs(o.sample.prompts) do
      o.sample.prompts[i] = trigger.filled(state, prompt, "a prompt", { key = "prompts", inside = "sample" })
    end
    if #o.sample.prompts == 0 then session:fail(at, "'sample' has no prompts", { key = "prompts", inside = "sample", value = true }) end
  end
  o.checkpoint.to = trigger.filled(state, o.checkpoint.to, "option 'to' of 'checkpoint'", { key = "to", inside = "checkpoint", value = true }, true)
  session:permit(o.checkpoint.to, "write", at, "checkpoint", true)
  if o.validate then state.inputs = { state.inputs[1], o.validate } end
  local model = bases.of(state)
  local multiple = sides().multiple(model)
  if o.resolution % multiple ~= 0 then
    session:fail(at, ("resolution %d: with this base sides are multiples of %d"):format(o.resolution, multiple),
      { key = "resolution", value = true, hint = ("take %d"):format(math.max(multiple, (o.resolution + multiple // 2) // multiple * multiple)) })
  end
  local own_width, own_height = sides().own(model)
  if o.resolution > 2 * math.max(own_width, own_height) then
    session:warn(("resolution %d: this base draws %d x %d; far above that it needs much memory and learns little. Try resolution = %d"):format(o.resolution,
      own_width, own_height, math.max(own_width, own_height)), at)
  end
  if o.sample then sampling.check_steps(state, model, "sample") end
  local blocks = model.text_encoder.config.num_hidden_layers
  if math.tointeger(blocks) and o.clip_skip > blocks then
    session:fail(at, ("clip_skip %d: the text encoder has %d blocks"):format(o.clip_skip, blocks), { key = "clip_skip", value = true })
  end
  check_trigger(state, model)
  state.base = model
end

-- Pictures in their buckets: those of :bucket, else kohya's list around the resolution.
local function bucketed(context, options, items, multiple)
  local dataset = require "native.dataset"
  local list, out = nil, {}
  for i, item in ipairs(items) do
    local bucket = item.bucket
    if not bucket then
      if not list then
        local message, code
        list, message, code = buckets.of_training(options.resolution, multiple)
        if not list then context.fail(message, { code = code }) end
      end
      local message, code
      bucket, message, code = dataset.bucket(item.width, item.height, list)
      if not bucket then context.fail(("%s: %s"):format(item.path, message), { code = code }) end
    elseif bucket.width % multiple ~= 0 or bucket.height % multiple ~= 0 then
      context.fail(("the bucket %d x %d is no multiple of %d, which this base needs"):format(bucket.width, bucket.height, multiple),
        { hint = ("give :bucket { step = %d }"):format(multiple) })
    end
    out[i] = { path = item.path, sha256 = item.sha256, weight = item.weight, bucket = bucket, size = ("%dx%d"):format(bucket.width, bucket.height) }
  end
  return out
end

local TOLD = { integer = true, number = true, boolean = true, choice = true }

-- The recipe's text by content, for provenance; of its parameters the numbers, switches and choices: a path or a text may tell who somebody is.
local function provenance(context, input)
  local script = require "native.script"
  local session, values, authors = context.session, {}, {}
  for _, row in ipairs(session.list) do
    if TOLD[row.kind] then values[row.name] = row.value == nil and json.null or row.value end
  end
  for _, item in ipairs(input.items) do
    local by = item.caption_by
    if by then authors[by.author == "human" and "human" or by.provider .. (by.model and by.model ~= "" and " " .. by.model or "")] = true end
  end
  local names = {}
  for name in pairs(authors) do names[#names + 1] = name end
  table.sort(names)
  local sums = {} -- of the recipe and of the files that it requires, in their order
  for _, file in ipairs { session.file, table.unpack(session.modules) } do sums[#sums + 1] = hash.sha256(script.source(file)) end
  return {
    ["calotype.version"] = script.versions().calotype, ["calotype.recipe_sha256"] = #sums > 1 and hash.sha256(table.concat(sums)) or sums[1],
    ["calotype.params"] = json.encode(values), ["calotype.captions_by"] = table.concat(names, ", "),
  }
end

-- What the LoRA is called, and its folder.
local function name_of(trigger_word, session) return (trigger_word or session.name or "lora"):gsub("[^%w_-]+", "_") end

--- Under what the runs of a stage are remembered (train/runs.lua).
---@return string
function M.key(state)
  local to = state.options.checkpoint.to
  return ("%s/%s"):format(fs.absolute(to) or to, (name_of(state.trigger, state.session)))
end

function M.run(context, options, input, held)
  local lora = require "train.lora"
  local session = context.session
  pictures.need_some(context, input)
  if #input.items < FEW then
    context.warn(("%s to train on: below %d a LoRA tends to repeat its pictures; 10 to 30 are usual"):format(set.count(#input.items), FEW))
  end
  local captions, mended = pictures.captions(context, input.items)
  if mended > 0 then session:say(("  the trigger was set right in %s"):format(set.count(mended, "caption"))) end
  local device, name, memory = session:device(options.device, context.at)
  if session.live then session:say("  on " .. name) end
  local model = require("recipe.stage").state(context.stage).base
  local multiple = sides().multiple(model)
  local function prepared(items, texts)
    local list = bucketed(context, options, items, multiple)
    for i, picture in ipairs(list) do picture.caption, picture.other = texts[i], context.trigger ~= nil and items[i].trigger == nil end
    return list
  end
  local result = lora.train {
    options = options, model = model, device = device, device_name = name,
    memory = options.memory and math.min(memory, options.memory * 1e9) or memory,
    store = context.store(), pictures = prepared(input.items, captions),
    held = held and #held.items > 0 and prepared(held.items, (pictures.captions(context, held.items))) or nil,
    name = (name_of(context.trigger, session)), trigger = context.trigger,
    title = session.name, author = session.header and session.header.author,
    line = context.line, fresh = session.fresh, provenance = provenance(context, input),
    again = session:again(),
    say = function(text) session:say("  " .. text) end,
    warn = function(text) require("native.log").say("warning", text) end,
    account = context.account,
    fail = context.fail,
  }
  session.trained = session.trained or result.trained
  return result
end

return M
