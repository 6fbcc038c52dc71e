local loader = require "native.loader"
local dataset = require "native.dataset"
local store = require "native.store"
local image = require "native.image"
local hash = require "native.hash"
local json = require "native.json"
local fs = require "native.fs"

local GOLDEN = "tests/golden/image/"

local function pause(seconds) os.execute(("sleep %g"):format(seconds or 0.005)) end

-- All answers, by tag.
local function answers(l, seconds)
  local got, count, limit = {}, 0, os.time() + (seconds or 60)
  while l:pending() > 0 do
    local answer = l:next()
    if answer then
      check.equal(got[answer.tag], nil, "a second answer")
      got[answer.tag], count = answer, count + 1
    else
      if os.time() > limit then error(("%d answers did not come"):format(l:pending()), 2) end
      pause()
    end
  end
  check.equal(l:next(), nil)
  return got, count
end

local function ask(l, options)
  check.ok(l:ask(1, options))
  return answers(l)[1]
end

-- Pictures that are old enough to be remembered, and a store beside them.
local function pictures(count, width, height)
  local folder, paths = tmp "pictures", {}
  for i = 1, count do
    local im = image.new(width or 300, height or 200, { 255 - 10 * i % 256, 5 * i % 256, 128 })
    im:circle(40 + i, 40, 30, { 255, 255, 255 })
    paths[i] = ("%s/p%03d.png"):format(folder, i)
    check.ok(im:save(paths[i]))
  end
  pause(0.03)
  return paths, check.ok(store.open(tmp "store")), folder
end

local function open(s, options) return check.ok(loader.open(s, options)) end

test("a thumbnail is small, comes with what the picture is, and is kept by content", function()
  local paths, s = pictures(1)
  local l <close> = open(s)
  local first = ask(l, { path = paths[1], what = "thumb" })
  check.equal({ first.path, first.what, first.error, first.note }, { paths[1], "thumb" })
  check.equal({ first.width, first.height, first.format, first.sha256, first.size },
    { 300, 200, "PNG", hash.sha256(fs.read(paths[1])), #fs.read(paths[1]) })
  check.equal({ first.image:width(), first.image:height(), first.image:channels() }, { 256, 171, 3 })
  check.equal(s:seen(paths[1]), first.sha256)
  local kept = json.decode(s:get("thumb", first.sha256))
  check.equal({ kept.width, kept.height, kept.format }, { 300, 200, "PNG" })
  -- Another blob in its place is what comes back: nothing is decoded again.
  local red = image.new(9, 6, { 255, 0, 0 })
  local blob = s:put_blob(check.ok(red:encode("jpeg", { quality = 95 })))
  s:put("thumb", first.sha256, ('{"width":300,"height":200,"format":"PNG","thumb":"%s"}'):format(blob))
  local second = ask(l, { path = paths[1], what = "thumb" })
  check.equal({ second.image:width(), second.width, second.height, second.sha256 }, { 9, 300, 200, first.sha256 })
  -- A lost blob is made again.
  check.ok(fs.remove(("%s/blobs/%s/%s"):format(s:folder(), blob:sub(1, 2), blob:sub(3))))
  check.equal(ask(l, { path = paths[1], what = "thumb" }).image:width(), 256)
  check.ok(s:blob(json.decode(s:get("thumb", first.sha256)).thumb))
end)

test("what a scan measured is used, and a scan uses what the loader measured", function()
  local paths, s = pictures(2)
  local records = dataset.scan(s, { paths[1] })
  local l <close> = open(s)
  local thumb = ask(l, { path = paths[1], what = "thumb" })
  check.equal({ thumb.image:width(), thumb.width, thumb.format, s:get("thumb", thumb.sha256) }, { 256, 300, "PNG" })
  check.equal(ask(l, { path = paths[1], what = "measure" }).record, records[1])
  local measured = ask(l, { path = paths[2], what = "measure" })
  check.equal({ measured.width, measured.height, measured.format }, { 300, 200, "PNG" })
  local again, counts = dataset.scan(s, paths)
  check.equal({ counts.hashed, counts.measured }, { 0, 0 })
  check.equal(again, { records[1], measured.record })
end)

test("a copy is known by its content, a changed file is another one", function()
  local paths, s, folder = pictures(2)
  local l <close> = open(s)
  local first = ask(l, { path = paths[1], what = "thumb" })
  local copy = folder .. "/copy.png"
  fs.write(copy, fs.read(paths[1]))
  pause(0.03)
  local red = s:put_blob(image.new(9, 6, { 255, 0, 0 }):encode "jpeg")
  s:put("thumb", first.sha256, ('{"width":300,"height":200,"format":"PNG","thumb":"%s"}'):format(red))
  check.equal(ask(l, { path = copy, what = "thumb" }).image:width(), 9)
  check.equal(s:seen(copy), first.sha256)
  fs.write(copy, fs.read(paths[2]))
  local changed = ask(l, { path = copy, what = "thumb" })
  check.equal({ changed.sha256, changed.image:width() }, { hash.sha256(fs.read(paths[2])), 256 })
end)

test("a picture is at most as large as asked, never larger than it is, and not kept", function()
  local paths, s, folder = pictures(1)
  local l <close> = open(s)
  local function sides(options)
    options.path, options.what = options.path or paths[1], "picture"
    local a = ask(l, options)
    check.equal(a.error, nil)
    return { a.image:width(), a.image:height() }
  end
  check.equal(sides { side = 150 }, { 150, 100 })
  check.equal(sides { side = 1 }, { 1, 1 })
  check.equal(sides { side = 299 }, { 299, 199 })
  check.equal(sides { side = 5000 }, { 300, 200 })
  check.equal(sides {}, { 300, 200 })
  check.equal(s:get("thumb", s:seen(paths[1])), nil)
  local tall = folder .. "/tall.jpg"
  check.ok(image.new(1000, 4000, { 9, 200, 9 }):save(tall))
  check.equal(sides { path = tall, side = 400 }, { 100, 400 })
  local seen = ask(l, { path = GOLDEN .. "jpeg-orient6.jpg", what = "picture" })
  local stored = image.probe(GOLDEN .. "jpeg-orient6.jpg")
  check.equal({ seen.width, seen.height, seen.format }, { stored.width, stored.height, "JPEG" })
  check.equal({ seen.image:width(), seen.image:height() }, { seen.width, seen.height })
end)

test("to identify gives the content's name and what it is, without pixels, and is kept", function()
  local paths, s = pictures(1)
  local l <close> = open(s)
  for _ = 1, 2 do
    local a = ask(l, { path = paths[1], what = "identify" })
    check.equal({ a.sha256, a.width, a.height, a.format, a.image, a.error }, { hash.sha256(fs.read(paths[1])), 300, 200, "PNG" })
  end
  check.equal(json.decode(s:get("thumb", s:seen(paths[1]))), { width = 300, height = 200, format = "PNG" })
  local turned = ask(l, { path = GOLDEN .. "jpeg-orient6.jpg", what = "identify" })
  local stored = image.probe(GOLDEN .. "jpeg-orient6.jpg")
  check.equal({ turned.width, turned.height }, { stored.width, stored.height })
  check.equal(ask(l, { path = paths[1], what = "thumb" }).image:width(), 256)
  check.ok(json.decode(s:get("thumb", s:seen(paths[1]))).thumb)
end)

test("what is no picture is an answer with its path and a code, whatever is asked, and the others come", function()
  local paths, s, folder = pictures(1)
  local whole = fs.read(paths[1])
  fs.write(folder .. "/cut.png", whole:sub(1, #whole // 2))
  fs.write(folder .. "/empty.png", "")
  fs.write(folder .. "/text.png", "not a picture")
  check.ok(os.execute(("mkfifo '%s/fifo.png' && truncate -s 2147483648 '%s/huge.png'"):format(folder, folder)))
  check.ok(os.execute(("ln -s nowhere '%s/dangling.png' && ln -s /dev/zero '%s/zero.png'"):format(folder, folder)))
  local l <close> = open(s)
  local expected = { ["cut.png"] = "FORMAT", ["empty.png"] = "FORMAT", ["text.png"] = "FORMAT", ["fifo.png"] = "FORMAT", ["none.png"] = "NOTFOUND",
    ["."] = "FORMAT", ["huge.png"] = "LIMIT", ["dangling.png"] = "NOTFOUND", ["zero.png"] = "DENIED" }
  for round = 1, 2 do
    for _, what in ipairs { "thumb", "picture", "identify", "measure", "fitted" } do
      local names = {}
      for name in pairs(expected) do
        names[#names + 1] = name
        check.ok(l:ask(#names, { path = folder .. "/" .. name, what = what, width = 9, height = 9 }))
      end
      check.ok(l:ask(0, { path = paths[1], what = what, width = 9, height = 9 }))
      local got = answers(l)
      check.equal(got[0].error, nil)
      for tag, name in ipairs(names) do
        local a = got[tag]
        local code = what == "identify" and name == "cut.png" and "ok" or expected[name]
        check.equal(a.code or "ok", code, ("%s %s round %d (%s)"):format(what, name, round, a.error))
        if a.error then check.contains(a.error, folder .. "/" .. name) end
        check.equal({ a.image, a.record }, {})
        if name == "text.png" then check.equal(a.sha256, hash.sha256 "not a picture") end
        if name == "huge.png" then check.equal(a.sha256, nil) end
      end
    end
    pause(0.03)
  end
end)

test("the most urgent is begun first, of equals the one asked first", function()
  local paths, s = pictures(1, 2000, 2000)
  local l <close> = open(s, { threads = 1 })
  check.ok(l:ask(100, { path = paths[1], what = "measure", urgency = math.huge })) -- keeps the one thread busy meanwhile
  for i, urgency in ipairs { 0, 5, -1, 5, 0.5, 0, 9, 1e300 } do check.ok(l:ask(i, { path = "nothing", what = "thumb", urgency = urgency })) end
  local order = {}
  while l:pending() > 0 do
    local a = l:next()
    if a then order[#order + 1] = a.tag else pause() end
  end
  check.equal(order, { 100, 8, 7, 2, 4, 5, 1, 6, 3 })
end)

test("what is forgotten is not answered, and of what is asked again only the new is", function()
  local paths, s = pictures(3, 1200, 900)
  local l <close> = open(s, { threads = 1 })
  for i = 1, 3 do check.ok(l:ask(i, { path = paths[i], what = "picture" })) end
  l:forget(1) -- perhaps begun
  l:forget(3)
  l:forget(77)
  check.ok(l:ask(2, { path = paths[3], what = "picture", side = 30 }))
  check.equal(l:pending(), 1)
  local got, count = answers(l)
  check.equal({ count, got[2].path, got[2].image:width() }, { 1, paths[3], 30 })
  check.ok(l:ask(1, { path = paths[1], what = "thumb" }))
  pause(0.3) -- it is finished
  l:forget(1)
  check.equal({ l:pending(), l:next() }, { 0 })
end)

test("10,000 requests are asked and forgotten at once", function()
  local paths, s = pictures(1)
  local l <close> = open(s, { threads = 1 })
  local start = os.clock()
  for i = 1, 10000 do check.ok(l:ask(i, { path = paths[1], what = "measure", urgency = i % 7 })) end
  for i = 10000, 1, -1 do l:forget(i) end
  check.equal(l:pending(), 0)
  check.ok(os.clock() - start < 20)
end)

test("answers that nobody takes hold no more than was allowed", function()
  local paths, s = pictures(40, 256, 256)
  local one = 256 * 256 * 3
  local l <close> = open(s, { threads = 2, finished = 5 * one })
  for i, path in ipairs(paths) do check.ok(l:ask(i, { path = path, what = "picture" })) end
  local ready = 0
  for _ = 1, 100 do -- a busy machine may take its time for the first few
    pause(0.7)
    while l:next() do ready = ready + 1 end -- the threads may add a few meanwhile
    if ready > 0 then break end
  end
  check.ok(ready > 0 and ready < 40, ready .. " were ready")
  local _, count = answers(l)
  check.equal(count + ready, 40)
end)

test("a store that another process holds costs the keeping, not the answer", function()
  local paths, s = pictures(1)
  local l <close> = open(s)
  check.ok(s:batch(function()
    s:put("k", "a", "1")
    local a = ask(l, { path = paths[1], what = "identify" })
    check.equal({ a.width, a.error }, { 300 })
    check.contains(a.note, "in use by another calotype")
  end))
  check.equal(s:seen(paths[1]), nil)
  check.equal(ask(l, { path = paths[1], what = "identify" }).note, nil)
  check.ok(s:seen(paths[1]))
end)

test("closing while much is asked is quick, and a forgotten loader closes itself", function()
  local paths, s = pictures(4, 1000, 1000)
  for _ = 1, 5 do
    local l = open(s)
    for i = 1, 2000 do check.ok(l:ask(i, { path = paths[i % 4 + 1], what = "measure" })) end
    pause()
    local start = os.time()
    l:close()
    l:close()
    check.ok(os.time() - start <= 20)
  end
  do
    local l = open(s)
    check.ok(l:ask(1, { path = paths[1], what = "thumb" }))
  end
  collectgarbage()
  local l = open(s)
  s:close()
  check.equal(ask(l, { path = paths[1], what = "thumb" }).width, 1000) -- it has the store for itself
  check.equal(tostring(l), "loader")
  l:close()
  check.equal(tostring(l), "loader (closed)")
  check.fails("the loader is closed", function() l:next() end)
  check.fails("the store is closed", function() loader.open(s) end)
end)

test("misuse of the loader raises, with what was meant", function()
  local _, s = pictures(0)
  local l <close> = open(s)
  check.fails("option 'path' is missing", function() l:ask(1, { what = "thumb" }) end)
  check.fails("option 'what': 'pixels' is not thumb, picture, identify, measure or fitted", function() l:ask(1, { path = "x", what = "pixels" }) end)
  check.fails("option 'side': -1 is not", function() l:ask(1, { path = "x", what = "picture", side = -1 }) end)
  check.fails("option 'width': 0 is not 1 to", function() l:ask(1, { path = "x", what = "fitted", height = 4 }) end)
  check.fails("option 'height': -4 is not 1 to", function() l:ask(1, { path = "x", what = "fitted", width = 4, height = -4 }) end)
  check.fails("integer", function() l:ask(1.5, { path = "x", what = "thumb" }) end)
  check.fails("option 'threads': 1000 is not", function() loader.open(s, { threads = 1000 }) end)
  check.refused("a path is empty", l:ask(1, { path = "", what = "thumb" }))
  check.refused("urgency is no number", l:ask(1, { path = "x", what = "thumb", urgency = 0 / 0 }))
  check.equal(l:pending(), 0)
end)
