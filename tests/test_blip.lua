local blip = require "models.blip"
local captions = require "models.captioner"
local device = require "native.device"
local fs = require "native.fs"
local generate = require "models.generate"
local goldens = dofile "tests/goldens.lua"
local hub_folder = require "models.hub_folder"
local json = require "native.json"
local layers = require "models.layers"
local recipes = dofile "tests/recipes.lua"
local safetensors = require "native.safetensors"
local text = require "native.text"
local weights = require "native.weights"

local golden = "tests/golden/blip/"

local function config(part) return json.decode(assert(fs.read(golden .. part .. "/config.json"))) end

local function numbers(path, name) return goldens.numbers(golden .. path, name) end

-- Goldens' pixels are normalised; ours are from -1 to 1.
local function pixels(path) return (goldens.pixels(golden .. path, "pixels", goldens.unblip)) end

local function far(a, b)
  check.equal(#a, #b)
  local most = 0
  for i, x in ipairs(b) do most = math.max(most, math.abs(a[i] - x)) end
  return most
end

local function open(part)
  local file = assert(safetensors.open(golden .. part .. "/model.safetensors"))
  return file.tensors, golden .. part .. "/model.safetensors"
end

local function load(g, target, path)
  local list = {}
  for _, l in ipairs(g.loads) do list[#list + 1] = { value = l.value, name = l.name, kernel = l.kernel } end
  assert(weights.load(path, target, list))
end

-- A plan, or the reference in double, behind the same words.
local function captioner(options, dtype)
  local tensors, path = open "captioner"
  local g = layers.new { forward = true, dtype = dtype }
  local c = blip.config(config "captioner")
  local it = blip.captioner(g, g.weights("blip", tensors), c, options)
  local plan = assert(device.open():plan(g.graph))
  load(g, plan, path)
  return plan, it, c, g
end

-- All pictures' texts as the writers want them; `seen(first or next)` may look at the logits.
local function write(plan, it, c, options, how, seen)
  local prompt = { c.first, table.unpack(how.prompt) }
  local start, writers = {}, {}
  for b = 1, options.batch do
    for _, id in ipairs(prompt) do start[#start + 1] = id end
    writers[b] = generate.writer { prompt = prompt, last = c.last, beams = options.beams, most = options.length, least = how.least, penalty = how.penalty,
      length_penalty = how.length_penalty }
  end
  plan:set(it.start, start)
  assert(plan:run "accumulate")
  local bytes, place = assert(plan:bytes(it.first)), #prompt
  if seen then seen(1, plan:get(it.first)) end
  for b, writer in ipairs(writers) do
    assert(writer:step(function(_, rules) return text.best(bytes, b, c.vocabulary, rules) end))
  end
  while true do
    local ids, from, busy = {}, {}, false
    for b, writer in ipairs(writers) do
      busy = busy or not writer:done()
      for k = 1, options.beams do
        local id, row = c.pad, 1
        if not writer:done() then id, row = writer:row(k) end
        ids[#ids + 1], from[#from + 1] = id, (b - 1) * options.beams + row - 1
      end
    end
    if not busy then break end
    local here, mask = {}, {}
    for i = 1, options.length do here[i], mask[i] = i - 1 == place and 1 or 0, i - 1 <= place and 0 or it.unseen end
    plan:set(it.ids, ids)
    if it.from then plan:set(it.from, from) end
    plan:set(it.place, { place })
    plan:set(it.here, here)
    plan:set(it.mask, mask)
    assert(plan:run "sample")
    bytes, place = assert(plan:bytes(it.next)), place + 1
    if seen then seen(place - #prompt + 1, plan:get(it.next)) end
    for b, writer in ipairs(writers) do
      if not writer:done() then
        assert(writer:step(function(k, rules) return text.best(bytes, (b - 1) * options.beams + k, c.vocabulary, rules) end))
      end
    end
  end
  return writers
end

test("blip: captions, greedy and of beams, are transformers', token by token", function()
  local ways = json.decode(assert(fs.read(golden .. "captions.json")))
  local given = pixels "captioner.safetensors"
  local names = {}
  for name in pairs(ways) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local golden_of = ways[name]
    local o = golden_of.options
    local options = { batch = 3, beams = o.num_beams, prompt = 1 + #golden_of.prompt, length = o.max_length }
    local plan, it, c = captioner(options)
    plan:set(it.pixels, given)
    local steps, worst = {}, 0
    local expected, shape
    if o.num_beams == 1 then expected, shape = numbers("captioner.safetensors", name) end
    local writers = write(plan, it, c, options, { prompt = golden_of.prompt, least = o.min_length, penalty = o.repetition_penalty,
      length_penalty = o.length_penalty }, function(step, logits) steps[step] = logits end)
    for b, picture in ipairs(golden_of.pictures) do
      local texts = writers[b]:texts()
      check.equal(#texts, o.num_beams, name)
      for k, row in ipairs(picture) do
        local short = {}
        for i, id in ipairs(row) do
          short[i] = id
          if i > #golden_of.prompt + 1 and id == c.last then break end
        end
        check.equal(table.concat(texts[k].ids, " "), table.concat(short, " "), ("%s, picture %d, text %d"):format(name, b, k))
        if golden_of.scores then check.ok(math.abs(texts[k].score - golden_of.scores[b][k]) < 1e-4, name) end
      end
      if expected then -- a text that has ended is fed padding: its logits there are nobody's
        for step = 1, math.min(shape[2], #texts[1].ids - options.prompt) do
          for v = 1, c.vocabulary do
            worst = math.max(worst, math.abs(steps[step][(b - 1) * c.vocabulary + v] - expected[((b - 1) * shape[2] + step - 1) * c.vocabulary + v]))
          end
        end
      end
    end
    check.ok(worst < 1e-4, ("%s: logits are off by %.2e"):format(name, worst))
    plan:close()
  end
end)

-- The captioner of the goldens as a folder of the hub, whose preprocessor_config.json says that pixels are taken as they are: -1 to 1.
local function plain_model()
  local place = recipes.new(tmp "place")
  goldens.model(place, "blip/captioner", "blip")
  place.write("blip/preprocessor_config.json", '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}')
  return assert(hub_folder.blip(place.path "blip", "captioner"))
end

test("captioner: the ids of a batch that is not full are transformers', pixels prepared as the folder says", function()
  local model, count = plain_model(), 0
  local floats = goldens.floats((goldens.pixels(golden .. "captioner.safetensors", "pixels", function(x) return x end)))
  for name, way in pairs(json.decode(assert(fs.read(golden .. "captions.json")))) do
    local o, words = way.options, {}
    for i, id in ipairs(way.prompt) do words[i] = goldens.words[id + 1] end
    if o.length_penalty == 1 then
      count = count + 1
      local it <close> = assert(captions.open { model = model, device = device.open(), dtype = "f32", batch = 4, prompt = table.concat(words, " "),
        beams = o.num_beams, longest = o.max_length, shortest = o.min_length, penalty = o.repetition_penalty })
      for b, made in ipairs(assert(it:write(floats, 3))) do
        local row = way.pictures[b][1]
        check.equal(made.ids, table.move(row, 1, #made.ids, 1, {}), name)
        check.ok(made.ended == (made.ids[#made.ids] == model.config.last) and (made.ended or #made.ids == o.max_length), name)
      end
    end
  end
  check.equal(count, 14)
end)

test("captioner: a picture in which numbers run over, at once or while its text is written, has no text, and changes nothing of the others'", function()
  local model = plain_model()
  local floats = goldens.floats((goldens.pixels(golden .. "captioner.safetensors", "pixels", function(x) return x end)))
  local each, c = #floats // 3, model.config
  for _, beams in ipairs { 1, 3 } do
    local it <close> = assert(captions.open { model = model, device = device.open(), dtype = "f32", batch = 4, prompt = "", beams = beams, longest = 12,
      shortest = 6, penalty = 1 })
    local expected = assert(it:write(floats, 3))
    local spoiled = floats:sub(1, each) .. string.pack("<f", 0 / 0):rep(each // 4) .. floats:sub(2 * each + 1)
    check.equal(it:write(spoiled, 3), { expected[1], { over = true }, expected[3] })
    local plan, steps = it.plan, 0
    it.plan = { set = function(_, ...) plan:set(...) end, run = function(_, ...) return plan:run(...) end, close = function() plan:close() end,
      bytes = function(_, ...)
        local logits, row = plan:bytes(...), 4 * c.vocabulary
        steps = steps + 1
        if steps ~= 3 then return logits end -- of the second picture's last beam
        return logits:sub(1, (2 * beams - 1) * row) .. string.pack("<f", 1 / 0):rep(c.vocabulary) .. logits:sub(2 * beams * row + 1)
      end }
    check.equal(it:write(floats, 3), { expected[1], { over = true }, expected[3] })
    check.ok(steps > 4)
    steps = 3
    check.equal(it:write(string.pack("<f", 0 / 0):rep(3 * each // 4), 3), { { over = true }, { over = true }, { over = true } })
    check.equal(steps, 4) -- nothing is written for nobody
  end
end)

test("captioner: a text is what people write: no blanks before points, none around apostrophes and hyphens, no special tokens", function()
  local words = assert(text.wordpiece(assert(fs.read(golden .. "vocab.txt"))))
  local function said(sentence)
    local ids = words:tokens(sentence)
    return captions.spoken(words, { 3, table.unpack(ids) }, words:id "[SEP]")
  end
  check.equal(said "the man's t-shirt, in the front! is? a - b", "the man's t-shirt, in the front! is? a-b")
  check.equal(captions.spoken(words, { 7, words:id "dog", words:size(), words:id "s", words:id "[SEP]" }, words:id "[SEP]"), "dog s")
end)

test("blip: 8 heads of a width of 768 are the 12 that all were trained with; other widths have what they say", function()
  local function heads(text_config) return blip.config({ text_config = text_config, vision_config = {} }).heads end
  check.equal({ heads {}, heads { num_attention_heads = 8 }, heads { num_attention_heads = 8, hidden_size = 512 } }, { 12, 12, 8 })
end)

test("generate: of texts that are as good the one of the earlier beam comes first, then the smaller id", function()
  local writer = generate.writer { prompt = { 1 }, last = 0, beams = 2, most = 4 }
  assert(writer:step(function() return { 9, 8, 7, 6 }, { -1, -1, -1, -1 } end))
  check.equal({ writer:row(1), writer:row(2) }, { 6, 7, 1 })
  assert(writer:step(function(b) return b == 1 and { 5, 4, 3, 2 } or { 5, 4, 3, 1 }, { -1, -1, -1, -1 } end))
  check.equal({ { writer:row(1) }, { writer:row(2) } }, { { 2, 1 }, { 3, 1 } })
end)

test("blip: what the picture becomes is transformers'", function()
  local options = { batch = 3, beams = 1, prompt = 1, length = 4 }
  local tensors, path = open "captioner"
  local g = layers.new { forward = true }
  local c = blip.config(config "captioner")
  local it = blip.captioner(g, g.weights("blip", tensors), c, options)
  g.graph:output("accumulate", it.states)
  local plan = assert(device.open():plan(g.graph))
  load(g, plan, path)
  plan:set(it.pixels, pixels "captioner.safetensors")
  plan:set(it.start, { c.first, c.first, c.first })
  assert(plan:run "accumulate")
  local off = far(plan:get(it.states), (numbers("captioner.safetensors", "states")))
  check.ok(off < 1e-4, ("off by %.2e"):format(off))
  check.equal(table.concat(g.unused(), " "), "")
end)

test("blip: whether a text belongs to a picture is transformers'", function()
  local tensors, path = open "matcher"
  local g = layers.new { forward = true }
  local c = blip.config(config "matcher")
  local ids, shape = numbers("matcher.safetensors", "ids")
  local mask = numbers("matcher.safetensors", "mask")
  local it = blip.matcher(g, g.weights("blip", tensors), c, { batch = 3, length = shape[2] })
  local plan = assert(device.open():plan(g.graph))
  load(g, plan, path)
  plan:set(it.pixels, pixels "matcher.safetensors")
  plan:set(it.ids, ids)
  for i, m in ipairs(mask) do mask[i] = m == 1 and 0 or it.unseen end
  plan:set(it.mask, mask)
  assert(plan:run "sample")
  local off = far(plan:get(it.match), (numbers("matcher.safetensors", "match")))
  check.ok(off < 1e-4, ("off by %.2e"):format(off))
end)

test("wordpiece: every golden text gives the ids that BertTokenizer gives", function()
  local words = check.ok(text.wordpiece(assert(fs.read(golden .. "vocab.txt"))))
  local rows = json.decode(assert(fs.read(golden .. "tokens.json")))
  check.equal(#rows, 30)
  for _, row in ipairs(rows) do
    check.equal(words:tokens(row.text), row.tokens, row.text)
    check.equal((words:encode(row.text, 16)), row.padded, row.text)
  end
end)

test("wordpiece: ids are words again", function()
  local words = check.ok(text.wordpiece(assert(fs.read(golden .. "vocab.txt"))))
  check.equal(words:decode(words:tokens "Lighthouses, in 2024"), "lighthouses , in 2024")
  check.equal(words:decode { words:id "##s", words:id "[SEP]", words:id "a" }, "s [SEP] a")
end)

test("wordpiece: a vocabulary without its special tokens, or with a token twice, is refused", function()
  check.refused('the begin token "[CLS]" is not in it', text.wordpiece "[UNK]\n[PAD]\n[SEP]\na\n")
  check.refused('token "a" comes twice', text.wordpiece "[UNK]\n[PAD]\n[SEP]\n[CLS]\na\na\n")
  check.refused('the begin token "[CLS]" is not in it', text.wordpiece "")
  local crlf = check.ok(text.wordpiece "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\nA\r\na")
  check.equal({ crlf:size(), crlf:id "a", crlf:tokens "A"[1] }, { 6, 5, 5 })
  check.equal(check.ok(text.wordpiece("[PAD]\n[UNK]\n[CLS]\n[SEP]\nA\na", false)):tokens "A"[1], 4)
  check.equal(check.refused("not UTF-8 at byte 1", crlf:tokens "a\xff"), "FORMAT")
end)

test("next: the best tokens, their logarithms, penalties and what may not come", function()
  local function bytes(...) return string.pack(("<f"):rep(select("#", ...)), ...) end
  local logits = bytes(9, 9, 9, 9, 0.5, 2, -1, 2)
  local ids, scores = text.best(logits, 2, 4, { count = 3 })
  check.equal({ ids, scores }, { { 1, 3, 0 }, { 2, 2, 0.5 } })
  check.equal((text.best(logits, 2, 4, { count = 2, never = 1 })), { 3, 0 })
  check.equal((text.best(logits, 2, 4, { count = 4, never = 1 }))[4], 1) -- nothing else is left: it comes last
  check.equal({ text.best(logits, 2, 4, { count = 2, penalty = 4, seen = { 1, 1, 2 } }) }, { { 3, 0 }, { 2, 0.5 } })
  local _, logs = text.best(logits, 2, 4, { logarithms = true })
  local sum = 0
  for _, x in ipairs { 0.5, 2, -1, 2 } do sum = sum + math.exp(x) end
  check.ok(math.abs(logs[1] - (2 - math.log(sum))) < 1e-6)
  check.refused("the logit of token 2 is not finite", text.best(bytes(0, 1, 0 / 0), 1, 3))
  check.refused("token 7 of 4", text.best(logits, 1, 4, { penalty = 2, seen = { 7 } }))
  check.fails("never is a token", text.best, logits, 1, 4, { never = 4 })
  check.fails("token 2 is no id: 4294967299", text.best, logits, 1, 4, { penalty = 2, seen = { 1, (1 << 32) + 3 } })
  check.fails("not so many rows", text.best, logits, 3, 4)
  check.fails("count is 1 to", text.best, logits, 1, 4, { count = 5 })
end)
