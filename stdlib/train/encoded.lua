-- encoded.lua - what the frozen parts of a base make of pictures and captions, once: latents and text states, kept in the store.
--
--   local base = encoded.fingerprints(store, model)                 -- sha256 of each part; files are known by what the disk says of them
--   local latents = encoded.latents { store =, device =, model =, base =, pictures = { { path, sha256, bucket }, ... } }
--   local texts = encoded.texts { store =, device =, model =, base =, texts = { "", "a red door" } }
--   latents[1]()                                                    -- f32 bytes of mean and logvar, [h, w, 8]
--   texts["a red door"]()                                           -- f32 bytes, [tokens, width]
--
-- The key is the content: the picture's bytes, how it was scaled and cropped, the weights; never a path.

local clip = require "models.clip"
local closing = require "train.closing"
local floats = require "train.floats"
local folder = require "models.folder"
local fs = require "native.fs"
local hash = require "native.hash"
local image = require "native.image"
local json = require "native.json"
local layers = require "models.layers"
local log = require "native.log"
local part = require "models.part"
local script = require "native.script"
local vae = require "models.vae"

local encoded = {}

local VERSION = 1

--- What to do about numbers that are not finite though the files' are.
function encoded.way_out(dtype)
  return dtype == "f16" and 'dtype = "bf16" has more room' or "the base may be damaged: get its folder again from where it came from"
end

--- What each part of a model is, by content: weights with their config, the files that the tokenizer is read from, the noise schedule. All
--- keys of what a base was used for are made of these.
---@return table<string, string>? base
---@return string? message
---@return string? code
function encoded.fingerprints(store, model)
  local base, schedule = {}, {}
  local parts = { unet = model.unet, vae = model.vae, text_encoder = model.text_encoder, tokenizer = { path = model.path .. "/tokenizer", files = {} } }
  for _, file in ipairs(folder.tokenizer_files) do
    if fs.stat(parts.tokenizer.path .. "/" .. file) then table.insert(parts.tokenizer.files, file) end
  end
  for name, it in pairs(parts) do
    local message, code
    base[name], message, code = part.fingerprint(store, it)
    if not base[name] then return nil, message, code end
  end
  for key, value in pairs(model.scheduler) do
    if not key:find "^_" then schedule[key] = value end -- those say which program wrote it
  end
  base.scheduler = hash.sha256(json.encode(schedule))
  return base
end

-- A blob under a key of what it was made from; the function reads it when it is wanted.
local function known(store, kind, key)
  local sha = store:get(kind, key)
  if not sha then return nil end
  local bytes = store:blob(sha)
  return bytes and function() return store:blob(sha) end
end

local function keep(store, kind, key, bytes)
  local sha = store:put_blob(bytes)
  store:put(kind, key, sha)
  return function() return store:blob(sha) end
end

--- A picture in its bucket: scaled to cover it, cut, as numbers. Shrinking averages, enlarging is Lanczos, as kohya's. Refused when the
--- file is no longer what it was when `sha256` was taken: what is made here is kept under that name.
function encoded.pixels(path, bucket, sha256)
  local bytes, message, code = fs.read(path)
  if not bytes then return nil, message, code end
  if sha256 and hash.sha256(bytes) ~= sha256 then return nil, ("%s changed since it was looked at; run again"):format(path), "BUSY" end
  local picture
  picture, message, code = image.decode(bytes, path)
  if not picture then return nil, message, code end
  picture = picture:rgb { 255, 255, 255 }
  local smaller = bucket.scale_width < picture:width() and bucket.scale_height < picture:height()
  picture = picture:resize(bucket.scale_width, bucket.scale_height, smaller and "area" or "lanczos")
  return image.floats { picture:crop(bucket.crop_x, bucket.crop_y, bucket.width, bucket.height) }
end

-- Whether a plan stays within job.memory; `held` is what another plan, whose weights it shares, has for itself.
local function within(job, sizes, held)
  local needs = sizes.weights + sizes.arena + sizes.inputs + sizes.constants + sizes.scratch + held
  if not job.memory or needs <= job.memory then return true end
  return nil, ("it needs %.4g MB, there may be %.4g MB"):format(needs / 1e6, job.memory / 1e6), "LIMIT"
end

-- One picture's latents: f32 bytes of mean and logvar.
local function encode(job, it, picture)
  local pixels, message, code = encoded.pixels(picture.path, picture.bucket, picture.sha256)
  if not pixels then return nil, message, code end
  it.plan:set(it.x, pixels)
  local ok
  ok, message, code = it.plan:run "sample"
  if not ok then return nil, message, code end
  local bytes
  bytes, message, code = it.plan:bytes(it.both)
  if not bytes then return nil, message, code end
  local bad = floats.not_finite(bytes)
  if bad then
    return nil, ("%s: the VAE's latents are not finite, number %d of %d; %s"):format(picture.path, bad, #bytes // 4, encoded.way_out(job.dtype)), "FORMAT"
  end
  return bytes
end

-- The VAE for pictures of one bucket: { plan, x, both }. Others share the weights of the `first`, which streams them in; `open` closes the plan.
local function encoder(job, bucket, first, open)
  local g = layers.new { device = job.device, dtype = job.dtype }
  local x = g.input("picture", "f32", { 1, bucket.height, bucket.width, 3 })
  local mean, logvar = vae.encode(g, x, job.model.vae:weights(g), job.model.vae.config)
  local both = g.concat(mean, logvar)
  g.graph:output("sample", both)
  local plan, message, code = job.device:plan(g.graph, { like = first and first.plan })
  open[#open + 1] = plan
  local ok, held = plan, first and first.plan:sizes()
  if plan then ok, message, code = within(job, plan:sizes(), held and held.arena + held.scratch or 0) end
  if not ok then return nil, ("the VAE at %dx%d: %s"):format(bucket.width, bucket.height, message), code end
  if not first then
    ok, message, code = folder.load(g, plan, job.model.vae)
    if not ok then return nil, message, code end
  end
  return { plan = plan, x = x, both = both }
end

-- What is known of the pictures' latents, their keys, and the places of those that are not, by size in the order of the pictures.
local function look_for(job)
  local out, keys, groups, by = {}, {}, {}, {}
  for i, picture in ipairs(job.pictures) do
    local b = picture.bucket
    keys[i] = hash.sha256(json.encode { version = VERSION, picture = picture.sha256, vae = job.base.vae, dtype = job.dtype or "",
      bucket = json.array { b.width, b.height, b.scale_width, b.scale_height, b.crop_x, b.crop_y } })
    out[i] = known(job.store, "latents", keys[i])
    if not out[i] then
      local name = ("%dx%d"):format(b.width, b.height)
      if not by[name] then
        by[name] = {}
        groups[#groups + 1] = by[name]
      end
      table.insert(by[name], i)
    end
  end
  return out, keys, groups
end

--- memory: the most that may be used, in bytes; left out, what the device has.
---@param job { store: table, device: userdata, model: table, base: table, dtype?: string, memory?: number, pictures: table[] }
---@return (fun(): string)[]? latents
---@return string|integer? message or how many were made now
---@return string? code
function encoded.latents(job)
  local out, keys, groups = look_for(job)
  local missing, done, first = 0, 0, nil
  for _, group in ipairs(groups) do missing = missing + #group end
  local bar <close> = log.progress("latents", missing)
  local open <close> = closing.list()
  for _, group in ipairs(groups) do
    local it, message, code = encoder(job, job.pictures[group[1]].bucket, first, open)
    if not it then return nil, message, code end
    first = first or it
    for _, i in ipairs(group) do
      if script.interrupted() > 0 then return nil, "stopped between two pictures", "INTERRUPT" end
      local bytes
      bytes, message, code = encode(job, it, job.pictures[i])
      if not bytes then return nil, message, code end
      out[i] = keep(job.store, "latents", keys[i], bytes)
      done = done + 1
      bar:set(done)
    end
    if it ~= first then it.plan:close() end
  end
  return out, missing
end

--- memory: as for latents.
---@param job { store: table, device: userdata, model: table, base: table, dtype?: string, memory?: number, clip_skip?: integer, texts: string[] }
---@return table<string, fun(): string>? states by text
---@return string|integer? message or how many were made now
---@return string? code
function encoded.texts(job)
  local store, model, out, todo = job.store, job.model, {}, {}
  for _, text in ipairs(job.texts) do
    if out[text] == nil then
      local ids, cut, code = model.tokenizer:encode(text, model.length)
      if not ids then return nil, cut, code end
      local key = hash.sha256(json.encode { version = VERSION, ids = json.array(ids), text_encoder = job.base.text_encoder,
        skip = job.clip_skip or 1, dtype = job.dtype or "" })
      out[text] = known(store, "text", key) or false
      if not out[text] then todo[#todo + 1] = { text = text, ids = ids, key = key } end
    end
  end
  if #todo == 0 then return out, 0 end
  local bar <close> = log.progress("captions to states", #todo)
  local g = layers.new { device = job.device, dtype = job.dtype }
  local ids = g.input("ids", "i32", { 1, model.length })
  local states = clip.encode(g, ids, model.text_encoder:weights(g), model.text_encoder.config, job.clip_skip)
  g.graph:output("sample", states)
  local plan <close>, message, code = job.device:plan(g.graph)
  local ok = plan
  if plan then ok, message, code = within(job, plan:sizes(), 0) end
  if not ok then return nil, "the text encoder: " .. message, code end
  ok, message, code = folder.load(g, plan, model.text_encoder)
  if not ok then return nil, message, code end
  for i, it in ipairs(todo) do
    if script.interrupted() > 0 then return nil, "stopped between two captions", "INTERRUPT" end
    plan:set(ids, it.ids)
    ok, message, code = plan:run "sample"
    if not ok then return nil, message, code end
    local bytes
    bytes, message, code = plan:bytes(states)
    if not bytes then return nil, message, code end
    local bad = floats.not_finite(bytes)
    if bad then
      return nil, ("%q: the text encoder's states are not finite, number %d of %d; %s"):format(it.text, bad, #bytes // 4,
        encoded.way_out(job.dtype)), "FORMAT"
    end
    out[it.text] = keep(store, "text", it.key, bytes)
    bar:set(i)
  end
  return out, #todo
end

return encoded
