local store = require "native.store"
local hash = require "native.hash"
local fs = require "native.fs"

local SHA = hash.sha256 "a picture"

local function open(folder, options) return check.ok(store.open(folder or tmp "store", options)) end

test("results come back after closing, and a second put replaces", function()
  local folder = tmp "store"
  local s = open(folder)
  check.equal(s:get("measures", SHA), nil)
  check.ok(s:put("measures", SHA, '{"width":1}'))
  check.ok(s:put("measures", SHA, '{"width":2}'))
  check.ok(s:put("other", SHA, "x"))
  s:close()
  s = open(folder)
  check.equal(s:get("measures", SHA), '{"width":2}')
  check.equal(s:get("other", SHA), "x")
end)

test("a database that is a link to another place is not followed", function()
  local theirs, folder = tmp "theirs", tmp "store"
  open(theirs):close()
  fs.make_folder(folder)
  check.ok(os.execute(("ln -s '%s/store.db' '%s/store.db'"):format(theirs, folder)))
  check.equal(check.refused("is a symbolic link and not followed", store.open(folder)), "DENIED")
  check.ok(os.execute(("ln -sfn '%s/nothing.db' '%s/store.db'"):format(theirs, folder)))
  check.equal(check.refused("is a symbolic link", store.open(folder)), "DENIED") -- nor is one made elsewhere
  check.equal(fs.stat(theirs .. "/nothing.db"), nil)
end)

test("a folder, a pipe or a file where the database belongs is refused with what to do, and stays", function()
  for _, make in ipairs { "mkdir -p %s/store.db", "mkfifo %s/store.db" } do
    local folder = tmp "odd"
    fs.make_folder(folder)
    check.ok(os.execute(make:format(folder)))
    check.equal(check.refused("and no database: move it away", store.open(folder)), "DENIED")
    check.ok(fs.stat(folder .. "/store.db"))
  end
  local file = tmp "file"
  check.ok(fs.write(file, "mine"))
  check.equal(check.refused("is a file, and a store is a folder: move it away", store.open(file)), "DENIED")
  check.equal(fs.read(file), "mine")
end)

test("a store that is removed or replaced while it is open refuses, and says so; put back it goes on", function()
  local folder = tmp "gone"
  local s = check.ok(store.open(folder))
  check.ok(s:put("kind", "a", "1"))
  check.ok(os.execute(("mv '%s' '%s.away'"):format(folder, folder)))
  check.equal(check.refused("was removed or replaced while it was open", s:put("kind", "b", "2")), "IO")
  check.refused("was removed", s:add_caption { sha = SHA, key = "k", text = "a boat", author = "human" })
  check.refused("was removed", s:draft(SHA, "a b"))
  check.refused("was removed", s:mark(SHA, "star", "5"))
  store.open(folder):close() -- another one in its place
  check.refused("replaced", s:put("kind", "b", "2"))
  check.ok(os.execute(("rm -r '%s' && mv '%s.away' '%s'"):format(folder, folder, folder)))
  check.ok(s:put("kind", "b", "2"))
  s:close()
  s = store.open(folder)
  check.equal(s:get("kind", "b"), "2")
  check.equal(#s:captions(SHA), 0)
  s:close()
end)

test("any bytes are kept as they are, none too", function()
  local s = open()
  for _, value in ipairs { "", "\0", "a\0b", "\xff\xfe", "\u{e9}", ("x"):rep(100000) } do
    check.ok(s:put("k", "v", value))
    check.equal(s:get("k", "v") == value, true)
  end
end)

test("a batch keeps what was done in it, also when its function raises, and a second one inside is refused", function()
  local folder = tmp "store"
  local s, other = open(folder), open(folder)
  local function caption(text) return s:add_caption { sha = SHA, key = "k", text = text, author = "model" } end
  check.ok(s:batch(function()
    s:put("k", "a", "1")
    caption "one"
    check.equal(other:get("k", "a"), nil) -- not there yet for others
    check.equal(s:get("k", "a"), "1")
    check.refused("a batch is open already", s:batch(function() end))
  end))
  check.equal(other:get("k", "a"), "1")
  check.fails("half-way", s.batch, s, function()
    caption "two"
    error "half-way"
  end)
  check.equal(#other:captions(SHA), 2)
  check.ok(s:batch(function() end))
  check.fails("closed", s.batch, s, function() s:close() end)
  check.fails("closed", s.batch, s, function() end)
  check.fails("half-way", other.batch, other, function() other:close() error "half-way" end)
end)

test("a whole batch that raises leaves nothing", function()
  local s = open()
  check.fails("half-way", s.batch, s, function()
    s:put("k", "a", "1")
    s:mark(SHA, "star", "2")
    s:add_action { place = "p", title = "t", detail = "{}" }
    error "half-way"
  end, { whole = true })
  check.equal({ s:get("k", "a"), s:marks "star", s:actions "p" }, { nil, {}, {} })
  check.ok(s:batch(function() s:put("k", "a", "1") end, { whole = true }))
  check.equal(s:get("k", "a"), "1")
  check.fails("half-way", s.batch, s, function() s:close() error "half-way" end, { whole = true })
end)

test("the newest mark of a kind counts, nil takes it back, and all of them stay", function()
  local folder = tmp "store"
  local s = open(folder)
  local other = hash.sha256 "other"
  check.equal(s:marks "star", {})
  check.ok(s:mark(SHA, "star", "3"))
  check.ok(s:mark(SHA, "star", "5"))
  check.ok(s:mark(SHA, "star", "5"))
  check.ok(s:mark(SHA, "reject", "blurred, caf\u{e9}"))
  check.ok(s:mark(other, "star", "1"))
  check.ok(s:mark(other, "reject", ""))
  check.ok(s:mark(hash.sha256 "never marked", "star", nil))
  check.equal(s:marks "star", { [SHA] = "5", [other] = "1" })
  check.equal(s:marks "reject", { [SHA] = "blurred, caf\u{e9}", [other] = "" })
  check.ok(s:mark(SHA, "star"))
  check.equal(s:marks "star", { [other] = "1" })
  s:close()
  s = open(folder)
  check.equal(s:marks "star", { [other] = "1" })
  check.ok(s:mark(SHA, "star", "5"))
  check.equal(s:marks("star")[SHA], "5")
end)

test("a mark that is none is refused", function()
  local s = open()
  for _, value in ipairs { "0", "6", "10", "", "x", "3 " } do
    check.equal(check.refused('stars are "1" to "5"', s:mark(SHA, "star", value)), "ARG")
  end
  check.refused('a mark is "star" or "reject", not "heart"', s:mark(SHA, "heart", "1"))
  check.refused('a mark is "star" or "reject"', s:marks "heart")
  check.refused("is not a sha256", s:mark("x", "star", "1"))
  check.refused("byte 2 of a mark is not UTF-8", s:mark(SHA, "reject", "a\xff"))
  check.fails("has a NUL byte", function() s:mark(SHA, "reject", "a\0b") end)
  check.fails("string expected", function() s:mark(SHA, "star", {}) end)
  check.equal({ s:marks "star", s:marks "reject" }, { {}, {} })
end)

test("what is being typed is kept for each picture until it is taken back", function()
  local folder = tmp "store"
  local s = open(folder)
  local other = hash.sha256 "other"
  check.ok(s:draft(SHA, "a ha"))
  check.ok(s:draft(SHA, "a hall"))
  check.ok(s:draft(other, ""))
  s:close()
  s = open(folder)
  local function drafts()
    local texts = {}
    for _, draft in ipairs(s:drafts()) do texts[draft.sha .. (draft.seat > 0 and draft.seat or "")] = draft.text end
    return texts
  end
  check.equal(drafts(), { [SHA] = "a hall", [other] = "" })
  check.ok(s:draft(SHA, nil))
  check.ok(s:draft(SHA, nil))
  check.equal(drafts(), { [other] = "" })
  check.ok(s:draft(other, "at seat 3", 3))
  check.equal(drafts(), { [other] = "", [other .. 3] = "at seat 3" })
  check.ok(s:draft(other, nil))
  check.equal(drafts(), { [other .. 3] = "at seat 3" })
  check.fails("no seat", function() s:draft(other, "x", -1) end)
  check.fails("no seat", function() s:draft(other, "x", 65) end)
  check.refused("is not a sha256", s:draft("x", "y"))
  check.refused("byte 1 of a draft is not UTF-8", s:draft(SHA, "\xff"))
  check.fails("has a NUL byte", function() s:draft(SHA, "a\0b") end)
end)

test("who is at work has a seat at the store, which two stores of one process do not share", function()
  local folder = tmp "store"
  local a, b = open(folder), open(folder)
  check.equal({ a:seat(), b:seat(), a:seat() }, { 1, 2, 1 })
  check.equal({ a:seated(1), a:seated(2), a:seated(3), a:seated(0), a:seated(1 << 40) }, { true, true, false, false, false })
  a:close()
  check.equal(b:seated(1), false)
  local c = open(folder)
  check.equal(c:seat(), 1)
end)

test("actions are listed newest first by place, undone, done again, and dropped by a new one after undoing", function()
  local folder = tmp "store"
  local s = open(folder)
  local function add(title, place) return check.ok(s:add_action { place = place or "photos", title = title, detail = ('{"t":"%s"}'):format(title) }) end
  local function all(place)
    local out = {}
    for _, row in ipairs(s:actions(place or "photos")) do out[#out + 1] = row.title .. (row.dropped and " dropped" or row.undone and " undone" or "") end
    return out
  end
  local first, second, third = add "one", add "two", add "three"
  add("elsewhere", "drawings")
  check.equal(all(), { "three", "two", "one" })
  local row = s:actions("photos", { limit = 1 })[1]
  check.equal({ row.id, row.place, row.detail, row.undone, row.dropped }, { third, "photos", '{"t":"three"}', false, false })
  check.ok(row.time:match "^%d%d%d%d%-")
  check.ok(s:undo_action(third, true))
  check.ok(s:undo_action(second, true))
  check.ok(s:undo_action(second, false))
  s:close()
  s = open(folder)
  check.equal(all(), { "three undone", "two", "one" })
  check.equal(s:drop_undone "photos", 1)
  check.equal(s:drop_undone "photos", 0)
  add "four"
  check.equal(all(), { "four", "three dropped", "two", "one" })
  check.equal(check.refused(("no action %d that can be"):format(third), s:undo_action(third, false)), "NOTFOUND")
  check.equal(check.refused("no action 99 that can be", s:undo_action(99, true)), "NOTFOUND")
  check.ok(s:undo_action(first, true))
  check.equal(all "drawings", { "elsewhere" })
  check.equal(s:actions "nowhere", {})
  check.fails("option 'title': string expected", function() s:add_action { place = "p", detail = "{}" } end)
  check.fails("has a NUL byte", function() s:actions "p\0q" end)
  check.fails("has a NUL byte", function() s:drop_undone "p\0q" end)
  check.fails("option 'detail' has a NUL byte", function() s:add_action { place = "p", title = "t", detail = "a\0" } end)
  check.refused("byte 1 of an action is not UTF-8", s:add_action { place = "p", title = "\xff", detail = "{}" })
  check.fails("option 'limit': 0 is not", function() s:actions("p", { limit = 0 }) end)
  check.fails("boolean expected", function() s:undo_action(first) end)
end)

test("the texts in force of 10,000 pictures are one question, and so is which files were seen", function()
  local s = open()
  local shas, paths, folder = {}, {}, tmp "pictures"
  check.ok(s:batch(function()
    for i = 1, 10000 do
      shas[i] = hash.sha256("picture " .. i)
      s:add_caption { sha = shas[i], key = "k", text = "old " .. i, author = "model", provider = "gemini", model = "g-1" }
      s:add_caption { sha = shas[i], key = "k", text = "text " .. i, author = "human" }
      if i % 100 == 0 then s:add_caption { sha = shas[i], key = "k", text = "aside", author = "model", aside = true } end
    end
  end))
  local rows = s:texts()
  local count = 0
  for _ in pairs(rows) do count = count + 1 end
  check.equal({ count, rows[shas[7]].text, rows[shas[100]].text, rows[shas[100]].in_force }, { 10000, "text 7", "text 100", true })
  local some = s:texts { shas[3], hash.sha256 "none", shas[4] }
  check.equal({ some[shas[3]].text, some[shas[4]].text, some[hash.sha256 "none"] }, { "text 3", "text 4" })
  check.equal(s:texts {}, {})
  check.fails("sha 2 is no string", function() s:texts { shas[1], false } end)
  for i = 1, 3 do
    paths[i] = ("%s/%d"):format(folder, i)
    check.ok(fs.write(paths[i], "x" .. i))
  end
  check.equal(s:seen_all(paths), {})
  check.equal(s:seen_all {}, {})
  check.fails("path 1 is no string", function() s:seen_all { {} } end)
end)

test("blobs are named by content and found by name", function()
  local s = open()
  local sha = s:put_blob "thumb\0nail"
  check.equal(sha, hash.sha256 "thumb\0nail")
  check.equal(s:put_blob "thumb\0nail", sha)
  check.equal(s:blob(sha), "thumb\0nail")
  check.equal(s:blob(SHA), nil)
  check.equal(s:blob(s:put_blob ""), "")
  check.equal(fs.read(s:folder() .. "/blobs/" .. sha:sub(1, 2) .. "/" .. sha:sub(3)), "thumb\0nail")
end)

test("a damaged blob counts as missing until it is put again", function()
  local s = open()
  local sha = s:put_blob "precious"
  check.ok(fs.write(s:folder() .. "/blobs/" .. sha:sub(1, 2) .. "/" .. sha:sub(3), "precioux"))
  check.equal(s:blob(sha), nil)
  s:put_blob "precious"
  check.equal(s:blob(sha), "precious")
end)

test("a blob's name cannot be a path", function()
  local s = open()
  for _, name in ipairs { "../../etc/passwd", "", ("A"):rep(64), ("a"):rep(63), ("a"):rep(65), ("a"):rep(63) .. "/" } do
    check.equal(check.refused("is not a sha256", s:blob(name)), "ARG")
  end
end)

test("captions keep their whole history, and the newest under a key is the caption", function()
  local s = open()
  local function add(text, key, author)
    return s:add_caption { sha = SHA, key = key, text = text, author = author or "model", provider = "gemini", model = "g-1", detail = '{"usd":0.001}' }
  end
  local first = add("a hall", "k1")
  local second = add("a large hall", "k1")
  local third = s:add_caption { sha = SHA, key = "human", text = "the main hall, caf\u{e9}", author = "human" }
  check.ok(first < second and second < third)
  check.equal(s:caption(SHA, "k1").text, "a large hall")
  check.equal(s:caption(SHA, "human").provider, nil)
  check.equal(s:caption(SHA, "k2"), nil)
  check.equal(s:caption(hash.sha256 "another", "k1"), nil)
  local all = s:captions(SHA)
  check.equal(#all, 3)
  check.equal(all[1].text, "a hall")
  check.equal(all[3].text, "the main hall, caf\u{e9}")
  check.equal(all[1].detail, '{"usd":0.001}')
  check.ok(all[1].time:match "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$")
  check.equal(s:captions(hash.sha256 "another"), {})
end)

test("a caption that is none is refused", function()
  local s = open()
  local function add(change)
    local c = { sha = SHA, key = "k", text = "t", author = "human" }
    for key, value in pairs(change) do c[key] = value end
    return s:add_caption(c)
  end
  check.refused("is not a sha256", add { sha = "x" })
  check.refused('"human" or "model"', add { author = "cat" })
  check.refused("byte 3 of a caption is not UTF-8", add { text = "ab\xff" })
  check.refused("NUL", add { text = "ab\0c" })
  check.fails("option 'text' is missing", function() s:add_caption { sha = SHA, key = "k", author = "human" } end)
  check.equal(s:captions(SHA), {})
end)

test("a caption has what it took; what is unknown is absent, which is not nothing", function()
  local s = open()
  local function add(more)
    local c = { sha = SHA, key = "k", text = "a hall", author = "model", provider = "gemini", model = "g-1" }
    for key, value in pairs(more) do c[key] = value end
    return s:add_caption(c)
  end
  local prompt = hash.sha256 "what is it?"
  check.ok(add { prompt = prompt, cost = 0.0012, tokens_in = 1300, tokens_out = 80, seconds = 2.5, spend = true, batch = "batches/7" })
  check.ok(add { cost = 0, tokens_in = 0 })
  check.ok(add { spend = true })
  local all = s:captions(SHA)
  check.equal({ all[1].prompt, all[1].cost, all[1].tokens_in, all[1].tokens_out, all[1].seconds }, { prompt, 0.0012, 1300, 80, 2.5 })
  check.equal({ all[2].cost, all[2].tokens_in, all[2].tokens_out, all[2].seconds, all[2].prompt }, { 0, 0 })
  local spends = s:spends(SHA)
  check.equal(#spends, 2)
  check.equal({ spends[1].caption, spends[1].cost, spends[1].batch, spends[1].model }, { all[1].id, 0.0012, "batches/7", "g-1" })
  check.equal({ spends[2].caption, spends[2].cost }, { all[3].id })
  check.fails("option 'cost': -1.0 is below 0", add, { cost = -1 })
  check.fails("option 'tokens_in': -1 is below 0", add, { tokens_in = -1 })
  check.refused("is no number", add { cost = 0 / 0 })
  check.refused("is no number", add { seconds = math.huge })
  check.refused("has a provider", s:add_caption { sha = SHA, key = "k", text = "t", author = "model", spend = true })
  check.equal(#s:captions(SHA), 3)
end)

test("spending is summed by provider, time and run, and the unknown is counted apart", function()
  local s = open()
  local other = hash.sha256 "other"
  check.ok(s:add_spend { provider = "gemini", cost = 0.5, tokens_in = 10, sha = SHA, why = "blocked: safety" })
  local run = s:start_run { recipe = "a.lua" }
  check.ok(s:add_spend { provider = "gemini", sha = SHA })
  check.ok(s:add_spend { provider = "openai", cost = 0.25, tokens_out = 3, batch = "b" })
  check.ok(s:add_caption { sha = other, key = "k", text = "x", author = "model", provider = "openai", cost = 1, spend = true })
  check.ok(s:finish_run(run, "ok"))
  check.ok(s:add_spend { provider = "openai", cost = 8 })
  check.equal(s:spent(), { requests = 5, unknown = 1, cost = 9.75, tokens_in = 10, tokens_out = 3 })
  check.equal(s:spent { provider = "gemini" }, { requests = 2, unknown = 1, cost = 0.5, tokens_in = 10, tokens_out = 0 })
  check.equal(s:spent { run = run }.cost, 1.25)
  check.equal(s:spent { run = run, provider = "openai" }.requests, 2)
  check.equal(s:spent { since = "2999-01-01T00:00:00Z" }.requests, 0)
  check.equal(s:spent { since = "2020-01-01T00:00:00Z" }.requests, 5)
  local rows = s:spends(SHA)
  check.equal({ #rows, rows[1].why, rows[1].caption, rows[1].cost }, { 2, "blocked: safety", nil, 0.5 })
  check.ok(rows[1].time:match "^%d%d%d%d%-")
  check.equal(s:spends(hash.sha256 "none"), {})
  check.refused("is not a sha256", s:add_spend { provider = "x", sha = "y" })
  check.refused("is no number", s:add_spend { provider = "x", cost = 1 / 0 })
  check.fails("option 'provider' is missing", function() s:add_spend {} end)
end)

test("the newest caption is in force, but not one asked for a comparison, and another can be put in force", function()
  local s = open()
  local function add(text, key, more)
    local c = { sha = SHA, key = key, text = text, author = "model" }
    for name, value in pairs(more or {}) do c[name] = value end
    return check.ok(s:add_caption(c))
  end
  check.equal(s:caption_in_force(SHA), nil)
  local first, second = add("a", "k1"), add("b", "k2")
  local aside = add("c", "k3", { aside = true })
  check.equal(s:caption_in_force(SHA).id, second)
  check.equal({ s:caption(SHA, "k3").aside, s:caption(SHA, "k3").in_force }, { true, false })
  check.ok(s:use_caption(aside))
  check.equal({ s:caption_in_force(SHA).text, s:caption(SHA, "k3").in_force, s:caption(SHA, "k2").in_force }, { "c", true, false })
  local back = add("a", "k3", { restores = first })
  check.equal({ s:caption_in_force(SHA).id, s:caption(SHA, "k3").restores }, { back, first })
  check.equal(check.refused("no caption 999", s:use_caption(999)), "NOTFOUND")
  check.ok(s:batch(function() add("d", "k1") end))
  check.equal(s:caption_in_force(SHA).text, "d")
end)

test("a picture is found by the beginning of its content's name", function()
  local s = open()
  for _, first in ipairs { "a", "b" } do
    for _, second in ipairs { "0", "f" } do
      for _ = 1, 2 do check.ok(s:add_caption { sha = first .. second .. ("0"):rep(62), key = "k", text = "t", author = "human" }) end
    end
  end
  check.equal(s:find_pictures "a", { "a0" .. ("0"):rep(62), "af" .. ("0"):rep(62) })
  check.equal(s:find_pictures "af", { "af" .. ("0"):rep(62) })
  check.equal(s:find_pictures("af" .. ("0"):rep(62)), { "af" .. ("0"):rep(62) })
  check.equal(#s:find_pictures("", 3), 3)
  check.equal(s:find_pictures "c", {})
  check.equal(s:find_pictures(("a"):rep(1000)), {})
end)

test("runs are listed newest first, an unfinished one without an end", function()
  local s = open()
  local a = s:start_run { recipe = "a.lua", params = '{"rank":16}' }
  local b = s:start_run { recipe = "b.lua" }
  check.ok(s:finish_run(a, "ok", '{"pictures":12}'))
  local runs = s:runs()
  check.equal({ runs[1].id, runs[2].id }, { b, a })
  check.equal({ runs[1].finished, runs[1].status, runs[1].params }, { nil, nil, "{}" })
  check.equal({ runs[2].status, runs[2].detail, runs[2].params }, { "ok", '{"pictures":12}', '{"rank":16}' })
  check.equal(#s:runs(1), 1)
  check.equal(check.refused("no run 77", s:finish_run(77, "ok")), "NOTFOUND")
end)

test("two stores on one folder see each other's work", function()
  local folder = tmp "store"
  local a, b = open(folder), open(folder)
  a:put("k", "x", "1")
  check.equal(b:get("k", "x"), "1")
  b:put("k", "x", "2")
  check.equal(a:get("k", "x"), "2")
end)

test("who asks for what costs money holds the store, more than once if need be", function()
  local folder = tmp "store"
  local a, b = open(folder), open(folder)
  check.equal({ a:lock(), a:lock(), b:lock() }, { true, true, false })
  a:unlock()
  check.equal(b:lock(), false)
  b:put("k", "x", "1") -- all else goes on
  a:unlock()
  a:unlock()
  check.equal(b:lock(), true)
  b:close()
  check.equal(a:lock(), true)
end)

test("the log of requests is read from where one was", function()
  local folder = tmp "store"
  local s = open(folder)
  check.equal({ s:requests(0, 100) }, { "", 0 })
  check.ok(fs.write(folder .. "/requests.log", "one\ntwo\n"))
  check.equal({ s:requests(0, 4) }, { "one\n", 8 })
  check.equal({ s:requests(4, 1000) }, { "two\n", 8 })
  check.equal({ s:requests(8, 1000) }, { "", 8 })
  check.equal({ s:requests(1 << 60, 1000) }, { "", 8 })
  check.ok(fs.write(folder .. "/requests.log", ("x"):rep(200000)))
  check.equal(#s:requests(1, 1 << 20), 199999)
  check.fails("1 to 67108864 expected", s.requests, s, 0, 0)
  check.fails("0 or more expected", s.requests, s, -1, 5)
  os.remove(folder .. "/requests.log")
  os.execute("mkdir " .. folder .. "/requests.log")
  check.equal({ s:requests(0, 100) }, { "", 0 })
end)

test("a closed store says so", function()
  local s = open()
  check.contains(tostring(s), "store (")
  s:close()
  s:close()
  check.equal(tostring(s), "store (closed)")
  check.fails("the store is closed", function() s:get("a", "b") end)
end)

test("a folder that cannot be made is refused with its name", function()
  local path = tmp "file"
  fs.write(path, "x")
  check.refused(path, store.open(path .. "/store"))
  check.refused(path, store.open(path))
end)
