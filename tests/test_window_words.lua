-- What the window does with words: filter, replace, tags, tokens.
local filter = require "window.filter"
local hash = require "native.hash"
local replace = require "window.replace"
local tags = require "window.tags"
local tokens = require "window.tokens"

local function item(caption, more)
  local it = { path = "photos/old/Cat_1.jpg", name = "Cat_1.jpg", caption = caption, star = 0 }
  for key, value in pairs(more or {}) do it[key] = value end
  return it
end

local function shows(text, it, selected)
  local fn, message = filter.compile(text)
  return check.ok(fn, message)(it, selected)
end

test("the filter box finds words, tags, names, numbers and states", function()
  local it = item("1girl, Long_Hair, a red door", { star = 4, width = 500, height = 900, by = { author = "model", provider = "gemini", model = "gemini-3.8-flash" },
    record = { sharpness = 31.5, brightness = { p50 = 120 } } })
  local yes = { "", "  ", "red", "RED", "cat_1", '"red door"', "tag:1girl", 'tag:"long hair"', "tag:long_hair", "tag:*hair", "tag:?girl", "tag:*", "caption:hair",
    "caption:l*d", "name:cat", "path:old/", "name:c?t", "tags:3", "tags:>2", "tags:>=3", "tags:!=4", "chars:<100", "words:<10", "stars:>3", "stars:=4", "width:<512",
    "side:==500", "pixels:<0.5", "sharpness:<40", "brightness:>100", "is:captioned", "is:starred", "by:gemini", "by:3.8", "NOT is:rejected", "NOT NOT red",
    "blue OR red", "red AND girl", "red girl", "blue AND green OR red", "red OR blue AND green", "NOT blue red", "(blue OR red) AND 1girl", "NOT (blue OR green)",
    "'red door'", "\\*red OR red", "is:CAPTIONED", "TAG:1girl" }
  for _, text in ipairs(yes) do check.ok(shows(text, it), text .. " should fit") end
  local no = { "blue", "tag:girl", "tag:red", "tag:1gir?l", "caption:r?d?d?d", "name:old", "tags:<3", "stars:<4", "is:empty", "is:rejected", "by:person", "is:draft", "entropy:>0",
    "red AND NOT girl", "(blue OR red) AND green", "NOT red OR blue", "is:file", "is:unreadable", "is:selected", '"1girl, long hair"' }
  for _, text in ipairs(no) do check.equal(shows(text, it), false, text) end
  check.ok(shows("is:selected", it, { [it] = true }))
  check.ok(shows("by:person", item("x", { by = { author = "human", provider = "window" } })))
  check.ok(shows("is:rejected", item("x", { reject = { reason = "blurred" } })))
  check.ok(shows("tag:miku_(vocaloid)", item "solo, miku (vocaloid)"))
  check.ok(shows("(tag:miku_(vocaloid))", item "solo, miku (vocaloid)"))
  check.ok(shows("caption:扉", item "赤い扉"))
  check.ok(shows("ÉTÉ", item "un été"))
  check.ok(shows([["say \"so\""]], item 'they say "so"'))
  check.ok(shows([[caption:2\*3]], item "2*3") and not shows([[caption:2\*3]], item "2+3"))
  check.equal(shows("width:<512", item "x"), false) -- not known yet
  check.equal(shows("width:>512", item "x"), false)
end)

test("a caption that changed is looked at anew", function()
  local it = item "a door"
  local fn = filter.compile "tags:2 OR words:5 OR chars:3"
  check.equal(fn(it), false)
  it.caption = "a, b"
  check.ok(fn(it))
  it.caption = "abc"
  check.ok(fn(it))
end)

test("tokens are counted by who can count them, and only where they are asked for", function()
  local asked = 0
  local function count() asked = asked + 1 return 80 end
  local fn, uses = filter.compile("tokens:>75", { tokens = count })
  check.equal(uses, { tokens = true })
  local it = item "a door"
  check.ok(fn(it) and fn(it))
  check.equal(asked, 1)
  check.equal(select(2, filter.compile "door"), {})
end)

test("what the filter does not understand is said, with its place", function()
  local wrong = {
    { "(red", "the bracket is not closed", 0 }, { "red)", "closes nothing", 3 }, { 'red "door', "the quote is not closed", 4 }, { "AND red", "AND needs something before it", 0 },
    { "red AND", "something is missing at the end", 7 }, { "red OR OR blue", "OR needs something before it", 7 }, { "NOT", "missing at the end", 3 },
    { "stars:many", "stars: needs a number, as in stars:>3", 6 }, { "tags:><3", "'><' is no comparison", 5 }, { "tags:>", "needs a number", 5 },
    { "is:reject", "a picture is rejected, not 'reject'", 3 }, { "is:", "is: needs a word", 3 }, { "tgas:3", "did you mean tags:?", 0 }, { "note:x", "there is no note: here", 0 },
    { "tag:", "tag: needs a word", 4 }, { "é (red", "not closed", 2 }, { "()", "closes nothing", 1 }, { "is:%d", "not '%d'", 3 },
    { ("("):rep(150) .. "a", "nested too deep", nil }, { ("NOT "):rep(150) .. "a", "nested too deep", nil },
  }
  for _, row in ipairs(wrong) do
    local fn, message, place = filter.compile(row[1])
    check.equal(fn, nil, row[1])
    check.contains(message, row[2])
    if row[3] then check.equal(place, row[3], row[1]) end
  end
end)

test("whatever is typed into the filter box, it answers: random pieces, and all its own words", function()
  local pieces = { "(", ")", '"', "'", "\\", "*", "?", "AND", "OR", "NOT", " ", "tag:", "tags:", "stars:>", "is:", "is:captioned", "by:", "<", "=", "3", "é", "扉", "\xff", "%", "[", "door",
    ":", "-", "\n", "\0", "a*b", "%b()", "tokens:>1", "is:selected" }
  for seed = 1, 3000 do
    local r, parts = hash.random(seed), {}
    for i = 1, 1 + r:below(12) do parts[i] = pieces[1 + r:below(#pieces)] end
    local text = table.concat(parts)
    local fn, message, place = filter.compile(text)
    if fn then check.equal(type(fn(item "a (door) [3%", {})), "boolean", text)
    else
      check.ok(type(message) == "string" and #message > 0, text)
      check.ok(math.type(place) == "integer" and place >= 0 and place <= #text, text)
    end
  end
  for _, row in ipairs(filter.help) do check.ok(type(row[1]) == "string" and type(row[2]) == "string") end
  for _, text in ipairs { "tags:>10  chars:<100  words:>=5", "NOT a AND (b OR c)", "stars:>3  width:<512", "name:cat  path:old/" } do check.ok(filter.compile(text)) end
end)

test("stars in the pattern of a filter cost no more than a moment", function()
  local fn = check.ok(filter.compile("caption:" .. ("*a"):rep(20) .. "z"))
  local ok = pcall(fn, item(("a"):rep(400)))
  check.ok(ok ~= nil) -- refused or answered, in any case soon
end)

test("what replacing would do is found in slices, the same as at once", function()
  local items = {}
  for i = 1, 3000 do items[i] = { name = "p" .. i, caption = ("a red door %d "):format(i):rep(4) } end
  local how, slices = { find = "(d)oor (%d)", with = "%1%2", pattern = true }, 0
  local search = check.ok(replace.search(items, how))
  check.equal({ search:on(0), search.at }, { false, 1 })
  repeat slices = slices + 1 until search:on(0.001)
  check.ok(slices > 2, "one slice took all")
  check.equal({ search.at, search.plan.count }, { 3000, 12000 })
  local plan = check.ok(replace.plan(items, how))
  check.equal({ plan.count, #plan.rows, plan.rows[3000].after }, { 12000, #search.plan.rows, search.plan.rows[3000].after })
  search = check.ok(replace.search(items, { find = "(d", with = "", pattern = true }))
  check.ok(search:on(1))
  check.contains(search.trouble, "capture")
end)

test("replacing shows what would change, and where the hits are", function()
  local items = { item "The colour of a Colour chart", item "colourful", item "none" }
  local plan = check.ok(replace.plan(items, { find = "colour", with = "color" }))
  check.equal(plan.count, 3)
  check.equal(#plan.rows, 2)
  check.equal(plan.rows[1].after, "The color of a color chart")
  check.equal(plan.rows[1].spans, { { 5, 10 }, { 17, 22 } })
  check.equal(plan.rows[1].item, items[1])
  check.equal(items[1].caption, "The colour of a Colour chart")
  plan = check.ok(replace.plan(items, { find = "colour", with = "color", case = true, whole = true }))
  check.equal(plan.count, 1)
  check.equal(plan.rows[1].after, "The color of a Colour chart")
end)

local function replaced(s, options)
  local plan, message = replace.plan({ item(s) }, options)
  if not plan then return nil, message end
  return plan.rows[1] and plan.rows[1].after or s, plan.count
end

test("plain text is plain: no character has a meaning", function()
  check.equal(replaced("50% (a+b) [x]", { find = "% (a+", with = "%1" }), "50%1b) [x]")
  check.equal(replaced("a.b", { find = ".", with = "" }), "ab")
  check.equal(replaced("aaa", { find = "a", with = "aa" }), "aaaaaa")
  check.equal(replaced("UN ÉTÉ", { find = "été", with = "hiver" }), "UN hiver")
end)

test("a pattern has captures, and capitals make no difference unless they should", function()
  check.equal(replaced("a Red door", { find = "(r%a+) (%a+)", with = "%2 %1", pattern = true }), "a door Red")
  check.equal(replaced("a Red door", { find = "r(%a+)", with = "%1", pattern = true, case = true }), "a Red doo" .. "r")
  check.equal(replaced("B-b [x]", { find = "[a-b]", with = "<%0>", pattern = true }), "<B>-<b> [x]")
  check.equal(replaced("ABab", { find = "(a)%1", with = "!", pattern = true }), "ABab")
  check.equal(replaced("aa AA", { find = "(a)%1", with = "!", pattern = true }), "! !")
  check.equal(replaced("f(x(y)) z", { find = "%b()", with = "()", pattern = true }), "f() z")
  check.equal(replaced("a door", { find = "^", with = "x: ", pattern = true }), "x: a door")
  check.equal(replaced("a door", { find = "$", with = ".", pattern = true }), "a door.")
  check.equal(replaced("a door", { find = "^a ", with = "", pattern = true }), "door")
  check.equal(replaced("hello world", { find = "%w*", with = "x", pattern = true }), ("hello world"):gsub("%w*", "x"))
  check.equal(replaced("100", { find = "%d+", with = "%%", pattern = true }), "%")
  check.equal(replaced("x]y", { find = "[]x]", with = "-", pattern = true }), "--y")
  check.equal(replaced("a  b", { find = "%s+", with = " ", pattern = true }), "a b")
end)

test("a pattern agrees with string.gsub on many texts", function()
  local patterns = { "a", "%w+", "(%w)(%w)", "b?", "%f[%w]%w", "a-b", "[^ ]+", "(a*)b", "%s*$", ".", "x*" }
  local letters = { "a", "b", " ", "x", "1", "." }
  for seed = 1, 300 do
    local r, parts = hash.random(seed), {}
    for i = 1, r:below(12) do parts[i] = letters[1 + r:below(#letters)] end
    local s, pattern = table.concat(parts), patterns[1 + r:below(#patterns)]
    check.equal(replaced(s, { find = pattern, with = "<%0>", pattern = true, case = true }), (s:gsub(pattern, "<%0>")), s .. " " .. pattern)
  end
end)

test("whole words are whole in any script", function()
  check.equal(replaced("cat catalog cat's concat", { find = "cat", with = "dog", whole = true }), "dog catalog dog's concat")
  check.equal(replaced("zkr zkré zkrの", { find = "zkr", with = "X", whole = true }), "X zkré Xの")
  check.equal(replaced("赤い扉", { find = "赤", with = "青", whole = true }), "青い扉")
  check.equal(replaced("a1 a", { find = "a", with = "b", whole = true }), "a1 b")
end)

test("what cannot be replaced is said, and nothing hangs", function()
  local function refused(part, s, options)
    local after, message = replaced(s, options)
    check.equal(after, nil)
    check.contains(message, part)
  end
  refused("what is to be found", "x", { find = "" })
  refused("malformed pattern", "x", { find = "[a", pattern = true })
  refused("unfinished capture", "x", { find = "(x", pattern = true })
  refused("%2, but the pattern has 1 capture", "x", { find = "(x)", with = "%2", pattern = true })
  refused("%z in the new text", "x", { find = "x", with = "%z", pattern = true })
  refused("tears a letter", "é", { find = "\xc3", with = "", pattern = true })
  refused("too", ("a"):rep(3000), { find = ("a*"):rep(8) .. "b", with = "", pattern = true })
end)

test("tags are seen in the text with their places, in any script", function()
  check.equal(tags.of "1girl, Red_Hair ,\n solo", { { "1girl", 1, 5 }, { "Red_Hair", 8, 15 }, { "solo", 20, 23 } })
  check.equal(tags.of "赤い扉、家，空", { { "赤い扉", 1, 9 }, { "家", 13, 15 }, { "空", 19, 21 } })
  check.equal(tags.of " , ,", {})
end)

test("a tag is changed where it stands, and the text around it stays as it was", function()
  check.equal(tags.rename("1girl,  Red_Hair , solo", "red hair", "auburn hair"), "1girl,  auburn hair , solo")
  check.equal(tags.rename("a, b, c", "b", "c"), "a, c") -- it was there already
  check.equal(tags.rename("a, b, c", "b", "b"), "a, b, c") -- itself: not deleted
  check.equal(tags.rename("a, Long_Hair", "long hair", "long hair"), "a, long hair")
  check.equal(tags.rename("a, b, b", "b", "x"), "a, x")
  check.equal(tags.rename("a red door", "red", "blue"), "a red door") -- part of a tag is no tag
  check.equal(tags.rename("a, b", "b", ""), "a")
  check.equal(tags.remove("a, b, c", "b"), "a, c")
  check.equal(tags.remove("a, b, c", "a"), "b, c")
  check.equal(tags.remove("a, b, c", "c"), "a, b")
  check.equal(tags.remove("B,b, c,b", "b"), "c")
  check.equal(tags.remove("b", "b"), "")
  check.equal(tags.remove("a\nb\nc", "b"), "a\nc")
  check.equal(tags.add("a, b", "c"), "a, b, c")
  check.equal(tags.add("a, b", "B"), "a, b")
  check.equal(tags.add("a, b,", "c"), "a, b, c")
  check.equal(tags.add("", "c"), "c")
  check.equal(tags.add("a, b", " c ", 1), "c, a, b")
  check.equal(tags.move("a,  b ,c", 3, 1), "c,  a ,b")
  check.equal(tags.move("a, b", 1, 9), "a, b")
end)

test("adding and removing a tag leads back to the text", function()
  local pool = { "1girl", "red hair", "solo", "a  b", "x_y", "赤" }
  for seed = 1, 200 do
    local r, parts = hash.random(seed), {}
    for i = 1, 1 + r:below(5) do parts[i] = pool[1 + r:below(#pool)] end
    local s = table.concat(parts, ({ ", ", ",", "\n", "、" })[1 + r:below(4)])
    check.equal(tags.remove(tags.add(s, "new tag"), "new tag"), s)
    check.equal(tags.remove(tags.add(s, "new tag", 1), "new tag"), s)
    check.equal(tags.rename(tags.rename(s, "solo", "duo"), "none", "other"), tags.rename(s, "solo", "duo"))
  end
end)

test("tags are counted once a caption, sentences are none, and what changed is counted anew", function()
  local items = { item "1girl, solo, solo", item "1girl, Red_Hair", item "A red door. It is old, and worn by the wind.", item "door", item "" }
  local index = tags.index()
  check.ok(index:update(items))
  check.equal(index:list(), { { "1girl", 2 }, { "door", 1 }, { "red hair", 1 }, { "solo", 1 } })
  check.equal(index.size, 4)
  check.equal(index:complete "re", { { "red hair", 1 } })
  check.equal(index:complete "ha", { { "red hair", 1 } })
  check.equal(index:complete("s", 5, { solo = true }), {})
  check.equal(index:complete "solo", {})
  local version = index.version
  check.ok(index:update(items))
  check.equal(index.version, version)
  items[1].caption = "1girl"
  check.ok(index:update(items))
  check.equal(index:count "solo", 0)
  check.equal(index.size, 3)
  check.equal(index:update({ item "a, b" }), true)
  check.equal(index:list(), { { "a", 1 }, { "b", 1 } })
end)

test("plans of tags are like those of replacing", function()
  local items = { item "a, b", item "b", item "c" }
  local plan = tags.rename_plan(items, "b", "x")
  check.equal(#plan.rows, 2)
  check.equal(plan.rows[1].after, "a, x")
  check.equal(#tags.remove_plan(items, "b").rows, 2)
  check.equal(#tags.add_plan(items, "b").rows, 1)
end)

test("an estimate of tokens says that it is one, and what lies behind the end is found", function()
  local t = tokens.new()
  check.equal(t.most, 75)
  check.contains(t.why, "estimate")
  local count, exact = t:count "a red door"
  check.equal(count, 3)
  check.equal(exact, false)
  check.equal(t:beyond "a red door", nil)
  local long = ("word "):rep(80)
  check.equal(t:beyond(long), 75 * 5 + 1)
  check.equal(t.counter(long), 80)
  local missing = tokens.new { base = tmp "nothing" }
  check.contains(missing.why, "no vocab.json")
  local spaceless = ("扉"):rep(100)
  local from = check.ok(t:beyond(spaceless))
  check.equal(from % 3, 1)
  check.ok(t.counter(spaceless:sub(1, from - 1)) <= 75)
end)

test("triggers are found as whole words", function()
  check.equal(tokens.triggers("zkr, a Zkr door, zkrs", "zkr"), { { 1, 3 }, { 8, 10 } })
  check.equal(tokens.triggers("zkr", nil), {})
  check.equal(tokens.triggers("zkr", ""), {})
end)
