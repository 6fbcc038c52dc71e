-- latents.lua - the pictures that the UNet learns from, encoded once by the finished VAE: parts of 1,000 in files, each whole or not there.
--
--   local latents = require "tiny.latents"
--   local made = latents.new { device = d, vae = model.vae, folder = "out/tiny/state", count = 24000, seed = 1 }
--   for part = 1, made.parts do if not made.has(part) then made.make(part) end end
--   local list, shown = made.load()                 -- f32 bytes and what each picture shows

local folder_of = require "models.folder"
local fs = require "native.fs"
local hash = require "native.hash"
local image = require "native.image"
local layers = require "models.layers"
local safetensors = require "native.safetensors"
local vae = require "models.vae"
local weights = require "native.weights"
local world = require "tiny.world"

local M = {}

local PART, BATCH = 1000, 20
local WORLD = 250 -- pictures that tell one world from another

---@param options { device: userdata, vae: calotype.ModelPart, folder: string, count: integer, seed: integer }
function M.new(options)
  local o, side = options, world.SIDE
  local part_size = math.min(PART, o.count)
  local code = side >> (#o.vae.config.block_out_channels - 1)
  local each = code * code * 4
  local made = { parts = (o.count + part_size - 1) // part_size, side = code }
  local function path(part) return ("%s/latents-%02d.safetensors"):format(o.folder, part) end

  -- What picture `i` shows, and the random numbers that draw it.
  local function picture(i)
    local random = hash.random(o.seed, 2000000 + i)
    return world.sample(random), random
  end

  -- Parts of another VAE, world or seed are made anew. A world is what it draws: the first pictures stand for all.
  local function digest(bytes) return hash.sha256(bytes):sub(1, 16) end
  local drawn = {}
  for i = 1, WORLD do
    local p, random = picture(i)
    drawn[i] = world.draw(p, random):bytes()
  end
  local mark = ("%s %s seed %d"):format(digest(assert(fs.read(o.vae.path .. "/" .. o.vae.files[1]))), digest(table.concat(drawn)), o.seed)

  function made.has(part)
    if not fs.stat(path(part)) then return false end
    local file = safetensors.open(path(part))
    return file ~= nil and file.metadata.mark == mark and file.tensors.latents.shape[1] == part_size
  end

  local plan, x, noise, latent
  local function prepare()
    local g = layers.new()
    x, noise = g.input("picture", "f32", { BATCH, side, side, 3 }), g.input("noise", "f32", { BATCH, code, code, 4 })
    local mean, logvar = vae.encode(g, x, o.vae:weights(g), o.vae.config)
    latent = vae.draw(g, mean, logvar, noise) * vae.config(o.vae.config).scale
    g.graph:output("sample", latent)
    plan = assert(o.device:plan(g.graph))
    assert(folder_of.load(g, plan, o.vae))
  end

  function made.make(part)
    if not plan then prepare() end
    local list = {}
    for at = 0, part_size - 1, BATCH do
      local pictures = {}
      for i = 1, BATCH do
        local p, random = picture((part - 1) * part_size + math.min(at + i, part_size))
        pictures[i] = world.draw(p, random)
      end
      plan:set(x, image.floats(pictures))
      plan:set(noise, hash.random(o.seed, 3000000 + (part - 1) * part_size + at):normal(BATCH * each))
      local ok, message, refusal = plan:run "sample"
      if not ok then return nil, message, refusal end
      list[#list + 1] = assert(plan:bytes(latent)):sub(1, 4 * each * math.min(BATCH, part_size - at))
    end
    return weights.save(path(part), { { name = "latents", shape = { part_size, code, code, 4 }, bytes = table.concat(list) } },
      { dtype = "f32", metadata = { mark = mark } })
  end

  function made.load()
    local list, shown = {}, {}
    for part = 1, made.parts do
      local bytes = assert(fs.read(path(part)))
      local at = assert(safetensors.open(path(part))).tensors.latents.offset
      for i = 0, part_size - 1 do
        list[#list + 1] = bytes:sub(at + 1 + 4 * each * i, at + 4 * each * (i + 1))
        shown[#list] = picture(#list)
      end
    end
    return list, shown
  end

  return made
end

return M
