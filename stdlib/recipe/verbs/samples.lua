local callback = require "recipe.callback"
local fs = require "native.fs"
local hash = require "native.hash"
local image = require "native.image"
local json = require "native.json"
local log = require "native.log"
local lora_export = require "recipe.verbs.lora_export"
local outputs = require "recipe.outputs"
local sampling = require "recipe.sampling"
local script = require "native.script"
local set = require "recipe.set"
local trigger = require "recipe.trigger"

local CELLS = 1 -- of what a picture follows from

local M = {
  name = "samples", on = "lora", version = 2, sink = true,
  doc = "Draw pictures with the LoRA and without it from the same noise, in one labelled grid: a row for each prompt and strength, a column "
    .. "for each seed. A function may look at the pictures and say which of them show what was learned: these get a frame, and the run's "
    .. "last line tells how many there are at each strength. Each picture is kept as soon as it is drawn, and not drawn again.",
  example = 'lora:samples { prompts = { "a photo of [trigger]" }, seeds = { 0, 1, 2 }, to = "out/grid.png" }',
  options = {
    { "prompts", "list", of = "text", required = true, doc = "what is drawn; may have [trigger]" },
    sampling.negative,
    { "strength", "list", of = "number", min = -8, max = 8, default = { 0, 1 }, doc = "how much the LoRA counts; 0 is the base alone" },
    { "seeds", "list", of = "integer", min = 0, default = { 0, 1, 2, 3 }, doc = "the noise a picture begins with, the same for every strength" },
    sampling.steps, sampling.cfg, sampling.sampler,
    { "width", "integer", min = 8, max = 4096, unit = "px", doc = "the training's resolution when left out" },
    { "height", "integer", min = 8, max = 4096, unit = "px", doc = "the training's resolution when left out" },
    { "noise", "path", doc = "a .safetensors file whose tensor \"noise\" [n, 4, h, w] stands for the seeds, in order: to compare with other programs" },
    { "count", "callback", of_bitmap = true,
      doc = "gets a picture (as from image.load) and { prompt, seed, strength }, returns true for those that are counted" },
    { "counting", "text", default = "counted", doc = "what is counted, for the line that tells it: \"concept shown\"" },
    { "columns", "integer", min = 1, max = 64, default = 16, doc = "pictures beside each other; the other seeds stand below" },
    { "to", "path", required = true, doc = "the PNG or JPEG to write; may have [trigger]" },
    { "pictures", "folder", doc = "write each picture as a PNG of its own here too: prompt-strength-seed, counted from 1" },
  },
}

function M.declare(state)
  local o, session, at = state.options, state.session, state.at
  if not o.to:lower():find "%.png$" and not o.to:lower():find "%.jpe?g$" then
    session:fail(at, ("the grid %s is neither .png nor .jpg"):format(o.to), { key = "to", value = true, hint = 'for example to = "out/grid.png"' })
  end
  for _, key in ipairs { "prompts", "strength", "seeds" } do
    if #o[key] == 0 then session:fail(at, ("option '%s' of :samples is empty"):format(key), { key = key, value = true }) end
  end
  for i, prompt in ipairs(o.prompts) do
    o.prompts[i] = trigger.filled(state, prompt, "a prompt", { key = "prompts" })
  end
  if o.count then callback.key(o.count, session.known, at) end
  session:permit_device(at)
  if o.noise then session:permit(o.noise, "read", at, "noise") end
  outputs.declare(state, "to", false, true)
  if o.pictures then outputs.declare(state, "pictures", true, true) end
  -- Sizes are known from the training's options: a wrong one is told by `check`.
  local trained = require("recipe.stage").state(state.inputs[1])
  if trained.base then
    sampling.check_sides(state, trained.base)
    sampling.check_steps(state, trained.base)
  end
end

-- The tensor "noise" of a file: our layout, f32 bytes for each of its pictures.
local function read_noise(context, path, count, canvas, channels)
  local function fail(message, code) context.fail(message, { code = code, key = "noise", value = true }) end
  local file, message, code = require("native.safetensors").open(path)
  if not file then fail(message, code) end
  local t = file.tensors.noise
  if not t or t.dtype ~= "F32" or #t.shape ~= 4 then fail(path .. " has no tensor \"noise\" in F32 with four sizes", "FORMAT") end
  local n, C, H, W = table.unpack(t.shape)
  if n < count or C ~= channels or H ~= canvas.height or W ~= canvas.width then
    fail(("%s: noise is [%d, %d, %d, %d]; [%d or more, %d, %d, %d] are needed"):format(path, n, C, H, W, count, channels, canvas.height,
      canvas.width), "FORMAT")
  end
  local bytes
  bytes, message, code = fs.read(path)
  if not bytes then fail(message, code) end
  local out = {}
  for i = 0, count - 1 do
    local parts = {}
    for place = 0, H * W - 1 do
      for c = 0, C - 1 do
        local at = t.offset + 4 * ((i * C + c) * H * W + place)
        parts[#parts + 1] = bytes:sub(at + 1, at + 4)
      end
    end
    out[i + 1] = table.concat(parts)
    local bad = require("train.floats").not_finite(out[i + 1])
    if bad then
      local place = (bad - 1) // C
      fail(("%s: noise[%d, %d, %d, %d] is not finite, counted from 0; make the file again"):format(path, i, (bad - 1) % C, place // W, place % W), "FORMAT")
    end
  end
  return out
end

local function how(strength)
  return strength == 0 and "without LoRA" or strength == 1 and "with LoRA" or ("LoRA at %g"):format(strength)
end

-- "concept shown: without LoRA 1 of 32, with LoRA 30 of 32"
local function told(options, counts)
  local parts, total = {}, #options.prompts * #options.seeds
  for s, strength in ipairs(options.strength) do parts[s] = ("%s %d of %d"):format(how(strength), counts[s], total) end
  return ("%s: %s"):format(options.counting, table.concat(parts, ", "))
end

-- How many of each strength's pictures the recipe's function counts; marks them.
local function count(context, options, rows)
  local function key() return callback.key(options.count, context.session.known, context.at) end
  local before, counts = key(), {}
  for s in ipairs(options.strength) do counts[s] = 0 end
  for _, row in ipairs(rows) do
    local here, strength = 0, options.strength[row.s]
    for i, cell in ipairs(row.cells) do
      cell.framed = callback.call(options.count, context.at, "samples", { path = ("%s, %s"):format(how(strength), cell.label) }, cell.picture,
        { prompt = row.prompt, seed = options.seeds[i], strength = strength })
      if cell.framed then here = here + 1 end
    end
    row.title = ("%s   (%s: %d of %d)"):format(row.title, options.counting, here, #row.cells)
    counts[row.s] = counts[row.s] + here
  end
  if key() ~= before then
    context.fail("the function 'count' of :samples changes what it closed over, so what it counts depends on the order of calls",
      { hint = "let it compute its answer from the picture alone" })
  end
  return counts
end

-- The run's last line tells the counts; the report shows the grid.
local function finish(context, options, counts)
  local line = counts and told(options, counts)
  if line then context.session:finding(line) end
  require("recipe.stage").state(context.stage).grid = { path = options.to, counts = line }
end

-- The pictures in their order, { p, s, i, row, key, label, name }; those that an earlier run drew, or this one before it was stopped, have their
-- `picture`.
local function cells(context, options, result, size, noise_hash)
  local store, list = context.store(), {}
  for p, prompt in ipairs(options.prompts) do
    for s, strength in ipairs(options.strength) do
      for i, seed in ipairs(options.seeds) do
        local row = { prompt = prompt, negative = options.negative, seed = seed, strength = strength, steps = options.steps, cfg = options.cfg,
          sampler = options.sampler }
        local key = hash.sha256(json.encode { version = CELLS, row = row, size = size, input = lora_export.digest(result),
          noise = noise_hash and { noise_hash, i } or json.null, calotype = script.versions().calotype })
        local sha = not context.session.fresh and store:get("sample", key)
        local bytes = sha and store:blob(sha)
        list[#list + 1] = { p = p, s = s, i = i, row = row, key = key, picture = bytes and image.decode(bytes, "a sample") or nil,
          label = noise_hash and ("noise %d"):format(i) or ("seed %d"):format(seed), name = ("%d-%d-%d.png"):format(p, s, i) }
      end
    end
  end
  return list
end

-- Draw those that have no picture yet; each is kept before the next begins.
local function draw(context, options, result, size, missing)
  local sampler, store = require "train.lora.sampler", context.store()
  local prompts = table.move(options.prompts, 1, #options.prompts, 2, { options.negative })
  local drawing <close>, message, code = sampler(result, size, prompts)
  if not drawing then context.fail("the samples were not drawn", { hint = message, code = code }) end
  local noise = options.noise and read_noise(context, options.noise, #options.seeds, drawing, drawing.channels)
  local bar <close> = log.progress("samples", #missing * options.steps)
  local ticks = 0
  function drawing.tick()
    ticks = ticks + 1
    bar:set(ticks)
  end
  for _, cell in ipairs(missing) do
    if script.interrupted() > 0 then context.fail("stopped between two samples", { exit = 130, hint = "those drawn are kept" }) end
    cell.row.noise = noise and noise[cell.i]
    cell.picture, message, code = drawing:draw(cell.row)
    if not cell.picture then context.fail("the samples were not drawn", { hint = message, code = code }) end
    store:put("sample", cell.key, store:put_blob(assert(cell.picture:encode "png")))
  end
end

-- Each prompt at each strength: a row of a picture for each seed, or for each noise that was given.
local function rows_of(list)
  local rows = {}
  for _, cell in ipairs(list) do
    if cell.i == 1 then
      rows[#rows + 1] = { title = ("%s: %s"):format(how(cell.row.strength), cell.row.prompt), prompt = cell.row.prompt, s = cell.s, cells = {} }
    end
    table.insert(rows[#rows].cells, cell)
  end
  return rows
end

-- Where each picture is in the grid, for those who watch the run.
local function tell_live(options, result, rows, sheet, places)
  local shown = {}
  for r, row in ipairs(rows) do
    for i, place in ipairs(places[r]) do places[r][i] = json.array(place) end
    shown[r] = { prompt = row.prompt, strength = options.strength[row.s], cells = json.array(places[r]) }
  end
  require("train.live").grid(result.folder, { step = result.step, path = fs.absolute(options.to), width = sheet:width(), height = sheet:height(),
    rows = json.array(shown), seeds = json.array(options.seeds) })
end

function M.run(context, options, result)
  local grid = require "train.grid"
  local width, height = options.width or result.options.resolution, options.height or result.options.resolution
  local noise_hash = options.noise and hash.file(options.noise)
  local asked = require("recipe.stage").options(context.stage) -- functions as their keys
  local key = hash.sha256(json.encode { verb = "samples", version = M.version, options = asked, input = lora_export.digest(result),
    noise = noise_hash or "", calotype = script.versions().calotype })
  local counts = options.count and context.store():get("counts", key)
  if (counts or not options.count) and outputs.unchanged(context, options.to, key)
    and (not options.pictures or outputs.unchanged(context, options.pictures, key)) then
    finish(context, options, counts and json.decode(counts))
    return
  end

  local size, missing = { width = width, height = height }, {}
  local list = cells(context, options, result, size, noise_hash)
  for _, cell in ipairs(list) do if not cell.picture then missing[#missing + 1] = cell end end
  if #missing > 0 then draw(context, options, result, size, missing) end
  local rows = rows_of(list)
  counts = options.count and count(context, options, rows) or nil

  local bundle = options.pictures and outputs.bundle(context, options.pictures) or { fail = context.fail }
  for _, row in ipairs(options.pictures and rows or {}) do
    for _, cell in ipairs(row.cells) do bundle.write(options.pictures .. "/" .. cell.name, assert(cell.picture:encode "png")) end
  end
  local sheet, places, code = grid(rows, options.columns)
  if not sheet then bundle.fail("the grid was not made", { hint = places, code = code }) end
  local ok, message
  ok, message, code = sheet:save(options.to, { text = { calotype = json.encode { prompts = json.array(options.prompts), seeds = json.array(options.seeds),
    steps = options.steps, cfg = options.cfg, sampler = options.sampler, lora = result.note.file or "" } } })
  if not ok then bundle.fail(("%s was not written"):format(options.to), { hint = message, code = code }) end
  if options.pictures then outputs.record(context, options.pictures, key, bundle.files) end
  outputs.record(context, options.to, key, { options.to },
    ("%s%s"):format(set.count(#list), #list > #missing and (", %d of them drawn before"):format(#list - #missing) or ""))
  if counts then context.store():put("counts", key, json.encode(json.array(counts))) end
  tell_live(options, result, rows, sheet, places)
  finish(context, options, counts)
end

return M
