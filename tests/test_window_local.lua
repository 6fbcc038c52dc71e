-- Models on this machine in the window: captions by blip {} and wd14 {}, and how well captions belong to their pictures (:score); with the small
-- random models of the goldens, in a program of its own with SDL's dummy driver.
local bring = require "hub.bring"
local fs = require "native.fs"
local image = require "native.image"
local filter = require "window.filter"
local window = dofile "tests/window.lua"

local function outside()
  test("filter: match compares the number that was computed, and fits nothing where there is none", function()
    local function match(item) return item.number end
    local low, known, not_low = filter.compile("match:<0.3", { match = match }), filter.compile("is:scored", { match = match }),
      filter.compile("NOT match:<0.3", { match = match })
    local function fits(fn)
      local out = {}
      for i, number in ipairs { 0.29, 0.3, false } do out[i] = fn { path = "a.png", caption = "a door", number = number or nil } end
      return out
    end
    check.equal({ fits(low), fits(known), fits(not_low) }, { { true, false, false }, { true, true, false }, { false, true, true } })
    check.equal(filter.compile "match:<0.3" { path = "a.png", caption = "", number = 0.1 }, false) -- nobody says what there is
  end)

  test("models on this machine, on SDL's dummy display", function()
    window.part("tests/test_window_local.lua", "WINDOW_PART=local")
  end)
end

if os.getenv "WINDOW_PART" ~= "local" then return outside() end

local hash = require "native.hash"
local matched = require "caption.matched"
local stores = require "native.store"
local key, until_ = window.key, window.until_

local WORDS = { "[PAD]" }
for i = 1, 88 do WORDS[#WORDS + 1] = "word" .. i end
for _, word in ipairs { "[UNK]", "[CLS]", "[MASK]", "[SEP]", "." } do WORDS[#WORDS + 1] = word end

local function copy(from, to, names)
  assert(fs.make_folder(to))
  for _, name in ipairs(names) do assert(fs.write(to .. "/" .. name, assert(fs.read(from .. "/" .. name)))) end
end

-- A view of `count` pictures, and the models beside them.
local function with_view(count, use, options)
  local at = tmp "local"
  fs.make_folder(at .. "/photos")
  for i = 1, count do check.ok(image.new(60 + 10 * i, 50, { 40 * i % 256, 90, 40 }):save(("%s/photos/%d.png"):format(at, i))) end
  for name, kind in pairs { blip = "captioner", itm = "matcher" } do
    copy("tests/golden/blip/" .. kind, at .. "/" .. name, { "config.json", "model.safetensors" })
    assert(fs.write(at .. "/" .. name .. "/vocab.txt", table.concat(WORDS, "\n") .. "\n"))
  end
  copy("tests/golden/wd14", at .. "/wd14", { "config.json", "model.safetensors", "selected_tags.csv" })
  if options and options.before then options.before(at) end
  local v <close> = window.open(at .. "/photos", { width = 1000, height = 700 })
  v.program = window.program
  use(v, v.project, at)
end

local function words_of(box)
  local words = {}
  for i, line in ipairs(box.lines or {}) do words[i] = line.text end
  return table.concat(words, "\n")
end

-- The captions box with these choices, and its plan.
local function planned(v, how)
  key(v, "c", { alt = true })
  local box = v.captioning
  for name, value in pairs(how) do
    if name == "scope" then box.scope = value
    elseif name == "with" then for i, one in ipairs(box.writers) do if one == value then box.writer = i end end
    else box.fields[name]:set(value) end
  end
  key(v, "return")
  if box.lines then until_(v, function() return box.planned end) end
  return box, words_of(box)
end

local function run(v)
  key(v, "return")
  check.ok(v.job)
  until_(v, function() return not v.job end)
end

-- All captions asked about; what was said of the plan.
local function score(v, at, scope)
  key(v, "m", { alt = true })
  local box = v.scoring
  box.model:set(at .. "/itm")
  box.scope = scope or #box.scopes
  key(v, "return")
  until_(v, function() return box.planned end)
  check.equal(box.planned, 0, words_of(box))
  local words = words_of(box)
  run(v)
  return words
end

test("tags by wd14: nothing is sent, nothing costs; one step, which can be undone; what cannot be read is named and takes nothing along", function()
  with_view(4, function(v, p, at)
    window.settle(v)
    check.ok(fs.write(at .. "/photos/2.png", assert(fs.read(at .. "/photos/2.png")):sub(1, 60))) -- cut off since it was looked at
    p.changes:write(p.items[3], "a person's")
    local box, words = planned(v, { with = "wd14", wd14 = at .. "/wd14", threshold = "0.3", scope = 2 })
    check.equal(box.planned, 0, words)
    check.contains(words, "nothing is sent, nothing costs")
    check.contains(words, "to write")
    check.equal(words:find("asks nobody", 1, true), nil)
    check.contains(box.recipe, "threshold = 0.3")
    check.equal(box.recipe:find("model = \"\"", 1, true), nil)
    run(v)
    check.equal({ p.items[2].caption, p.items[3].caption, p.items[1].by.provider }, { "", "a person's", "wd14" })
    check.ok(p.items[1].caption ~= "" and p.items[4].caption ~= "")
    local told = window.told(v)
    check.contains(told, "2.png")
    check.contains(told, "warning captions: 2 new captions, Ctrl+Z takes them back; 1 picture is left without; done")
    check.equal(check.ok(p.changes:undo()).count, 2)
    check.equal({ p.items[1].caption, p.items[3].caption, p.items[4].caption }, { "", "a person's", "" })
  end)
end)

test("blip has a folder, words to begin with and a penalty of its own, which no service gets", function()
  with_view(1, function(v, _, at)
    local box, words = planned(v, { with = "blip", blip = at .. "/blip", prompt = "word1", penalty = "4", model = "gemini-9", threshold = "0.2" })
    check.contains(box.recipe, ('blip { model = "%s/blip", prompt = "word1", penalty = 4 }'):format(at))
    check.contains(words, "30 tokens are asked for; this model writes 16 at most") -- the model is read as far as that
    key(v, "escape")
    box = planned(v, { with = "gemini", blip = at .. "/blip", prompt = "word1", model = "gemini-9" })
    check.contains(box.recipe, 'gemini { model = { "gemini-9" } }')
    check.equal(box.recipe:find("word1", 1, true), nil)
    key(v, "escape")
    box = planned(v, { with = "blip", blip = "", model = "gemini-9" }) -- the folder that is usual
    check.equal(box.recipe:find("gemini-9", 1, true), nil)
    key(v, "escape")
    check.contains(planned(v, { with = "blip", blip = at .. "/blip", penalty = "100" }).trouble, "penalty")
    key(v, "escape")
  end)
end)

test("what else a writer can be told is one line, as recipes have it: checked by the same rules, remembered for each writer", function()
  with_view(2, function(v, p, at)
    window.settle(v)
    local word, set = p.trigger, p.settings.trigger
    local function trouble(line, with, more)
      local how = { with = with or "blip", blip = at .. "/blip", wd14 = at .. "/wd14", ["more " .. (with or "blip")] = line }
      for name, value in pairs(more or {}) do how[name] = value end
      local box, words = planned(v, how)
      local said = box.trouble or words
      key(v, "escape")
      return said
    end
    for line, words in pairs { ["beams = 99"] = "option 'beams' of blip is 99; it must be 1 to 16", ["num_beams = 3"] = "did you mean 'beams'?",
      ["beams = many"] = 'takes a whole number, not "many"', ["foo = 1"] = "blip has model, prompt, beams", ["dtype = f64"] = '"f32", "bf16" or "f16"',
      ["beams 3"] = "'=' is expected at '3': name = value", ["penalty = 2"] = "penalty has a place of its own in this box", ["shortest = 40"] = "shortest = 40 and longest = 30" } do
      check.contains(trouble(line), words)
    end
    check.contains(trouble("rating = perhaps", "wd14"), "yes or no is expected")
    check.contains(trouble("threshold = 0.3", "wd14"), "threshold has a place of its own in this box: tags")
    check.equal({ p.settings.captioning.with, p.settings.captioning["more blip"] }, { "blip", "shortest = 40" }) -- the one that could be planned
    trouble("beams = 2", "blip", { trigger = "zkr" })
    check.equal({ p.settings.captioning.trigger, p.trigger, p.settings.trigger }, { "zkr", word, set }) -- the project's before it is asked with
    trouble("beams = 2", "blip", { trigger = "" })

    local box = planned(v, { with = "blip", blip = at .. "/blip", ["more blip"] = "beams = 2, longest = 12; dtype = bf16", penalty = "4",
      ["more wd14"] = "rating = yes", scope = 1 })
    check.contains(box.recipe, ('blip { model = "%s/blip", beams = 2, longest = 12, penalty = 4, dtype = "bf16" }'):format(at))
    check.equal(box.recipe:find("rating", 1, true), nil)
    run(v)
    check.ok(p.items[1].caption ~= "", window.told(v))
    check.equal({ p.settings.captioning["more blip"], p.settings.captioning["more wd14"] }, { "beams = 2, longest = 12; dtype = bf16", "rating = yes" })
    box = planned(v, { with = "wd14", wd14 = at .. "/wd14", threshold = "0.2", scope = #v.captioning.scopes })
    check.contains(box.recipe, "rating = true")
    key(v, "escape")
    box = planned(v, { with = "wd14", wd14 = at .. "/wd14", ["more wd14"] = 'without = { "a b", solo }', scope = 1 })
    check.contains(box.recipe, 'without = { "a b", "solo" }')
    key(v, "escape")
    check.contains(planned(v, { with = "gemini", ["more gemini"] = 'language = de, instructions = "no colours, please"' }).recipe,
      'language = "de", instructions = "no colours, please"')
    key(v, "escape")
    key(v, "c", { alt = true }) -- what is wrong is said until it is another
    box = v.captioning
    for i, one in ipairs(box.writers) do if one == "blip" then box.writer = i end end
    box.fields["more blip"]:set "beams = 0"
    key(v, "return")
    check.contains(box.trouble, "beams")
    v.ui.focus = "caption more blip"
    v:pass({ kind = "text", text = "1" }, false)
    check.equal(box.trouble, nil)
  end)
end)

test("a folder is looked at when its typing rests or its field is left, not what lies above it", function()
  with_view(1, function(v, _, at)
    local asked, about = {}, bring.absent
    local _ <close> = setmetatable({}, { __close = function() bring.absent = about end })
    key(v, "m", { alt = true })
    bring.absent = function(path)
      if asked[#asked] ~= path then asked[#asked + 1] = path end
      return about(path)
    end
    v.ui.focus = "score model"
    for letter in (at .. "/itm"):gmatch "." do v:pass({ kind = "text", text = letter }, false) end
    local usual = "models/blip-itm-base-coco"
    check.equal(asked, { usual })
    v.ui.focus = nil
    v:pass(nil, false)
    check.equal(asked, { usual, at .. "/itm" })
    v.ui.focus = "score model"
    v:pass({ kind = "text", text = "x" }, false)
    check.equal(#asked, 2)
    until_(v, function() return asked[3] end)
    check.equal(asked[3], at .. "/itmx")
    key(v, "escape")
  end)
end)

test("without a folder the box says which command brings it; one that is broken is told in words, and nothing is begun", function()
  with_view(1, function(v, p, at)
    key(v, "c", { alt = true })
    local box = v.captioning
    for i, one in ipairs(box.writers) do if one == "wd14" then box.writer = i end end
    local said = {}
    local paragraph = v.ui.paragraph
    v.ui.paragraph = function(ui, area, text, how)
      said[#said + 1] = text
      return paragraph(ui, area, text, how)
    end
    box.fields.wd14:set(at .. "/models/wd-vit-tagger-v3")
    v:pass(nil, false)
    check.contains(table.concat(said, "\n"), ("there is no model %s/models/wd-vit-tagger-v3: `calotype get hf:SmilingWolf/wd-vit-tagger-v3"):format(at))
    box.fields.wd14:set(at .. "/wd14")
    said = {}
    v:pass(nil, false)
    check.contains(table.concat(said, "\n"), "nothing is sent, nothing costs")
    key(v, "escape")
    key(v, "m", { alt = true })
    v.scoring.model:set(at .. "/blip-itm-base-coco")
    said = {}
    v:pass(nil, false)
    check.contains(table.concat(said, "\n"), "`calotype get hf:Salesforce/blip-itm-base-coco")
    key(v, "escape")
    v.ui.paragraph = nil
    assert(fs.write(at .. "/wd14/model.safetensors", assert(fs.read(at .. "/wd14/model.safetensors")):sub(1, 3000)))
    local broken, words = planned(v, { with = "wd14", wd14 = at .. "/wd14" })
    check.ok(broken.planned ~= 0)
    check.contains(words, "wd14/model.safetensors")
    check.contains(words, "download")
    check.equal(words:find("-->", 1, true), nil) -- a place in a recipe that nobody wrote
    check.equal(words:find("^^", 1, true), nil)
    key(v, "return") -- its button is off: back to what was wished for
    check.equal({ v.job, broken.lines, p.items[1].caption }, { nil, nil, "" })
    key(v, "escape")
  end)
end)

test("where nobody can be asked and a model lies here, it is the one that is offered first", function()
  local absent = bring.absent
  local _ <close> = setmetatable({}, { __close = function() bring.absent = absent end })
  bring.absent = function(path) if path ~= "models/wd-vit-tagger-v3" then return "there is none", "get it" end end
  with_view(1, function(v)
    v:open "captionbox"
    local box = v.captioning
    if box.alone then check.equal(box.writers[box.writer], "wd14") end
    v.project.settings.captioning = { with = "template" }
    v:open "captionbox"
    check.equal(v.captioning.writers[v.captioning.writer], "template")
  end)
end)

local function texts(at)
  for i = 1, 4 do assert(fs.write(("%s/photos/%d.txt"):format(at, i), ("word%d word%d\n"):format(i, 3 * i))) end
end

test("the match is computed here, shown, filtered and sorted; a caption that is another has none until it is taken back", function()
  with_view(4, function(v, p, at)
    window.settle(v)
    check.equal(p:match(p.items[1]), nil)
    p.changes:write(p.items[4], "") -- nothing to ask about
    local words = score(v, at)
    check.contains(words, "nothing is sent, nothing costs")
    check.contains(words, "3 to compute")
    check.contains(window.told(v), "3 captions have a number")
    local numbers = {}
    for i = 1, 3 do numbers[i] = check.ok(p:match(p.items[i])) end
    check.equal(p:match(p.items[4]), nil)
    local store <close> = assert(stores.open(at .. "/.calotype", { existing = true }))
    check.equal(numbers[2], matched.last(store, hash.file(at .. "/photos/2.png"), "word2 word6"))
    check.equal(p.changes:can(), "caption of 4.png") -- it is no step
    check.ok(p:filter "is:scored")
    check.equal(#p.order, 3)
    local least = math.min(numbers[1], numbers[2], numbers[3])
    check.ok(p:filter(("match:<=%.9f"):format(least + 1e-9))) -- what is written has fewer digits than the number
    check.equal({ #p.order, numbers[p.order[1].index] }, { 1, least })
    check.ok(p:filter "")
    check.ok(p:sort("match", true))
    check.equal(p.order[4], p.items[4])
    check.ok(p:match(p.order[1]) >= p:match(p.order[2]) and p:match(p.order[2]) >= p:match(p.order[3]))
    check.ok(p:sort "path")
    p.changes:write(p.items[2], "word5")
    check.equal(p:match(p.items[2]), nil)
    check.contains(score(v, at), "1 to compute, 2 known") -- those that it was asked about are not asked again
    local other = check.ok(p:match(p.items[2]))
    check.ok(other ~= numbers[2])
    p.changes:undo()
    check.equal(p:match(p.items[2]), numbers[2])
    p:go(2)
    p.changes:type(p.items[2], "word2 word")
    check.equal(p:match(p.items[2]), nil) -- of what is being written nobody was asked
    p.changes:discard(p.items[2])
  end, { before = texts })
end)

test("numbers that a run beside the window computes are seen without opening it again, also of captions with the trigger and with brackets", function()
  with_view(2, function(v, p, at)
    window.settle(v)
    p.trigger, p.settings.trigger = "zkr", "zkr"
    p.changes:write(p.items[1], "zkr, word3")
    assert(fs.write(at .. "/photos/2.txt", "word4 \\(word5\\)\n"))
    p:reload()
    window.settle(v)
    local version = p.version
    check.equal({ p:match(p.items[1]), p:match(p.items[2]) }, {})
    local store <close> = assert(stores.open(at .. "/.calotype", { existing = true }))
    matched.note(store, p.items[1].sha256, "word3", 0.25)
    matched.note(store, p.items[2].sha256, "word4 (word5)", 0.05)
    check.equal(p:match(p.items[1]), nil) -- it was looked up before
    matched.told(store)
    v.watch.last = nil
    v:turn(0)
    check.ok(p.version > version)
    check.equal({ p:match(p.items[1]), p:match(p.items[2]) }, { 0.25, 0.05 })
    p.items[1].draft, p.items[1].out, p.items[1].out_of = nil, "a photo of word3, zkr", p.items[1].caption -- a recipe's words around it
    matched.note(store, p.items[1].sha256, matched.text("a photo of word3, zkr", "zkr"), 0.75)
    matched.told(store)
    p:new_matches()
    check.equal(p:match(p.items[1]), 0.75)
    p.items[1].out_of = "another"
    matched.told(store)
    p:new_matches()
    check.equal(p:match(p.items[1]), 0.25) -- what goes out is made anew when the recipe is
  end)
end)

test("a model that goes after the plan is told with what brings it back, and nothing is lost", function()
  with_view(2, function(v, p, at)
    window.settle(v)
    for i = 1, 2 do p.changes:write(p.items[i], "word" .. i) end
    for _, box in ipairs { "scoring", "captioning" } do
      if box == "scoring" then
        key(v, "m", { alt = true })
        v.scoring.model:set(at .. "/itm")
        key(v, "return")
        until_(v, function() return v.scoring.planned end)
      else planned(v, { with = "wd14", wd14 = at .. "/wd14" }) end
      os.execute(("mv %s/itm %s/away; mv %s/wd14 %s/gone"):format(at, at, at, at))
      run(v)
      os.execute(("mv %s/away %s/itm; mv %s/gone %s/wd14"):format(at, at, at, at))
    end
    local told = window.told(v)
    check.contains(told, ("bad match: there is no model %s/itm: "):format(at))
    check.contains(told, ("there is no model %s/wd14: "):format(at))
    check.contains(told, "bring")
    check.equal({ p.items[1].caption, p:match(p.items[1]) }, { "word1" })
  end)
end)

test("what is read first is told by its name and not as captions that are done, nor with places in a recipe that nobody wrote", function()
  with_view(2, function(v, _, at)
    window.settle(v)
    v.program = at .. "/slow"
    assert(fs.write(v.program, ([[#!/bin/sh
case $4 in
plan=yes) echo "  hashing the model, MB [==   ] 37/378  1.1 s, 9.9 s left" >&2; echo "warning: plan:6: a word" >&2;;
*) echo "  tensors of the wd14 [= ] 21/151  1.0 s, 6.3 s left" >&2; until [ -e %s/on ]; do sleep 0.05; done
  echo "  captions [====  ] 1/2  4.0 s" >&2; echo "warning: captions:6: another" >&2; until [ -e %s/end ]; do sleep 0.05; done;;
esac
]]):format(at, at)))
    os.execute("chmod +x " .. v.program)
    local said = {}
    local label = v.ui.label
    v.ui.label = function(ui, area, text, how)
      said[text] = true
      return label(ui, area, text, how)
    end
    local box, words = planned(v, { with = "wd14", wd14 = at .. "/wd14", scope = 2 })
    check.equal({ box.planned, words:match "\n(.*)" }, { 0, "a word" })
    key(v, "return")
    until_(v, function() return said["Captions for 2 pictures: tensors of the wd14, 21 of 151  \u{B7}  1.0 s, 6.3 s left"] end)
    assert(fs.write(at .. "/on", ""))
    until_(v, function() return said["Captions for 2 pictures: 1 of 2  \u{B7}  4.0 s"] end)
    assert(fs.write(at .. "/end", ""))
    until_(v, function() return not v.job end)
    check.contains(window.told(v), "warning another")
  end)
end)

test("a picture that goes after the plan is left out and named, the others are done; where none is left nothing is begun", function()
  with_view(3, function(v, p, at)
    window.settle(v)
    for i = 1, 3 do p.changes:write(p.items[i], "word" .. i) end
    key(v, "m", { alt = true })
    v.scoring.model:set(at .. "/itm")
    v.scoring.scope = #v.scoring.scopes
    key(v, "return")
    until_(v, function() return v.scoring.planned end)
    os.remove(at .. "/photos/2.png")
    run(v)
    check.ok(p:match(p.items[1]) and p:match(p.items[3]))
    check.contains(window.told(v), "1 picture is gone by now and left out")
    check.contains(window.told(v), "2 captions have a number")
  end)
  with_view(2, function(v, p, at)
    window.settle(v)
    planned(v, { with = "wd14", wd14 = at .. "/wd14", threshold = "0.3", scope = 2 })
    os.remove(at .. "/photos/1.png")
    run(v)
    check.ok(p.items[2].caption ~= "")
    check.contains(window.told(v), "1 picture is gone by now and left out")
    check.equal(window.told(v):find("captions:%d+:"), nil) -- a place in a recipe that nobody wrote
    p:go(2)
    planned(v, { with = "wd14", wd14 = at .. "/wd14", threshold = "0.2", scope = 1 })
    os.remove(at .. "/photos/2.png")
    key(v, "return")
    until_(v, function() return window.told(v):find("nothing is left", 1, true) end)
    check.equal(v.job, nil)
  end)
  with_view(1, function(v, p, at)
    window.settle(v)
    p.changes:write(p.items[1], "word")
    os.remove(at .. "/photos/1.png") -- just now: nobody has seen it yet
    for _, name in ipairs { "captioning", "scoring" } do
      key(v, name == "scoring" and "m" or "c", { alt = true })
      key(v, "return")
      check.equal(v[name].lines, nil)
      key(v, "escape")
    end
  end)
end)

test("stopped: numbers that came are kept and shown; without a caption there is nobody to ask about", function()
  with_view(30, function(v, p, at)
    window.settle(v)
    key(v, "m", { alt = true })
    check.equal(#v.scoring.scopes, 0)
    key(v, "return")
    check.equal(v.scoring.lines, nil)
    key(v, "escape")
    check.equal(v.dialog, nil)
    local wishes = {}
    for i, item in ipairs(p.items) do wishes[i] = { item, ("word%d word%d"):format(i, i + 3) } end
    p.changes:write_many(wishes, "thirty")
    window.settle(v)
    key(v, "m", { alt = true })
    local box = v.scoring
    box.model:set(at .. "/itm")
    box.scope = #box.scopes
    key(v, "return")
    until_(v, function() return box.planned end)
    key(v, "return")
    local function some()
      local count = 0
      for _, item in ipairs(p.items) do if p:match(item) then count = count + 1 end end
      return count
    end
    until_(v, function() return some() > 0 or not v.job end)
    key(v, "x", { ctrl = true, shift = true })
    until_(v, function() return not v.job end)
    check.ok(some() > 0)
    check.contains(window.told(v), "a number")
  end)
end)
