local device = require "native.device"
local fs = require "native.fs"
local goldens = dofile "tests/goldens.lua"
local hub_folder = require "models.hub_folder"
local layers = require "models.layers"
local part = require "models.part"
local tag_list = require "models.tag_list"
local tagger = require "models.tagger"
local wd14 = require "models.wd14"

local golden = "tests/golden/wd14/"

local function numbers(name) return goldens.numbers(golden .. "golden.safetensors", name) end

test("wd14: probabilities are timm's", function()
  local model = check.ok(hub_folder.wd14(golden))
  local given, shape = goldens.pixels(golden .. "golden.safetensors", "pixels", function(x) return x end, { 3, 2, 1 }) -- of blue, green, red
  local B = shape[1]
  local g = layers.new { forward = true }
  local it = wd14.tagger(g, model.part:weights(g), model.config, { batch = B })
  local plan <close> = assert(device.open():plan(g.graph))
  assert(part.load(g, plan, model.part))
  check.equal(#g.unused(), 0)
  plan:set(it.pixels, given)
  assert(plan:run "sample")
  local got, expected = plan:get(it.probabilities), numbers "probabilities"
  check.equal(#got, #expected)
  for i, x in ipairs(expected) do check.ok(math.abs(got[i] - x) < 1e-4, ("number %d: %g, %g expected"):format(i, got[i], x)) end
end)

test("tagger: a picture in which numbers run over has none, the others have theirs", function()
  local model = check.ok(hub_folder.wd14(golden))
  local pixels, shape = goldens.pixels(golden .. "golden.safetensors", "pixels", function(x) return x end, { 3, 2, 1 })
  local floats, expected = goldens.floats(pixels), numbers "probabilities"
  local each, count = #floats // shape[1], #model.tags
  local it <close> = assert(tagger.open { model = model, device = device.open(), dtype = "f32", batch = 4 })
  local found = assert(it:look(floats:sub(1, each) .. string.pack("<f", 0 / 0):rep(each // 4) .. floats:sub(2 * each + 1, 3 * each), 3))
  check.equal({ #found, found[2], #found[1], #found[3] }, { 3, { over = true }, count, count })
  for _, k in ipairs { 1, 3 } do for i, p in ipairs(found[k]) do check.near(p, expected[(k - 1) * count + i], 1e-4) end end
  local plan = it.plan
  it.plan = { set = function(_, ...) plan:set(...) end, run = function(_, ...) return plan:run(...) end, close = function() plan:close() end,
    get = function(_, ...)
      local all = plan:get(...)
      all[count + count // 2] = 0 / 0 -- one of the second picture's
      return all
    end }
  found = assert(it:look(floats, 3))
  check.equal({ #found[1], found[2], #found[3] }, { count, { over = true }, count })
end)

test("wd14: names, quotes and categories of selected_tags.csv", function()
  local tags = check.ok(hub_folder.wd14(golden)).tags
  check.equal({ tags[1], tags[5].name, tags[10].name, tags[11].name, tags[12].name, tags[13] },
    { { name = "general", category = "rating" }, "1girl", "poster_(object)", '"quoted"', "a,_b", { name = "hatsune_miku", category = "character" } })
end)

-- What is read of a selected_tags.csv of these bytes.
local function read(bytes, count)
  local path = tmp "tags.csv"
  assert(fs.write(path, bytes))
  return tag_list.read(path, count)
end

local HEAD = "tag_id,name,category,count\n"

test("tags: lines end as they like, a mark of UTF-8 before them is nothing, names in quotes may have commas, columns any order", function()
  local expected = { { name = "general", category = "rating" }, { name = "a,_b", category = "general" }, { name = "miku", category = "character" },
    { name = '"', category = "general" } }
  local rows = { "1,general,9,5", '2,"a,_b",0,4', "3,miku,4,3", '4,"""",1,2' } -- 1: Danbooru's artists
  for _, ending in ipairs { "\n", "\r\n", "\r", "\n\n" } do
    local bytes = "tag_id,name,category,count" .. ending .. table.concat(rows, ending)
    check.equal(read(bytes, 4), expected, ("%q"):format(ending))
    check.equal(read("\xEF\xBB\xBF" .. bytes .. ending, 4), expected, ("%q"):format(ending))
  end
  check.equal(read('"category","name"\n0,x\n', 1), { { name = "x", category = "general" } })
end)

test("tags: what is no list of this model's tags is refused with the line", function()
  check.refused("has 2 tags, the config's num_classes is 3; both come with the same model", read(HEAD .. "1,a,0,9\n2,b,0,8\n", 3))
  check.refused("has 2 tags, the config's num_classes is 1", read(HEAD .. "1,a,0,9\n2,b,0,8\n", 1))
  check.refused("has 0 tags", read(HEAD, 1))
  check.refused('its first line names no columns "name" and "category"', read("tag_id,name\n1,a\n", 1))
  check.refused("line 4 has no name or no category", read(HEAD .. "\r\n\r\n1,,0,9\n", 1))
  check.refused("line 2 has no name or no category", read(HEAD .. "1,a\n", 1))
  check.refused("line 2 has 5 fields, the first line 4; a name with a comma stands in quotes", read(HEAD .. "1,a,_b,0,9\n", 1))
  check.refused("line 3 has a category that is no number; 0 is general, 4 a character, 9 a rating", read(HEAD .. "1,a,0,9\n2,b,general,8\n", 2))
  check.refused("line 2 has a tag with a control character, or that is not UTF-8", read(HEAD .. "1,a\xff,0,9\n", 1))
  check.refused("line 2 has a tag with a control character", read(HEAD:gsub("\n", "\r\n") .. "1,a\0b,0,9\n", 1))
  check.refused("line 2 is no line of CSV", read(HEAD .. '1,"a,0,9\n', 1))
  check.refused("line 2 is no line of CSV", read(HEAD .. '1,"' .. ('""'):rep(1 << 20) .. '",0,9\n', 1)) -- at once: 2 MB of doubled quotes took minutes
  check.equal(check.refused("cannot be opened", tag_list.read(tmp "gone.csv", 1)), "NOTFOUND")
  check.refused("has 9 MB, so it is no list of 20 tags; at most 4 MB are read", read(HEAD .. ("1,abcdefghijk,0,9\n"):rep(1 << 19), 20))
end)

test("wd14: what config.json does not say is timm's", function()
  local function config(args) return wd14.config { architecture = "vit_large_patch14_224", num_classes = 7, model_args = args } end
  local c = config { class_token = false }
  check.equal({ c.width, c.layers, c.heads, c.inner, c.patch, c.side, c.epsilon, c.act }, { 1024, 24, 16, 4096, 14, 448, 1e-6, "gelu" })
  c = config { class_token = false, embed_dim = 96, depth = 3, num_heads = 2, mlp_ratio = 2.5, img_size = 28, act_layer = "gelu_tanh" }
  check.equal({ c.width, c.layers, c.heads, c.inner, c.side, c.act }, { 96, 3, 2, 240, 28, "gelu_tanh" })
  check.fails("has fc_norm", config, { class_token = false, fc_norm = true })
end)
