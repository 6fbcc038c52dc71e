local language = require "caption.language"
local lint = require "caption.lint"
local store = require "native.store"
local recipes = dofile "tests/recipes.lua"

local function rows_of(texts)
  local rows = {}
  for i, text in ipairs(texts) do rows[i] = { name = ("p%d.png"):format(i), text = text } end
  return rows
end

local function find(texts, kind, options)
  for _, finding in ipairs(lint.look(rows_of(texts), options)) do if finding.kind == kind then return finding end end
end

local function names(finding) return finding and table.concat(finding.names, " ") or "" end

-- The golden table: kind of trouble, captions that have it, captions that have not.
local STRINGS = {
  { "refusal", { "I'm sorry, but I can't help with that.", "I’m unable to describe people.", "zkr, I cannot identify this person.", "\"As an AI language model, I see a door.\"",
    "Sorry, I can't assist.", "Es tut mir leid, ich kann dieses Bild nicht beschreiben.", "Je suis désolé, mais je ne peux pas.", "Lo siento, no puedo describir.",
    "申し訳ありませんが、お手伝いできません。", "抱歉，我无法描述这张图片。", "죄송합니다. 설명할 수 없습니다.", "Извините, я не могу.", "{\"error\": {\"code\": 429}}", "Error: quota exceeded",
    "A door. As an AI language model I go no further.", "zkr, Mi dispiace, non posso." },
    { "a sign that says I'm sorry", "unable tobacco", "a door", "errors: a tragedy on a poster", "a man who cannot swim", "お手伝いする人" } },
  { "opening", { "This image shows a door.", "zkr, In this image, a man stands.", "**Caption:** a door", "Sure, here is one", "Das Bild zeigt eine Tür.", "L’image montre une porte.",
    "La imagen muestra una puerta.", "この画像には門が写っています。", "这张图片展示了一扇门。", "На изображении дверь.", "Here's a caption for it: a door" },
    { "a photo of a door", "the image of a saint on a wall", "surely a door", "a caption: the sign reads so", "图书馆" } },
  { "markup", { "**A door**", "a door ```", "a &amp; b", "<think>hm</think> a door" }, { "a * b", "rock & roll", "a_b", "<3" } },
  { "escapes", { "a \\(b), c", "(a\\)" }, { "a (b)", "a \\(b\\)", "\\o/", "c" } },
  { "empty", { "", "  \n" }, { ".", "a" } },
  { "encoding", { "a \u{FFFD} door", "a\rb", "a\1b", "a \xff door", "a\0b", "\u{FEFF}a door" }, { "a\nb", "a\tb", "é", "\u{200B}a" } },
  { "trigger_missing", { "a door", "xzkr", "zkré", "a zkr_2" }, { "zkr", "a ZKR door", "zkrの門", "[trigger], a door" } },
  { "trigger_doubled", { "zkr, a zkr door", "ZKR zkr", "[trigger] zkr" }, { "zkr, xzkr", "a door" } },
}

test("the linter tells captions that are in trouble from those that are not, in several scripts", function()
  for _, row in ipairs(STRINGS) do
    local options = { trigger = "zkr" }
    for _, bad in ipairs(row[2]) do check.equal(names(find({ bad }, row[1], options)), "p1.png", row[1] .. ": " .. bad) end
    for _, good in ipairs(row[3]) do check.equal(names(find({ good }, row[1], options)), "", row[1] .. ": " .. good) end
    local all = table.move(row[3], 1, #row[3], #row[2] + 1, table.move(row[2], 1, #row[2], 1, {}))
    check.equal(#find(all, row[1], options).names, #row[2], row[1])
  end
  check.equal(find({ "a door" }, "trigger_missing", {}), nil) -- no trigger is declared
  check.equal(lint.look({ { name = "a" }, { name = "b" } }, { trigger = "zkr" }), {}) -- pictures without captions
  check.equal(lint.look({}, {}), {})
end)

test("every finding says what, why and what to do; what can be pasted compiles", function()
  local rows = rows_of { "I'm sorry, I can't.", "This image shows a \\(b) **door** in the wall of a house", "", "a\rb", "zkr zkr", ("word "):rep(90),
    "eine Frau, die vor dem Haus steht und auf den Bus wartet", "zkr, a red door in the wall of the old house", "zkr, a red door in the wall of the old house" }
  local seen = {}
  for _, finding in ipairs(lint.look(rows, { trigger = "zkr", language = "en" })) do
    seen[finding.kind] = true
    for _, part in ipairs { "text", "why", "hint" } do check.ok(#finding[part] > 10 and utf8.len(finding[part]), finding.kind) end
    check.ok(#finding.names > 0)
    local paste = finding.hint:match "(:%l+%s*[%({].*[%)}])$" or finding.hint:match ": (:%l+ {.*})"
    if paste then check.ok(load("local photos, with = ...; photos" .. paste:gsub("= %.%.%. {.-}", "= with"):gsub("= %.%.%.", "= with")), paste) end
  end
  for _, kind in ipairs { "refusal", "opening", "markup", "escapes", "empty", "encoding", "trigger_missing", "trigger_doubled", "long", "language", "alike" } do
    check.ok(seen[kind], kind)
  end
  check.contains(find({ "На изображении дверь" }, "opening").hint, 'gsub("На изображении%s*"')
  local opening = find({ "This image shows a door" }, "opening")
  local edit = check.ok(load("return function(p) " .. opening.hint:match "function%(p%) (.*) end%)" .. " end"))()
  check.equal(edit({ caption = "zkr, This image shows a door" }).caption, "zkr, a door")
end)

test("a look at many captions can be stopped at each of them", function()
  for last = 1, 33, 8 do
    local rows, count = rows_of { "a red door", "a red door", "I can't" }, 0
    function rows.poll()
      count = count + 1
      if count == last then error("stopped", 0) end
    end
    check.fails("stopped", lint.look, rows, { trigger = "zkr" })
  end
end)

test("captions that say the same are found by their words, nearly the same by pieces of three words", function()
  local long = "an old red door in the white wall of a small house by the sea under a grey sky with two gulls on the roof and a boat"
  local groups = lint.alike(rows_of { "a red door", "A RED  door!", "a blue door", long, (long:gsub("boat", "dog")), (long:gsub("%a+", "x%0")), "" })
  check.equal(#groups, 2)
  check.equal(names { names = { groups[1][1].name, groups[1][2].name, groups[2][1].name, groups[2][2].name } }, "p1.png p2.png p4.png p5.png")
  local same, all = lint.alike(rows_of { "zkr, a door", "a door", "a zkr door" }, { trigger = "zkr" })
  check.equal(#same[1], 3)
  check.equal(all, true)
  check.contains(find({ "a door", "a door" }, "alike").text, "all 2 captions say the same")
  check.equal(find({ "a red door", "a blue door", "a green door" }, "alike"), nil) -- too short to be nearly the same
  check.equal(select(2, lint.alike(rows_of { "a" })), false)
end)

test("captions longer than the text encoder reads are told, by the base's own tokenizer where there is one", function()
  local folder = "tests/golden/tiny/tokenizer/"
  local tokenizer = check.ok(require("native.text").clip(folder .. "vocab.json", folder .. "merges.txt"))
  local text = ("a red door "):rep(30)
  check.contains(find({ text }, "long").text, "75 places that CLIP reads: the longest takes about 90")
  check.contains(find({ text }, "long").why, "an estimate")
  local exact = find({ text, "a door" }, "long", { tokenizer = tokenizer, places = 30 })
  check.contains(exact.text, ("1 caption is longer than the 30 places that this base reads: the longest takes %d"):format(#tokenizer:tokens(text)))
  check.equal(exact.why:find "estimate", nil)
  check.contains(exact.hint, "words_above = 21")
  check.equal(find({ "a door" }, "long", { tokenizer = tokenizer, places = 30 }), nil)
  check.equal(find({ ("门"):rep(70) }, "long").names[1], "p1.png")
end)

test("languages are told by letters and small words, or not at all", function()
  for text, code in pairs {
    ["the man is standing by the door of his house"] = "en", ["eine Frau, die vor dem Haus steht"] = "de", ["une femme devant la maison avec les enfants"] = "fr",
    ["una mujer está junto a la casa con los niños"] = "es", ["женщина у дома"] = "ru", ["zkr, 一张门的照片"] = "zh", ["赤いドアの写真"] = "ja", ["東京都立美術館の門"] = "ja", ["zkr 빨간 문"] = "ko",
    ["een vrouw staat voor het huis met een hond en een kat"] = "nl", ["kobieta i pies są na ulicy przed domem z oknem"] = "pl", ["πόρτα"] = "el", ["باب أحمر"] = "ar",
  } do check.equal(language.of(text), code, text) end
  for _, text in ipairs { "a red door", "1girl, solo, red hair, blue eyes, long dress, hat", "zkr", "", "7 8 9 10 11 12" } do check.equal(language.of(text), nil, text) end
  local mixed = { "the man is by the door of the house", "a woman is on the bench in the park", "eine Frau, die vor dem Haus steht" }
  check.equal(names(find(mixed, "language")), "p3.png")
  check.equal(find(mixed, "language").level, "note")
  check.equal(names(find(mixed, "language", { language = "de" })), "p1.png p2.png")
  check.equal(find(mixed, "language", { language = "de" }).level, "warning")
  check.equal(find(mixed, "language", { language = "tlh" }), nil) -- nothing is known of it
end)

test("pictures whose caption files would be one are told by their names", function()
  check.equal(names(lint.names { "a/p1.jpg", "a/p1.png", "b/p1.png", "a/P2.jpg", "a/p2.jpg", "a/p3.x.jpg", "a/p3.jpg" }), "p1.jpg p1.png P2.jpg p2.jpg")
  check.equal(lint.names { "a/p1.jpg", "b/p1.jpg" }, nil)
end)

local function place_with(count)
  local place = recipes.new(tmp "place")
  for i = 1, count do place.photo(("p%d.png"):format(i), { seed = i, width = 200, height = 200 }) end
  return place
end

test("check looks at the captions beside the pictures, and writes nothing", function()
  local place = place_with(4)
  place.write("photos/p1.txt", "I'm sorry, I can't help with that.")
  place.write("photos/p2.txt", "\xef\xbb\xbfa red door\r\n")
  place.write("photos/p3.caption", "zkr, a zkr (door\\)")
  place.write("photos/p4.txt", "caf\xe9")
  local text = 'images "@/photos":caption { with = fake {}, trigger = "zkr" }:export { as = "sidecars", to = "@/out" }'
  local done = place.check(text)
  check.equal(done.exit, 0, done.text)
  check.contains(done.out, "recipe.lua:1: 1 caption is an excuse or an error, no caption (\"i'm sorry ...\"): p1.png; write a caption beside")
  check.contains(done.out, 'only = function(p) return p.name == "p1.png" end')
  check.contains(done.out, "2 caption files have a byte-order mark, line ends of Windows, bytes that are no UTF-8: p2.png, p4.png")
  check.contains(done.out, "2 of 3 captions beside the pictures lack the trigger; it will be put in front: p1.png, p2.png")
  check.contains(done.out, "note: 1 caption has the trigger more than once: p3.png")
  check.contains(done.out, "1 caption has brackets with and without backslashes: p3.png")
  check.contains(done.out, "fine: 2 steps, 1 output")
  check.equal(require("native.fs").stat(place.path "store"), nil)
  place.write("photos/p1.png", place.read "photos/p2.png")
  place.write("photos/p2.jpg", place.read "photos/p2.png")
  os.remove(place.path "photos/p2.txt")
  check.contains(place.check(text).out, "2 pictures share a name but for the ending or capitals: p2.jpg, p2.png; rename one of each")
end)

test("check also looks at what the store has, dressed as the recipe dresses it", function()
  local place = place_with(2)
  local text = 'images "@/photos":caption { with = template { text = "This image shows a {stem}" }, trigger = "zkr" }:export { as = "sidecars", to = "@/out" }'
  check.equal(place.check(text).out:find "begin", nil)
  check.equal(place.run(text).exit, 0)
  local out = place.check(text).out
  check.contains(out, "2 captions begin with words about the picture (\"This image shows ...\"): p1.png, p2.png; :edit(function(p)")
  check.equal(out:find("lack the trigger", 1, true), nil) -- a model's answer has none; :caption puts it there
  local kept <close> = store.open(place.path "store")
  local sha = check.ok(kept:seen(place.path "photos/p1.png"))
  check.equal(kept:caption_in_force(sha).text, "This image shows a p1")
  check.equal(kept:seen(place.path "photos/none.png"), nil)
  place.photo("p1.png", { seed = 9, width = 200, height = 210 })
  check.equal(kept:seen(place.path "photos/p1.png"), nil)
end)

test("of a large folder check reads a part, and says so", function()
  local place = place_with(1)
  for i = 2, 900 do
    place.write(("photos/q%03d.png"):format(i), "x")
    place.write(("photos/q%03d.txt"):format(i), i > 880 and "I cannot do this" or ("zkr, the door of number %d in the street by the sea"):format(i))
  end
  local began = os.clock()
  local done = place.check 'images "@/photos":caption { with = fake {}, trigger = "zkr" }:export { as = "sidecars", to = "@/out" }'
  check.ok(os.clock() - began < 20, "check took too long") -- 0.1 s on a quiet machine
  check.contains(done.out, "note: captions were looked at for 200 of 900 pictures")
  check.contains(done.out, "an excuse or an error")
end)

test("the report has a section with what is wrong, and links to the pictures", function()
  local place = place_with(3)
  place.write("photos/p1.txt", "I can't describe <this>.")
  place.write("photos/p2.txt", "a door")
  place.write("photos/p3.txt", "a door")
  check.equal(place.run('images "@/photos":caption { with = sidecar {}, trigger = "zkr" }:report { to = "@/r.html" }').exit, 0)
  local page = place.read "r.html"
  for _, part in ipairs { "<h2>Captions to look at</h2>", "1 caption is an excuse or an error, no caption (&quot;i can&#39;t ...&quot;)",
    '<figure id="p1">', '<li><a href="#p1">p1.png</a> <span class="faint">zkr, I can&#39;t describe &lt;this&gt;.</span></li>',
    "2 captions say the same or nearly so, in 1 group", "p.name == &quot;p1.png&quot;" } do check.ok(page:find(part, 1, true), part) end
  place.write("photos/p1.txt", "a man by a wall")
  place.write("photos/p3.txt", "three boats")
  check.equal(place.run('images "@/photos":caption { with = sidecar {}, trigger = "zkr" }:report { to = "@/r.html" }').exit, 0)
  check.ok(not place.read("r.html"):find("Captions to look at", 1, true), "a section about nothing")
end)
