-- sides.lua - which sides of pictures and latents a base takes: its VAE halves them, then its UNet does.
--
--   sides.multiple(model)                 --> 64: sides of pictures are multiples of it
--   sides.latents(model, 512, 768)        --> { width = 64, height = 96 }
--   sides.own(model)                      --> 512, 512: what the base draws by itself

local unet = require "models.unet"
local vae = require "models.vae"

local sides = {}

-- How often a picture's side is its latents'.
local function down(model) return 1 << (#vae.config(model.vae.config).widths - 1) end

---@param model table an open base (models.folder)
---@return integer
function sides.multiple(model) return down(model) * (1 << (#unet.config(model.unet.config).widths - 1)) end

--- Of the latents of a picture.
---@return { width: integer, height: integer }
function sides.latents(model, width, height) return { width = width // down(model), height = height // down(model) } end

--- Width and height in pixels. A config's sample_size is one side of the latents, or height and width, or nothing: then it is diffusers' 64.
---@return integer width
---@return integer height
function sides.own(model)
  local size = model.unet.config.sample_size
  local pair = type(size) == "table" and size or { size, size }
  local height, width = math.tointeger(pair[1]), math.tointeger(pair[2])
  if not (height and width and height > 0 and width > 0) then height, width = 64, 64 end
  return width * down(model), height * down(model)
end

return sides
