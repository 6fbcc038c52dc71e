-- What models that look at pictures take: how many go at once, what is refused before anything is computed, which numbers weights may be.
local captioner = require "models.captioner"
local device = require "native.device"
local fs = require "native.fs"
local hub_folder = require "models.hub_folder"
local json = require "native.json"
local pickle = dofile "tests/pickle.lua"
local recipes = dofile "tests/recipes.lua"
local scorer = require "models.scorer"
local script = require "native.script"
local store = require "native.store"
local tagger = require "models.tagger"

local WORDS = { "[PAD]" }
for i = 1, 88 do WORDS[#WORDS + 1] = "word" .. i end
for _, word in ipairs { "[UNK]", "[CLS]", "[MASK]", "[SEP]", "." } do WORDS[#WORDS + 1] = word end

-- A place with four pictures and their captions, and the three models of the goldens.
local function new_place()
  local place = recipes.new(tmp "place")
  for i = 1, 4 do
    place.photo(("p%d.png"):format(i), { seed = i, width = 60, height = 50 })
    place.write(("photos/p%d.txt"):format(i), "word1 word" .. i)
  end
  for name, from in pairs { blip = "blip/captioner", itm = "blip/matcher", wd14 = "wd14" } do
    for _, file in ipairs { "config.json", "model.safetensors", name == "wd14" and "selected_tags.csv" or nil } do
      place.write(name .. "/" .. file, assert(fs.read(("tests/golden/%s/%s"):format(from, file))))
    end
    if name ~= "wd14" then place.write(name .. "/vocab.txt", table.concat(WORDS, "\n") .. "\n") end
  end
  return place
end

local CAPTION = 'images "@/photos":caption { replace = true, with = %s }:export { as = "sidecars", to = "@/out" }'
local KINDS = {
  blip = { module = captioner, recipe = CAPTION:format 'blip { model = "@/blip", beams = 2, longest = 5, shortest = 3, penalty = 4%s }',
    open = function(place, o)
      o.model, o.prompt, o.beams, o.longest, o.shortest, o.penalty = assert(hub_folder.blip(place.path "blip", "captioner")), "", 2, 5, 3, 4
      return captioner.open(o)
    end },
  wd14 = { module = tagger, recipe = CAPTION:format 'wd14 { model = "@/wd14", threshold = 0.3%s }',
    open = function(place, o)
      o.model = assert(hub_folder.wd14(place.path "wd14"))
      return tagger.open(o)
    end },
  itm = { module = scorer, recipe = 'images "@/photos":score { model = "@/itm"%s }:sheet { to = "@/out/sheet.png" }',
    open = function(place, o)
      o.model = assert(hub_folder.blip(place.path "itm", "matcher"))
      return scorer.open(o)
    end },
}

-- The bytes that so many pictures at once need, as part.lua adds them up.
local function needs(place, kind, batch, dtype)
  local it <close> = assert(kind.open(place, { device = assert(device.open()), dtype = dtype or "f32", batch = batch }))
  local s = it.plan:sizes()
  return s.weights + s.states + s.arena + s.inputs + s.constants + (device.open():info().cpu and 3 * s.inputs or 0)
end

-- A run on a device with so much memory, and how many pictures at once were tried.
local function run(place, kind, options, memory)
  local open, tried = kind.module.open, {}
  local _ <close> = setmetatable({}, { __close = function() kind.module.open = open end })
  kind.module.open = function(how)
    how.memory, tried[#tried + 1] = memory, how.batch
    return open(how)
  end
  return place.run(kind.recipe:format(options)), tried
end

for name, kind in pairs(KINDS) do
  test(name .. ": as many pictures go at once as there is memory for, unless somebody said how many", function()
    local place = new_place()
    local one, two = needs(place, kind, 1), needs(place, kind, 2)
    check.ok(one < two and two < needs(place, kind, 4))

    local done, tried = run(place, kind, ", batch = 4", two)
    check.equal({ done.exit, tried }, { 1, { 4 } }, done.text)
    check.contains(done.text, name .. ": 4 pictures at once need ")
    check.contains(done.text, ", there are ")
    check.contains(done.text, name == "blip" and '; batch = 2, fewer beams, a smaller longest or dtype = "bf16" need less' or '; batch = 2 or dtype = "bf16" need less')
    done, tried = run(place, kind, "", one - 1)
    check.equal({ done.exit, tried }, { 1, { 4, 2, 1 } }, done.text)
    check.contains(done.text, name .. ": 1 picture needs ")
    check.contains(done.text, name == "blip" and '; fewer beams, a smaller longest or dtype = "bf16" need less' or '; dtype = "bf16" needs less')
    local smaller = "; a smaller model needs less, or close what else holds memory"
    check.contains(run(place, kind, ', dtype = "bf16"', 1000).text, smaller)
    done = run(place, kind, ', dtype = "bf16"', needs(place, kind, 1, "bf16") - 1)
    check.contains(done.text, name == "blip" and "; fewer beams or a smaller longest need less" or smaller)
    check.ok(not fs.stat(place.path "out"), "nothing was written")

    done, tried = run(place, kind, "", two)
    check.equal({ done.exit, tried }, { 0, { 4, 2 } }, done.text)
  end)

  test(name .. ": more pictures at once than anybody has memory for are refused while the recipe is read", function()
    local done = new_place().check(kind.recipe:format ", batch = 1024")
    check.equal(done.exit, 2)
    check.contains(done.text, "1024")
    check.contains(done.text, "64")
  end)
end

test("a device that fails otherwise is not asked for less", function()
  local place, kind = new_place(), KINDS.wd14
  local open, tried = tagger.open, 0
  local _ <close> = setmetatable({}, { __close = function() tagger.open = open end })
  tagger.open = function()
    tried = tried + 1
    return nil, "the device fell asleep", "DEVICE"
  end
  local done = place.run(kind.recipe:format "")
  check.equal({ done.exit, tried }, { 1, 1 })
  check.contains(done.text, "the device fell asleep")
end)

test("blip: more beams than the model has words for are refused while the recipe is read", function()
  local place, open = new_place(), hub_folder.open
  local text = KINDS.blip.recipe:gsub("beams = 2", "beams = 12")
  check.equal(place.check(text:format "").exit, 0)
  local _ <close> = setmetatable({}, { __close = function() hub_folder.open = open end })
  hub_folder.open = function(...)
    local model, message, code = open(...)
    if model then model.config.vocabulary = 20 end
    return model, message, code
  end
  local done = place.check(text:format "")
  check.equal(done.exit, 2)
  check.contains(done.text, "12 beams look at the 24 likeliest words of each step; this model knows 20")
  check.equal(place.check(KINDS.blip.recipe:format "").exit, 0)
end)

-- The bytes of a file of safetensors with one tensor in another dtype: pack makes bytes of its numbers.
local function retyped(bytes, name, dtype, pack)
  local size = string.unpack("<I8", bytes)
  local header, data = json.decode(bytes:sub(9, 8 + size)), bytes:sub(9 + size)
  local names, out, at = {}, {}, 0
  for key in pairs(header) do if key ~= "__metadata__" then names[#names + 1] = key end end
  table.sort(names)
  for _, key in ipairs(names) do
    local it = header[key]
    local piece = data:sub(it.data_offsets[1] + 1, it.data_offsets[2])
    if key == name then
      piece = piece:gsub("....", function(x) return pack((string.unpack("<f", x))) end)
      it.dtype = dtype
    end
    it.data_offsets = { at, at + #piece }
    out[#out + 1], at = piece, at + #piece
  end
  local text = json.encode(header)
  text = text .. (" "):rep(-#text % 8)
  return string.pack("<I8", #text) .. text .. table.concat(out)
end

local READ = {
  F64 = function(x) return string.pack("<d", x) end,
  BF16 = function(x) return string.pack("<f", x):sub(3) end,
  F16 = function(x) return x == 0 and "\0\0" or x < 0 and "\0\xbc" or "\0\x3c" end, -- 0, -1, 1
}
local REFUSED = {
  I64 = function(x) return string.pack("<i8", x // 1 | 0) end,
  I32 = function(x) return string.pack("<i4", x // 1 | 0) end,
  U8 = function() return "\1" end,
  BOOL = function() return "\1" end,
}
local TENSORS = { blip = "text_decoder.bert.encoder.layer.0.attention.self.query.weight", wd14 = "blocks.0.attn.qkv.weight",
  itm = "itm_head.weight" }

for name, kind in pairs(KINDS) do
  test(name .. ": weights of any float are read, whole numbers are refused by name before anything is computed", function()
    local place = new_place()
    local path = place.path(name .. "/model.safetensors")
    local whole = assert(fs.read(path))
    for dtype, pack in pairs(READ) do
      assert(fs.write(path, retyped(whole, TENSORS[name], dtype, pack)))
      local done = place.run(kind.recipe:format "")
      check.equal(done.exit, 0, dtype .. ": " .. done.text)
    end
    for dtype, pack in pairs(REFUSED) do
      assert(fs.write(path, retyped(whole, TENSORS[name], dtype, pack)))
      local done = place.check(kind.recipe:format "")
      check.equal(done.exit, 2, dtype)
      check.contains(done.text, ('tensor "%s" has the dtype %s; F32, F16, BF16 and F64 are weights'):format(TENSORS[name], dtype))
    end
  end)
end

test("the same of pytorch_model.bin: floats of any width are read, whole numbers are refused by name", function()
  local place, kind, from = new_place(), KINDS.blip, tmp "retyped.safetensors"
  local whole = place.read "blip/model.safetensors"
  fs.remove(place.path "blip/model.safetensors")
  for _, case in ipairs { { "F64", READ.F64 }, { "BF16", READ.BF16 }, { "F16", READ.F16 }, { "I64", REFUSED.I64 }, { "I32", REFUSED.I32 } } do
    local dtype, pack = table.unpack(case)
    assert(fs.write(from, retyped(whole, TENSORS.blip, dtype, pack)))
    pickle.write(place.path "blip/pytorch_model.bin", from)
    local done = place[READ[dtype] and "run" or "check"](kind.recipe:format "")
    check.equal(done.exit, READ[dtype] and 0 or 2, dtype .. ": " .. done.text)
    if not READ[dtype] then check.contains(done.text, ('tensor "%s" has the dtype %s; F32, F16, BF16 and F64 are weights'):format(TENSORS.blip, dtype)) end
  end
end)

test("places of tokens that hub files carry as whole numbers are no weights and hinder nobody", function()
  local place = new_place()
  for name, tensor in pairs { blip = "text_decoder.bert.embeddings.position_ids", itm = "text_encoder.embeddings.position_ids" } do
    local path = place.path(name .. "/model.safetensors")
    local bytes = assert(fs.read(path))
    local size = string.unpack("<I8", bytes)
    local header, data = json.decode(bytes:sub(9, 8 + size)), bytes:sub(9 + size)
    header[tensor] = { dtype = "I64", shape = { 1, 4 }, data_offsets = { #data, #data + 32 } }
    local text = json.encode(header)
    assert(fs.write(path, string.pack("<I8", #text) .. text .. data .. string.pack("<i8i8i8i8", 0, 1, 2, 3)))
    local done = place.run(KINDS[name].recipe:format "")
    check.equal(done.exit, 0, done.text)
  end
end)

-- One after the other: Lua has one thread, a plan runs until it is done, and is closed before the next verb or provider begins. Between processes
-- of one project recipe/alone.lua holds the store, and a window has one job at a time (window/jobs.lua).
test("models that look have the device for themselves: in a recipe with several of them one is there at a time", function()
  local place, there, most, names = new_place(), 0, 0, {}
  local opens = {}
  local _ <close> = setmetatable({}, { __close = function() for kind, open in pairs(opens) do kind.module.open = open end end })
  for name, kind in pairs(KINDS) do
    opens[kind] = kind.module.open
    kind.module.open = function(how)
      local it, message, code = opens[kind](how)
      if not it then return nil, message, code end
      there = there + 1
      most, names[#names + 1] = math.max(most, there), name
      return setmetatable({}, { __index = it, __close = function()
        there = there - 1
        it:close()
      end })
    end
  end
  local done = place.run([[images "@/photos"
    :caption { replace = true, with = ensemble { blip { model = "@/blip", beams = 2, longest = 5, shortest = 3, penalty = 4 },
      blip { model = "@/blip", beams = 2, longest = 6, shortest = 3, penalty = 4 } } }
    :caption { replace = true, with = wd14 { model = "@/wd14", threshold = 0.3 } }
    :score { model = "@/itm" }:sheet { to = "@/out/sheet.png" }]])
  check.equal(done.exit, 0, done.text)
  check.equal({ names, there, most }, { { "blip", "blip", "wd14", "itm" }, 0, 1 })
end)

for name, kind in pairs(KINDS) do
  test(name .. ": another run of the project that asks is waited for before anything is taken", function()
    local place, open, pause, ready = new_place(), kind.module.open, script.pause, {}
    local other <close> = assert(store.open(place.path "store"))
    check.equal(other:lock(), true)
    local waiting = true
    local _ <close> = setmetatable({}, { __close = function() kind.module.open, script.pause = open, pause end })
    kind.module.open = function(how)
      ready[#ready + 1] = waiting
      return open(how)
    end
    script.pause = function(...)
      if waiting then other:unlock() end
      waiting = false
      return pause(...)
    end
    local done = place.run(kind.recipe:format "")
    check.equal({ done.exit, ready, waiting }, { 0, { false }, false }, done.text)
  end)
end

test("check and plan of models that look leave the device alone", function()
  local place, open = new_place(), device.open
  local _ <close> = setmetatable({}, { __close = function() device.open = open end })
  device.open = function() error "the device was opened" end
  for name, kind in pairs(KINDS) do
    local text = kind.recipe:format ""
    check.equal(place.check(text).exit, 0, name)
    local done = place.plan(text)
    check.equal(done.exit, 0, name .. ": " .. done.text)
  end
  check.contains(place.run(KINDS.wd14.recipe:format "").text, "the device was opened")
end)
