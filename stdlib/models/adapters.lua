-- adapters.lua - what is added to the layers of a frozen model, by path.
--
--   local lora = adapters.lora { rank = 16, alpha = 16, match = unet.lora_targets }
--   local g = layers.new { adapter = lora }        -- ... build the model ...
--   for _, m in ipairs(lora.modules) do print(m.path, m.down, m.up) end
--
-- An adapter has two methods, linear and conv: they get a layer's path, its input x and its output y, and return the new output.

local adapters = {}

local Lora = {}
Lora.__index = Lora

---@class calotype.LoraModule
---@field path string of the layer: "unet.down_blocks.0.attentions.0.proj_in"
---@field down userdata parameter [rank, in], of a convolution [rank, kh, kw, in]
---@field up userdata parameter [out, rank]
---@field rank integer
---@field alpha number
---@field into integer
---@field out integer
---@field size? integer of a convolution's kernel; 1 for a 1x1 kernel, nil for a matrix

--- LoRA (Hu et al. 2021): y + alpha / rank * up(down(x)). `match(path)` says which linear layers; `conv` which 3x3 convolutions.
---@param options { rank: integer, alpha?: number, match: (fun(path: string): boolean), conv?: fun(path: string): boolean }
function adapters.lora(options)
  local rank = math.tointeger(options.rank)
  if not rank or rank < 1 then error(("lora: rank is %s; a whole number of at least 1 is expected"):format(tostring(options.rank)), 2) end
  return setmetatable({ rank = rank, alpha = options.alpha or rank, match = options.match, match_conv = options.conv, modules = {}, by_path = {} }, Lora)
end

--- How much of what was learned counts: a value without axes that is multiplied in while the layers that follow are built (0: the base
--- alone), nil for 1. Sampling has it; training does not.
function Lora:set_strength(value) self.strength = value end

local function add(lora, m, y, change)
  change = change * (m.alpha / m.rank)
  return y + (lora.strength and change * lora.strength or change)
end

-- The parameters of a layer; a layer that is used twice (in two segments, say) has one pair.
local function module_of(lora, g, path, down, out, into, size)
  local m = lora.by_path[path]
  if m then return m end
  m = { path = path, rank = lora.rank, alpha = lora.alpha, into = into, out = out, size = size }
  m.down = g.graph:state(path .. ".lora_down.weight", "f32", down, "parameters")
  m.up = g.graph:state(path .. ".lora_up.weight", "f32", { out, lora.rank }, "parameters")
  lora.modules[#lora.modules + 1], lora.by_path[path] = m, m
  return m
end

local function last(x)
  local shape = x:shape()
  return shape[#shape]
end

function Lora:linear(g, path, x, y, out, kernel)
  if not self.match(path) then return y end
  local m = module_of(self, g, path, { self.rank, last(x) }, out, last(x), kernel and 1 or nil)
  return add(self, m, y, g.linear_of(g.linear_of(x, m.down), m.up))
end

function Lora:conv(g, path, x, y, out, size, place)
  if not self.match_conv or not self.match_conv(path) then return y end
  local m = module_of(self, g, path, { self.rank, size, size, last(x) }, out, last(x), size)
  return add(self, m, y, g.linear_of(g.conv2d(x, m.down, place), m.up))
end

--- kohya's name of a layer: "lora_unet_down_blocks_0_...". The root of the path says which network.
local PREFIX = { unet = "lora_unet", text_encoder = "lora_te", text_encoder_1 = "lora_te1", text_encoder_2 = "lora_te2" }
function adapters.kohya_name(path)
  local root, rest = path:match "^([^.]+)%.(.+)$"
  local prefix = root and PREFIX[root]
  if not prefix then error(("lora: no kohya name is known for \"%s\""):format(path), 2) end
  return prefix .. "_" .. rest:gsub("%.", "_")
end

return adapters
