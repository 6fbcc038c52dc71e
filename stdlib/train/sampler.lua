-- sampler.lua - pictures from prompts, with a LoRA at any strength, or of a base alone.
--
--   local s = sampler.new { device =, model =, net =, plan =, states = function(text) return bytes end }
--   local picture = s:draw { prompt = "a lighthouse", seed = 0, strength = 1, steps = 20, cfg = 7.5 }
--   local s = sampler.of_base { device =, model =, base =, store =, memory =, width = 512, height = 512, prompts = { "a lighthouse", "" } }

local batches = require "train.batches"
local encoded = require "train.encoded"
local floats = require "train.floats"
local folder = require "models.folder"
local hash = require "native.hash"
local image = require "native.image"
local layers = require "models.layers"
local sampling = require "models.sampling"
local schedule = require "models.schedule"
local script = require "native.script"
local sides = require "models.sides"
local size_text = require "size_text"
local vae = require "models.vae"

local sampler = {}

local Sampler = {}
Sampler.__index = Sampler

--- The graph that makes pictures of latents: { g, z, picture }. `net` as for sampler.new.
function sampler.decoder(options)
  local model, net = options.model, options.net
  local g = layers.new { device = options.device, dtype = options.dtype }
  local z = g.input("latents", "f32", net.sample.latents:shape())
  local picture = vae.decode(g, z / net.scale, model.vae:weights(g), model.vae.config)
  g.graph:output("sample", picture)
  return { g = g, z = z, picture = picture }
end

--- `net` was built with sample and canvas; `plan` is its plan; `states(text)` gives the text encoder's states where it is frozen.
--- The decoder is a plan of its own. With `owns_plan` the plan is the sampler's: closed with it, and when there is none.
---@return table? sampler
---@return string? message
---@return string? code
function sampler.new(options)
  local self = setmetatable({}, Sampler)
  for key, value in pairs(options) do self[key] = value end
  local shape = self.net.sample.latents:shape()
  self.width, self.height, self.channels = shape[3], shape[2], shape[4]
  local made = sampler.decoder(options)
  self.z, self.picture, self.decoder_graph = made.z, made.picture, made.g
  local message, code
  self.decoder, message, code = self.device:plan(made.g.graph)
  if not self.decoder then
    if self.owns_plan then self.plan:close() end
    return nil, message, code
  end
  return self
end

--- Stream the VAE in: apart, so that memory can be looked at first.
function Sampler:load() return folder.load(self.decoder_graph, self.decoder, self.model.vae) end

--- For a sampler that owns its plan: look whether both plans fit into `memory` bytes, then stream the VAE in and call `load()`, which
--- streams in the rest. The sampler, or a refusal, and it is closed.
---@param memory integer
---@param load fun(): boolean?, string?, string?
---@return table? sampler
---@return string? message
---@return string? code
function Sampler:ready(memory, load)
  local needs = 0
  for _, plan in ipairs { self.plan, self.decoder } do
    local sizes = plan:sizes()
    needs = needs + sizes.weights + sizes.states + sizes.arena + sizes.inputs + sizes.constants + sizes.scratch
  end
  local ok, message, code
  if needs > memory then
    message, code = ("drawing needs %s, there are %s; a smaller size needs less"):format(size_text(needs), size_text(memory)), "LIMIT"
  else
    ok, message, code = load()
    if ok then ok, message, code = self:load() end
  end
  if ok then return self end
  self:close()
  return nil, message, code
end

--- The noise that a seed stands for: f32 bytes [h, w, 4].
function Sampler:noise(seed) return hash.random(seed, batches.STREAM.sample):normal(self.width * self.height * self.channels) end

local function both(self, prompt, negative)
  if not self.net.text then return self.states(negative) .. self.states(prompt) end
  local ids = {}
  for _, text in ipairs { negative, prompt } do
    for _, id in ipairs(self.model.tokenizer:encode(text, self.model.length)) do ids[#ids + 1] = id end
  end
  return ids
end

-- A picture of which nothing can be seen is none: where it went wrong, and what may help.
local function lost(self, row, what)
  local strength = row.strength and row.strength ~= 0 and (", strength %g"):format(row.strength) or ""
  local learned = strength ~= "" and "; or the LoRA learned too fast: an earlier checkpoint or a lower strength may draw" or ""
  return nil, ("%q, seed %d%s: %s; %s%s"):format(row.prompt, row.seed, strength, what, encoded.way_out(self.dtype), learned), "NUMBER"
end

--- Refuses with "NUMBER" when latents or picture are not finite.
---@param row { prompt: string, negative?: string, seed: integer, strength?: number, steps: integer, cfg: number, sampler?: string, noise?: string }
---@return userdata? picture
---@return string? message
---@return string? code
function Sampler:draw(row)
  local s, plan = self.net.sample, self.plan
  local steps = schedule[row.sampler or "ddim"](schedule.noise(self.model.scheduler), { steps = row.steps })
  local numbers = floats.numbers(row.noise or self:noise(row.seed))
  for i, x in ipairs(numbers) do numbers[i] = x * steps.start end
  plan:set(s.latents, numbers)
  plan:set(s.ids or s.context, both(self, row.prompt, row.negative or ""))
  if s.strength then plan:set(s.strength, row.strength) end
  for _, step in ipairs(steps) do
    for name, number in pairs(s.numbers(step, row.cfg)) do plan:set(s.inputs[name], number) end
    local ok, message, code = plan:run "sample"
    if not ok then return nil, message, code end
    if script.interrupted() > 1 then return nil, "stopped", "INTERRUPT" end
    if self.tick then self.tick() end
  end
  local latents, message, code = plan:bytes(s.latents)
  if not latents then return nil, message, code end
  local bad = floats.not_finite(latents)
  if bad then return lost(self, row, ("after %d steps the latents are not finite, number %d of %d"):format(#steps, bad, #latents // 4)) end
  self.decoder:set(self.z, latents)
  local ok
  ok, message, code = self.decoder:run "sample"
  if not ok then return nil, message, code end
  local pixels
  pixels, message, code = self.decoder:bytes(self.picture)
  if not pixels then return nil, message, code end
  local shape = self.picture:shape()
  local list
  list, message, code = image.of_floats(pixels, shape[3], shape[2])
  if list then return list[1] end
  if code == "FORMAT" then return lost(self, row, message) end
  return nil, message, code
end

function Sampler:close()
  self.decoder:close()
  if self.owns_plan then self.plan:close() end
end
Sampler.__close = Sampler.close

--- A sampler of a base without a LoRA. `base` are its fingerprints (train.encoded); the states of all prompts, negative ones too, are made now.
---@param options table device, model, base, store, memory in bytes, width, height, prompts, dtype
---@return table? sampler
---@return string? message
---@return string? code
function sampler.of_base(options)
  local model, g = options.model, layers.new { device = options.device, dtype = options.dtype }
  local texts, message, code = encoded.texts { store = options.store, device = options.device, model = model, base = options.base,
    dtype = options.dtype, memory = options.memory, texts = options.prompts }
  if not texts then return nil, message, code end
  local canvas = sides.latents(model, options.width, options.height)
  local net = { scale = vae.config(model.vae.config).scale }
  net.sample = sampling.build(g, model.unet:weights(g), model.unet.config, { height = canvas.height, width = canvas.width, tokens = model.length })
  local plan
  plan, message, code = options.device:plan(g.graph)
  if not plan then return nil, message, code end
  local drawing
  drawing, message, code = sampler.new { device = options.device, model = model, net = net, plan = plan, dtype = options.dtype, owns_plan = true,
    states = function(text) return texts[text]() end }
  if not drawing then return nil, message, code end
  return drawing:ready(options.memory, function() return folder.load(g, plan, model.unet) end)
end

return sampler
