-- goldens.lua - the numbers in the safetensors files of tests/golden, for tests.
--
--   local goldens = dofile "tests/goldens.lua"
--   local list, shape = goldens.numbers("tests/golden/blip/matcher.safetensors", "ids")
--   local pixels = goldens.pixels("tests/golden/blip/matcher.safetensors", "pixels", function(x, c) return x end)
local fs = require "native.fs"
local json = require "native.json"

local M = {}

--- The numbers of a tensor of F32 or I32, and its shape.
function M.numbers(path, name)
  local bytes = assert(fs.read(path))
  local size = string.unpack("<I8", bytes)
  local t = json.decode(bytes:sub(9, 8 + size))[name]
  local list, at, count = {}, 9 + size + t.data_offsets[1], 1
  for _, n in ipairs(t.shape) do count = count * n end
  for i = 1, count do list[i], at = string.unpack(t.dtype == "I32" and "<i4" or "<f", bytes, at) end
  return list, t.shape
end

--- Pictures [B, C, H, W] as [B, H, W, C], each number of(x, channel); channels as `order` says (1, 2, 3 when left out).
function M.pixels(path, name, of, order)
  local list, shape = M.numbers(path, name)
  local B, C, H, W = table.unpack(shape)
  local out = {}
  for b = 0, B - 1 do
    for i = 1, H * W do
      for c = 1, C do
        local from = order and order[c] or c
        out[#out + 1] = of(list[(b * C + from - 1) * H * W + i], from)
      end
    end
  end
  return out, shape
end

--- Numbers as the bytes that models' plans are given.
function M.floats(list)
  local parts = {}
  for i, x in ipairs(list) do parts[i] = string.pack("<f", x) end
  return table.concat(parts)
end

local MEAN, SPREAD = { 0.48145466, 0.4578275, 0.40821073 }, { 0.26862954, 0.26130258, 0.27577711 }

--- A number as BLIP's preprocessing makes it -> from -1 to 1, as image.floats has it.
function M.unblip(x, c) return 2 * (x * SPREAD[c] + MEAN[c]) - 1 end

--- A folder of the hub below `place`: the files of tests/golden/FROM that a model needs, and for BLIP words that the goldens' numbers stand for.
function M.model(place, from, to)
  local folder = "tests/golden/" .. from .. "/"
  for _, name in ipairs { "config.json", "model.safetensors", "selected_tags.csv" } do
    if fs.stat(folder .. name) then place.write(to .. "/" .. name, assert(fs.read(folder .. name))) end
  end
  if from:find "^blip" then place.write(to .. "/vocab.txt", table.concat(M.words, "\n") .. "\n") end
end

M.words = { "[PAD]" }
for i = 1, 88 do M.words[#M.words + 1] = "word" .. i end
for _, word in ipairs { "[UNK]", "[CLS]", "[MASK]", "[SEP]", "." } do M.words[#M.words + 1] = word end

return M
