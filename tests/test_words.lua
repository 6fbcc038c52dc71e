local dressing = require "caption.dressing"
local environment = require "recipe.environment"
local json = require "native.json"
local script = require "native.script"
local stage = require "recipe.stage"
local tags = require "caption.tags"
local text = require "native.text"
local trigger = require "recipe.trigger"
local words = require "caption.words"
local recipes = dofile "tests/recipes.lua"

-- The golden table: text, how many words, how often it has the trigger "zkr" as a whole word, its sentences.
local STRINGS = {
  { "", 0, 0 },
  { "   ", 0, 0 },
  { "a red door", 3, 0, "a red door" },
  { "zkr", 1, 1, "zkr" },
  { "A ZKR door.", 3, 1, "A ZKR door." },
  { "zkr's well-worn coat", 3, 1, "zkr's well-worn coat" },
  { "zkr’s coat", 2, 1, "zkr’s coat" },
  { "xzkr zkr_2 zkr2 zkrzkr", 4, 0, "xzkr zkr_2 zkr2 zkrzkr" },
  { "zkré zkre\u{301}", 2, 0, "zkré zkre\u{301}" },
  { "zkr\u{301}", 1, 0, "zkr\u{301}" },
  { "^_^ zkr __ é _", 2, 1, "^_^ zkr __ é _" },
  { "^_^ zkr, >_<, 0_0", 2, 1, "^_^ zkr, >_<, 0_0" },
  { "(zkr), [zkr]; “zkr” – «zkr» #zkr @zkr", 6, 6, "(zkr), [zkr]; “zkr” – «zkr» #zkr @zkr" },
  { "zkr-like", 1, 1, "zkr-like" },
  { "🙂zkr🙂 ❤️", 1, 1, "🙂zkr🙂 ❤️" },
  { "zkrの写真。とても古い。", 9, 1, "zkrの写真。|とても古い。" },
  { "写真はzkrです", 6, 1, "写真はzkrです" },
  { "一张zkr，门。", 4, 1, "一张zkr，门。" },
  { "zkr가 문 앞에 있다. 좋다.", 5, 1, "zkr가 문 앞에 있다.|좋다." },
  { "ภาพของzkr", 7, 1, "ภาพของzkr" },
  { "дом zkr, двор. Снег.", 4, 1, "дом zkr, двор.|Снег." },
  { "домzkr", 1, 0, "домzkr" },
  { "باب قديم؟ zkr هنا.", 4, 1, "باب قديم؟|zkr هنا." },
  { "می\u{200C}خواهم zkr", 2, 1, "می\u{200C}خواهم zkr" },
  { "दरवाज़ा पुराना है। zkr", 4, 1, "दरवाज़ा पुराना है।|zkr" },
  { "Mr. Smith of St. Mary has 3.5 m. He waits.", 10, 0, "Mr. Smith of St. Mary has 3.5 m.|He waits." },
  { "The U.S. flag, e.g. this one! J. R. Oak?", 11, 0, "The U.S. flag, e.g. this one!|J. R. Oak?" },
  { "approx. ten... maybe. \"No.\" Then (yes.) End", 7, 0, "approx. ten... maybe.|\"No.\"|Then (yes.)|End" },
  { "one\r\ntwo\n\nthree", 3, 0, "one|two|three" },
  { "ab. \xff b", 2, 0, "ab.|\xff b" },
  { "bad \xff zkr \xe3\x81", 2, 1, "bad \xff zkr \xe3\x81" },
}

test("words, sentences and the trigger are found in any script", function()
  for _, row in ipairs(STRINGS) do
    local sentences = {}
    for i, sentence in ipairs(words.sentences(row[1])) do
      sentences[i] = sentence[1]
      check.equal(row[1]:sub(sentence.first, sentence.last), sentence[1])
    end
    check.equal(words.count(row[1]), row[2], "words of " .. row[1])
    check.equal(trigger.count(row[1], "zkr"), row[3], "triggers in " .. row[1])
    check.equal(table.concat(sentences, "|"), row[4] or "", "sentences of " .. row[1])
  end
  check.equal(trigger.count("絵夢の写真、絵夢", "絵夢"), 2)
  check.equal(trigger.count("카로가 문, 마카로", "카로"), 1) -- an ending may follow, nothing may stand before
  check.equal(trigger.count("Ärger ÄRGER ärgern", "Ärger"), 2)
end)

test("letters are told in any script, and lowering moves no position", function()
  for code, kind in pairs { [0x41] = "letter", [0x4E2D] = "letter", [0x301] = "mark", [0x39] = "digit", [0x2C] = "point", [0x1F642] = "sign",
    [0x3000] = "space", [10] = "space", [0x200B] = "none", [-1] = "none", [0x110000] = "none" } do check.equal(text.kind(code), kind, code) end
  check.equal(text.lower "ÉCOLE Дом ΣΑΣ", "école дом σασ")
  for _, s in ipairs { "İ\u{212A}Ⱥ", "A\xffB\xc3", "" } do check.equal(#text.lower(s), #s) end
  check.equal(text.lower "A\xffB\xc3", "a\xffb\xc3")
  check.fails("number expected", text.kind)
end)

test("the trigger stands once after once, whatever stood there", function()
  for given, expected in pairs {
    ["ZKR, a (zkr) door, zkr, zkr."] = "zkr, a door.", ["门，zkr，红色，zkr"] = "门，zkr，红色", ["Zkr and ZKR"] = "zkr and",
    ["zkr_2"] = "zkr, zkr_2", ["a zkr, [trigger]; zkr!"] = "a zkr;!", ["写真、zkr、zkrの家"] = "写真、zkr、の家", [""] = "zkr",
  } do
    check.equal((trigger.once(given, "zkr")), expected)
    check.equal((trigger.once(expected, "zkr")), expected)
  end
  for _, row in ipairs(STRINGS) do
    local once = trigger.once(row[1], "zkr")
    check.equal(trigger.count(once, "zkr"), 1, row[1])
    check.equal(trigger.count(trigger.none(row[1], "zkr"), "zkr"), 0, row[1])
  end
end)

test("a caption is cut after a sentence, else after a part of one, never in a word", function()
  local function cut(s, most, expected, where)
    local short, how = words.cut(s, most)
    check.equal(short, expected)
    check.equal(how, where)
  end
  cut("A red door. It is old and worn.", 7, "A red door.", "sentence")
  cut("A red door. It is old and worn.", 8, "A red door. It is old and worn.", nil)
  cut("A tall old house, with a red door and a green gate.", 8, "A tall old house", "clause")
  cut("A, tall old house with a red door", 5, "A, tall old house with", "word")
  cut("well-worn extraordinarily", 1, "well-worn", "word")
  cut("红门很旧。在墙上有一扇窗。", 6, "红门很旧。", "sentence")
  cut("Mr. Smith waits. He is old.", 4, "Mr. Smith waits.", "sentence")
  for _, row in ipairs(STRINGS) do
    for most = 1, row[2] do
      local short = words.cut(row[1], most)
      check.ok(words.count(short) <= most and row[1]:sub(1, #short) == short, row[1])
      local after = words.list(row[1])[words.count(short) + 1]
      check.ok(not after or after.first > #short, "cut in a word of " .. row[1])
    end
  end
end)

test("sentences are joined as sentences; what was said is not said again", function()
  check.equal(words.join("a red door", "It is old."), "a red door. It is old.")
  check.equal(words.join("a red door, ", "It is old."), "a red door. It is old.")
  check.equal(words.join("Is it red?", "Yes."), "Is it red? Yes.")
  check.equal(words.join("He said \"no.\"", "Yes."), "He said \"no.\" Yes.")
  check.equal(words.join("红门", "很旧。"), "红门。很旧。")
  check.equal(words.join("A door. It is old.", "it is OLD! It is red.\nIt is tall."), "A door. It is old. It is red.\nIt is tall.")
  check.equal(words.join("A door.", "a door"), "A door.")
  check.equal(words.join("An old door. it is red", "It is red! It is old"), "An old door. it is red. It is old")
  check.equal(words.join("a door 🙂", "🙂"), "a door 🙂")
  check.equal(words.join("", "x"), "x")
  check.equal(words.join("x", " "), "x")
end)

test("tags are put in order: small letters, spaces, each once; faces keep their underscores", function()
  local function tidy(given, options, expected, word)
    local list = tags.tidy(given, options, word)
    check.equal(list, expected)
    check.equal((tags.tidy(list, options, word)), expected)
  end
  tidy("Long_Hair, long hair,^_^ ,, LONG_HAIR", nil, "long hair, ^_^")
  tidy("0_0, (o)_(o), +_+, +_-, ._., <o>_<o>, <|>_<|>, =_=, >_<, 3_3, 6_9, >_o, @_@, ^_^, O_O, u_u, x_x, |_|, ||_||, a_b", nil,
    "0_0, (o)_(o), +_+, +_-, ._., <o>_<o>, <|>_<|>, =_=, >_<, 3_3, 6_9, >_o, @_@, ^_^, o_o, u_u, x_x, |_|, ||_||, a b")
  tidy("solo, hat, 1girl", { first = { "1girl", "1boy" } }, "1girl, solo, hat")
  tidy("solo, Red_Hat, hat", { without = { "red hat" } }, "solo, hat")
  tidy("shirt, white shirt, hair, hair ribbon", { redundant = false }, "white shirt, hair, hair ribbon")
  tidy("a, b, [trigger], c, d", { count_above = 3 }, "a, b, [trigger], c")
  tidy("a, IDE MAIN hall, b_c, ide_main_hall", nil, "a, ide_main_hall, b c", "ide_main_hall")
  tidy("红发，长发、红发", nil, "红发, 长发")
  tidy("miku_(vocaloid)", nil, "miku (vocaloid)")
  tidy("", nil, "")
  check.equal(select(2, tags.tidy("a, b, c", { count_above = 1 })), 2)
  check.equal(tags.unite("1girl, Solo", "solo, red_hair, red hair"), "1girl, Solo, red_hair")
  for given, listed in pairs { ["1girl, solo, red hair"] = true, ["a red door"] = false, ["A door, an old one. It is red."] = false,
    ["A tall man in a long coat, who waits for a train, looks at his watch"] = false, ["solo,"] = false } do check.equal(tags.listed(given), listed, given) end
end)

test("brackets are escaped on the way out and read back as they were", function()
  check.equal(tags.escaped "miku (vocaloid), [a]", "miku \\(vocaloid\\), \\[a\\]")
  for _, s in ipairs { "miku (vocaloid)", "\\(^o^)/", "a\\", "\\\\(x)\\\\", "[[a]]", "plain", "", "((", "c:\\d" } do
    check.equal(tags.meant(tags.escaped(s)), s)
    if not s:find "\\" then check.equal(tags.meant(s), s) end
  end
  check.equal(tags.meant "\\(^o^)/", "\\(^o^)/")
  check.equal(tags.escapes "a \\(b), c", "mixed")
  check.equal(tags.escapes "a \\(b\\)", "escaped")
  check.equal(tags.escapes "a (b)", "plain")
end)

-- text, options, more, expected
local DRESSES = {
  { "a door", { prefix = "oil, ", suffix = "." }, {}, "oil, a door." },
  { "a door", { prefix = "oil, ", suffix = "." }, { trigger = "zkr" }, "zkr, oil, a door." },
  { "a ZKR door, zkr", { prefix = "oil,", suffix = "in spring" }, { trigger = "zkr" }, "oil, a zkr door in spring" },
  { "a zkr door.", { prefix = "[trigger] style, ", suffix = ", oil" }, { trigger = "zkr" }, "zkr style, a door, oil" },
  { "a zkr door", { prefix = "", suffix = ", by [trigger]" }, { trigger = "zkr" }, "a door, by zkr" },
  { "A door!", { prefix = "", suffix = "." }, {}, "A door!" },
  { "很旧的门", { prefix = "照片，", suffix = "。" }, { trigger = "zkr" }, "zkr, 照片，很旧的门。" },
  { "A red door. It is a zkr door.", { prefix = "", suffix = "", words_above = 5 }, { trigger = "zkr" }, "zkr, A red door." },
  { "A red door. It is old.", { prefix = "Oil. ", suffix = "", words_above = 5 }, {}, "Oil. A red door." },
  { "Red_Hair, zkr, solo, ^_^", { prefix = "", suffix = "", words_above = 3 }, { trigger = "zkr", tags = true }, "red hair, zkr" },
  { "Red_Hair, solo", { prefix = "", suffix = "", tags = { first = { "solo" } } }, { trigger = "zkr", tags = true }, "zkr, solo, red hair" },
  { "Big_Door of IDE_main_hall, solo", { prefix = "", suffix = "" }, { trigger = "ide_main_hall", tags = true }, "big door of ide_main_hall, solo" },
  { " ", { prefix = "", suffix = ", oil" }, { trigger = "zkr" }, "zkr, oil" },
  { "is it? ", { prefix = "", suffix = ", oil" }, {}, "is it, oil" },
  { "", { prefix = "a photo of ", suffix = "" }, { trigger = "zkr" }, "zkr, a photo of " },
}

test("what is dressed stays as it is when it is dressed again", function()
  for i, row in ipairs(DRESSES) do
    local dressed = dressing.dress(row[1], row[2], row[3])
    check.equal(dressed, row[4], i)
    check.equal((dressing.dress(dressed, row[2], row[3])), dressed, i)
  end
end)

local function prompt(place)
  local lines = {}
  local env, session = environment.new { mode = "live", store = place.path "store", say = function(line) lines[#lines + 1] = line end }
  local function eval(source) return assert(script.load((source:gsub("@", place.folder)), "@repl", env))() end
  local function set(source)
    lines = {}
    return stage.evaluate(eval(source)), table.concat(lines, "\n")
  end
  return set, session, eval
end

local function place_with(count)
  local place = recipes.new(tmp "place")
  for i = 1, count do place.photo(("p%d.png"):format(i), { seed = i, width = 200, height = 200 }) end
  return place
end

test("the store has what was answered; prefix, trigger, tags and limits change without asking again", function()
  local place = place_with(2)
  local set, session = prompt(place)
  local first, said = set 'return images "@/photos":caption { with = template { text = "A_Door of {stem}. It is old, it is red." }, trigger = "zkr" }'
  check.equal(first.items[1].caption, "zkr, A_Door of p1. It is old, it is red.")
  check.contains(said, "2 written")
  for options, expected in pairs {
    ['trigger = "wtr", prefix = "oil, "'] = "wtr, oil, A_Door of p1. It is old, it is red.",
    ['trigger = "zkr", words_above = 5'] = "zkr, A_Door of p1.",
    ["tags = true"] = "a door of p1. it is old, it is red.",
    ['tags = { without = { "it is red." } }, trigger = "zkr"'] = "zkr, a door of p1. it is old",
    ['suffix = " Oil."'] = "A_Door of p1. It is old, it is red. Oil.",
  } do
    local again, line = set('return images "@/photos":caption { with = template { text = "A_Door of {stem}. It is old, it is red." }, ' .. options .. " }")
    check.equal(again.items[1].caption, expected)
    check.contains(line, "2 known")
    if options:find "above" then check.contains(line, "2 cut short") end
  end
  local history = session:store():captions(first.items[1].sha256)
  check.equal(#history, 1)
  check.equal(history[1].text, "A_Door of p1. It is old, it is red.")
end)

test("what a provider writes as tags is put in order without asking for it; tags = false leaves it", function()
  local place = place_with(1)
  local set, session, eval = prompt(place)
  local with, asking = eval 'return gemini { style = "tags" }', require "recipe.asking"
  local item = set('return images "@/photos"').items[1]
  session:store():add_caption { sha = item.sha256, key = asking.keys(with)(item), text = "Red_Hair, solo, ^_^, red hair, hair", author = "model", provider = "gemini" }
  for options, expected in pairs { [""] = "red hair, solo, ^_^, hair", [", tags = false"] = "Red_Hair, solo, ^_^, red hair, hair",
    [", tags = { redundant = false, first = { 'solo' } }"] = "solo, red hair, ^_^", [", words_above = 3"] = "red hair, solo, ^_^" } do
    check.equal(set('return images "@/photos":caption { with = gemini { style = "tags" }' .. options .. " }").items[1].caption, expected)
  end
  place.write("photos/p1.txt", "A_Person's, own words") -- what a person wrote is left as it is, unless the recipe says tags itself
  check.equal(set('return images "@/photos":caption { with = gemini { style = "tags" } }').items[1].caption, "A_Person's, own words")
  check.equal(set('return images "@/photos":caption { with = gemini { style = "tags" }, tags = true }').items[1].caption, "a person's, own words")
  check.equal(set('return images "@/photos":caption { with = gemini { style = "tags" }, append = true, replace = false }').items[1].caption,
    "a person's, own words, red hair, solo, ^_^, hair")
end)

test("append and prepend keep a person's words, and their parts are known", function()
  local place = place_with(2)
  place.write("photos/p1.txt", "a red door")
  local set, session = prompt(place)
  local out, said = set 'return images "@/photos":caption { with = template { text = "It is {stem}." }, append = true, trigger = "zkr" }'
  check.equal(out.items[1].caption, "zkr, a red door. It is p1.")
  check.equal(out.items[2].caption, "zkr, It is p2.")
  check.contains(said, "1 put after what was there")
  local before = set 'return images "@/photos":caption { with = template { text = "It is {stem}." }, prepend = true }'
  check.equal(before.items[1].caption, "It is p1. a red door")
  local plain = set 'return images "@/photos":caption { with = template { text = "It is {stem}." } }'
  check.equal(plain.items[1].caption, "a red door")
  local rows, found = session:store():captions(out.items[1].sha256), nil
  for _, row in ipairs(rows) do if row.text == "a red door. It is p1." then found = row end end
  check.ok(found, "the joined caption is not in the store")
  local detail = json.decode(found.detail)
  check.equal(detail.mode, "append")
  check.equal(detail.parts[1].author, "human")
  check.equal(detail.parts[1].text, "a red door")
  check.equal(detail.parts[2].provider, "template")
  check.equal(detail.parts[2].text, "It is p1.")
  local count = #rows
  set 'return images "@/photos":caption { with = template { text = "It is {stem}." }, append = true, trigger = "other" }'
  check.equal(#session:store():captions(out.items[1].sha256), count) -- nothing new was put together
  place.write("photos/p1.txt", "1girl, solo")
  local tagged = set 'return images "@/photos":caption { with = template { text = "solo, red_hat" }, append = true, tags = true }'
  check.equal(tagged.items[1].caption, "1girl, solo, red hat")
end)

test("what was appended and written beside the picture is not appended again, and the person's words stay theirs", function()
  local place = place_with(1)
  place.write("photos/p1.txt", "a red door")
  local recipe = 'images "@/photos":caption { with = template { text = "It is {stem}." }, %strigger = "zkr" }:export { as = "sidecars", beside = true }'
  for _ = 1, 3 do
    check.equal(place.run(recipe:format "append = true, ").exit, 0)
    check.equal(place.read "photos/p1.txt", "zkr, a red door. It is p1.\n")
  end
  check.equal(place.run(recipe:format "").exit, 0)
  check.equal(place.read "photos/p1.txt", "zkr, a red door\n")
  check.equal(place.run(recipe:format "replace = true, ").exit, 0)
  check.equal(place.read "photos/p1.txt", "zkr, It is p1.\n")
end)

test("a sidecar with escaped brackets is read as it was meant", function()
  local place = place_with(2)
  place.write("photos/p1.txt", "miku \\(vocaloid\\), solo")
  place.write("photos/p2.txt", "\\(^o^)/")
  local set = prompt(place)
  local items = set('return images "@/photos"').items
  check.equal(items[1].caption, "miku (vocaloid), solo")
  check.equal(items[2].caption, "\\(^o^)/")
end)

test("an exported sidecar read again is the same caption, escaped or not", function()
  local captions = { "miku (vocaloid), [x], \\o/", "\\(^o^)/, ((", "a plain door" }
  for _, escape in ipairs { "true", "false" } do
    local place = place_with(3)
    for i, caption in ipairs(captions) do place.write(("photos/p%d.txt"):format(i), caption) end
    local recipe = 'images "@/photos":caption { with = sidecar {} }:export { as = "sidecars", escape = ' .. escape .. ", "
    check.equal(place.run(recipe .. 'to = "@/out/set" }').exit, 0)
    check.equal(place.read "out/set/p1.txt", escape == "true" and "miku \\(vocaloid\\), \\[x\\], \\o/\n" or captions[1] .. "\n")
    check.equal(place.run(recipe .. "beside = true }").exit, 0)
    check.equal(place.read "photos/p1.txt", place.read "out/set/p1.txt")
    check.contains(place.run(recipe .. "beside = true }").log, "all unchanged")
    local set = prompt(place)
    for _, folder in ipairs { "out/set", "photos" } do
      for i, item in ipairs(set(('return images "@/%s"'):format(folder)).items) do check.equal(item.caption, captions[i], folder) end
    end
  end
  local place = place_with(1)
  local done = place.check 'images "@/photos":caption { with = fake {} }:export { as = "replicate", to = "@/a.zip", escape = true }'
  check.contains(done.text, "option 'escape' of :export means nothing for as = \"replicate\"")
end)

test("options of :caption that do not go together are told", function()
  local place = place_with(1)
  local function says(options, ...)
    local done = place.check(('images "@/photos":caption { %s }:sheet { to = "@/s.png" }'):format(options))
    check.equal(done.exit, 2, options)
    for _, part in ipairs { ... } do check.contains(done.text, part) end
  end
  says("replace = true, append = true", "'replace' and 'append' of :caption exclude each other")
  says("append = true, prepend = true", "'append' and 'prepend' of :caption exclude each other", "leave one of them out")
  says("with = sidecar {}, append = true", "sidecar {} writes no captions: there is nothing to append")
  says('words_above = 3, prefix = "an oil painting of "', "'words_above' of :caption is 3, but trigger, prefix and suffix have 4 words")
  says('trigger = "zkr", prefix = "[trigger] ", suffix = " by [trigger]"', "prefix and suffix of :caption have the trigger twice")
  says("words_above = 0", "it must be 1 to 10000")
  says("tags = 5", "takes true or false or { on, first, without, redundant, count_above }")
  says("tags = { fist = {} }", "did you mean 'first'?")
end)

local trim = require "caption.trim"

test("blanks at the edges go, and thousands of them in a row take no time that a pattern is given up for", function()
  check.equal(trim.right " a door \n\t", " a door")
  check.equal(trim.both "\n a door\r\n", "a door")
  check.equal(trim.both " \n", "")
  check.equal(trim.both "", "")
  check.equal(trim.right("a \n\n", "\n"), "a ")
  check.equal(trim.one_line "a red\r\n\n  door \n", "a red door")
  check.equal(trim.one_line("a\nb", "; "), "a; b")
  local blanks, slashes = "a" .. (" "):rep(100000) .. "x", ("\\"):rep(100000)
  check.equal(trim.both(blanks), blanks)
  check.equal(tags.split(blanks .. ", b"), { blanks, "b" })
  check.equal(tags.meant(slashes .. "x \\(b"), slashes .. "x (b")
  check.equal(tags.escaped(slashes .. "(b"), slashes .. slashes .. "\\(b")
  check.equal(tags.escapes(slashes .. "x \\(b"), "escaped")
  check.equal(#words.sentences(blanks), 1)
  check.equal(require("export.pictures").one_line(blanks), blanks)
  check.equal(require("window.entries").text_of(("\n"):rep(100000) .. "x\n"), ("\n"):rep(100000) .. "x")
end)
