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
local label = require "label"
local layers = require "models.layers"
local sampling = require "models.sampling"
local schedule = require "models.schedule"
local script = require "native.script"
local unet = require "models.unet"
local vae = require "models.vae"

local size_text = require "size_text"

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
  local canvas = sampler.canvas(model, options.width, options.height)
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

--- What a base draws by itself: width and height in pixels. A config's sample_size is one side of the latents, or height and width, or
--- nothing: then it is diffusers' 64.
function sampler.own_size(model)
  local size, down = model.unet.config.sample_size, 1 << (#vae.config(model.vae.config).widths - 1)
  local pair = type(size) == "table" and size or { size, size }
  local height, width = math.tointeger(pair[1]), math.tointeger(pair[2])
  if not (height and width and height > 0 and width > 0) then height, width = 64, 64 end
  return width * down, height * down
end

--- What the latents' sides are for a picture of this side.
function sampler.canvas(model, width, height)
  local down = 1 << (#vae.config(model.vae.config).widths - 1)
  return { width = width // down, height = height // down }
end

--- Sides of pictures are multiples of this: the VAE halves them, then the UNet does.
function sampler.multiple(model)
  return (1 << (#vae.config(model.vae.config).widths - 1)) * (1 << (#unet.config(model.unet.config).widths - 1))
end

-- Grids ------------------------------------------------------------------------------------------------------------------

local GAP, SIZE, FRAME = 6, 12, 2
local PAPER, INK, FAINT, MARK = { 250, 249, 246 }, { 34, 34, 34 }, { 120, 118, 112 }, { 24, 140, 70 }

--- Pictures in rows with a line of text above each row and one below each picture; a row has as many lines as it needs.
---@param rows { title: string, cells: { picture: userdata, label: string, framed?: boolean }[] }[]
---@param columns? integer at most so many pictures beside each other
---@return userdata? grid
---@return string|table message or, of each row, where its pictures are: { x, y, width, height }
---@return string? code
function sampler.grid(rows, columns)
  local across, height, side = 0, GAP, 0
  for _, row in ipairs(rows) do
    across = math.max(across, math.min(#row.cells, columns or #row.cells))
    row.height = 0
    for _, cell in ipairs(row.cells) do
      side = math.max(side, cell.picture:width(), math.ceil(image.text_width(cell.label, SIZE)))
      row.height = math.max(row.height, cell.picture:height())
    end
  end
  local function lines(row) return (#row.cells + across - 1) // across end
  local function line_height(row) return row.height + SIZE + 8 end
  for _, row in ipairs(rows) do height = height + SIZE + 6 + lines(row) * line_height(row) + GAP end
  local width = math.max(GAP + across * (side + GAP), 240)
  local sheet, message, code = image.new(width, height, PAPER)
  if not sheet then return nil, message, code end
  local y, places = GAP, {}
  for r, row in ipairs(rows) do
    places[r] = {}
    sheet:text(GAP, y, label.fitted(row.title, width - 2 * GAP, SIZE), { size = SIZE, color = INK })
    y = y + SIZE + 6
    for i, cell in ipairs(row.cells) do
      local x, top = GAP + (i - 1) % across * (side + GAP), y + (i - 1) // across * line_height(row)
      local w, h = cell.picture:width(), cell.picture:height()
      if cell.framed then sheet:rect(x - FRAME, top - FRAME, w + 2 * FRAME, h + 2 * FRAME, MARK) end
      sheet:paste(cell.picture, x, top)
      places[r][i] = { x, top, w, h }
      sheet:text(x, top + row.height + 3, cell.label, { size = SIZE, color = cell.framed and MARK or FAINT })
    end
    y = y + lines(row) * line_height(row) + GAP
  end
  return sheet, places
end

return sampler
