local bases = require "recipe.base"
local hash = require "native.hash"
local images = require "recipe.verbs.images"
local json = require "native.json"
local log = require "native.log"
local outputs = require "recipe.outputs"
local sampling = require "recipe.sampling"
local script = require "native.script"
local sessions = require "recipe.session"
local set = require "recipe.set"
local trigger = require "recipe.trigger"

local VERSION = 1 -- of what a picture follows from

local M = {
  name = "drawn", title = "images.drawn", version = 1, device = true,
  doc = "Pictures that a base draws by itself, each with its prompt as the caption. Joined to a few pictures of something new, they keep a "
    .. "LoRA from drawing it everywhere: what trainers call class or regularisation pictures. Each one is kept as soon as it is drawn.",
  example = 'images.join { photos, images.drawn { base = "models/sd15", prompts = { "a photo of a dog" }, count = 50, to = "out/dogs" }:weight(0.5) }',
  options = {
    { "base", "folder", required = true, doc = "a model as diffusers keeps it" },
    { "prompts", "list", of = "text", required = true, doc = "what is drawn, in turn" },
    { "count", "integer", min = 1, max = 100000, doc = "how many pictures; one for each prompt when left out" },
    sampling.negative,
    { "seed", "integer", min = 0, default = 0, doc = "the noise of the first picture; the next has the next seed" },
    sampling.steps, sampling.cfg, sampling.sampler,
    { "width", "integer", min = 8, max = 4096, unit = "px", doc = "the base's own when left out" },
    { "height", "integer", min = 8, max = 4096, unit = "px", doc = "the base's own when left out" },
    { "to", "folder", required = true, doc = "where the pictures go, as PNG files" },
    { "device", "text", doc = "\"gpu\", \"cpu\" or a part of a name; left out: a GPU, else what there is" },
  },
}

function M.label() return "drawn" end

function M.declare(state)
  local o, session, at = state.options, state.session, state.at
  if #o.prompts == 0 then session:fail(at, "images.drawn has no prompts", { key = "prompts", value = true }) end
  for _, prompt in ipairs(o.prompts) do
    if not prompt:find "%S" then session:fail(at, "a prompt is empty; it is the caption too", { key = "prompts", value = true }) end
    if trigger.wanted(prompt) then
      session:fail(at, "a prompt has [trigger], which a base knows nothing of", { key = "prompts", hint = "leave it out: these are pictures without it" })
    end
  end
  session:permit_device(at)
  session:permit_base(o.base, at, "base")
  o.count = o.count or #o.prompts
  outputs.declare(state, "to", true)
  state.base = bases.of(state)
  local width, height = require("models.sides").own(state.base)
  o.width, o.height = o.width or width, o.height or height
  sampling.check_sides(state, state.base)
  sampling.check_steps(state, state.base)
end

-- PNG files by number; what was drawn before is known by what it was drawn from.
local function draw(context, options, model)
  local store, encoded, sampler = context.store(), require "train.encoded", require "train.sampler"
  local base, message, code = encoded.fingerprints(store, model)
  local function refuse(problem, problem_code)
    context.fail("the pictures were not drawn", { hint = problem, code = problem_code })
  end
  if not base then refuse(message, code) end
  local pictures, missing = {}, {}
  for i = 1, options.count do
    local row = { prompt = options.prompts[(i - 1) % #options.prompts + 1], negative = options.negative, seed = options.seed + i - 1,
      steps = options.steps, cfg = options.cfg, sampler = options.sampler }
    local key = hash.sha256(json.encode { version = VERSION, row = row, base = base, width = options.width,
      height = options.height, calotype = script.versions().calotype })
    pictures[i] = { row = row, key = key, sha = store:get("drawn", key) }
    if not (pictures[i].sha and store:blob(pictures[i].sha)) then missing[#missing + 1] = pictures[i] end
  end
  if #missing == 0 then return pictures, 0 end

  local device, _, memory = context.session:device(options.device, context.at)
  local drawing <close>, problem, problem_code = sampler.of_base { device = device, model = model, base = base, store = store, memory = memory,
    width = options.width, height = options.height, prompts = table.move(options.prompts, 1, #options.prompts, 2, { options.negative }) }
  if not drawing then refuse(problem, problem_code) end
  local bar <close> = log.progress("drawn", #missing * options.steps)
  local ticks = 0
  function drawing.tick()
    ticks = ticks + 1
    bar:set(ticks)
  end
  for _, it in ipairs(missing) do
    if script.interrupted() > 0 then context.fail("stopped between two pictures", { exit = 130, hint = "those drawn are kept" }) end
    local picture
    picture, message, code = drawing:draw(it.row)
    if not picture then refuse(message, code) end
    it.sha = store:put_blob(assert(picture:encode "png"))
    store:put("drawn", it.key, it.sha)
  end
  return pictures, #missing
end

function M.run(context, options)
  local model = require("recipe.stage").state(context.stage).base
  local pictures, drawn = draw(context, options, model)
  local rows, paths = {}, {}
  for i, it in ipairs(pictures) do
    rows[i] = it.sha
    paths[i] = ("%s/drawn-%04d.png"):format(options.to, i)
  end
  local key = hash.sha256(json.encode(json.array(rows)))
  if not outputs.unchanged(context, options.to, key) then
    local bundle = outputs.bundle(context, options.to)
    for i, it in ipairs(pictures) do bundle.write(paths[i], context.store():blob(it.sha)) end
    outputs.record(context, options.to, key, bundle.files)
  end
  local records, did, code = require("native.dataset").scan(sessions.native_store(context.store()), paths, { label = "drawn" })
  if not records then context.fail(did, { code = code }) end
  local out = set.new {}
  for i, record in ipairs(records) do
    if record.error then context.fail(record.error, { code = record.code }) end
    local item = images.item(paths[i], record)
    item.caption = pictures[i].row.prompt
    item.caption_by = { author = "model", provider = "drawn", model = model.path:match "([^/]+)/*$" }
    out.items[i] = item
  end
  context.account(("%s, %s: %s"):format(set.count(#out.items), drawn == 0 and "all known" or ("%d drawn now"):format(drawn), options.to))
  return out
end

return M
