-- A hostile folder, a hostile neighbour: names nobody would choose, things that are no files, files that change or are swapped while
-- they are used, two runs at once.
local fs = require "native.fs"
local log = require "native.log"
local recipes = dofile "tests/recipes.lua"
local zip = require "native.zip"

local pipe = io.popen "readlink /proc/$PPID/exe"
local program = pipe:read "l":gsub("/tests/host$", "/calotype")
pipe:close()
if not program:find "^/" then program = io.popen "pwd":read "l" .. "/" .. program end

local function shell(command, ...)
  local out = io.popen("{ " .. command:format(...) .. "; } 2>&1")
  local text = out:read "a"
  out:close()
  return text
end

local ALL = [[
  local few = images "@/photos" :caption { with = template { text = "a {stem}, [trigger]" }, trigger = "zkr" }
  few:sheet { to = "@/out/s.png" }
  few:report { to = "@/out/r.html" }
  few:export { as = "replicate", to = "@/out/a.zip" }
  few:export { as = "kohya", to = "@/out/k" }
]]

local NAMES = { "a\nb", "quo\"te's", "em\u{1F600}ji", ("x"):rep(251), "<script>alert(1)</script>", "-rf", "a;b $(touch pwned) `x`", "tab\t", "\27[31mred",
  "bad\xffbytes", "rtl\u{202e}gnp", " lead", "trail ", "%s%n", "{stem}", "[trigger]", "C:\\x", "CON", "&amp;" }

test("names that nobody would choose: every output is made, nothing is run, nothing moves a cursor or leaves a page's text", function()
  local place = recipes.new(tmp "place")
  for i, name in ipairs(NAMES) do
    name = name:gsub("/", "\u{2215}") -- the one byte that no name has
    check.ok(fs.write(place.path("photos/" .. name .. ".png"), recipes.picture({ seed = i, width = 40, height = 30 }):encode "png"))
  end
  local done = place.run(ALL)
  check.equal(done.exit, 0, done.text)
  check.contains(done.log, ("%d pictures, all new"):format(#NAMES))
  local entries = check.ok(zip.list(place.path "out/a.zip"))
  check.equal(#entries, 2 * #NAMES)
  for _, entry in ipairs(entries) do
    check.ok(entry.name:find "^[%w_-]+%.%l%l%l$", entry.name)
    if entry.name:find "txt$" then check.ok(not zip.read(place.path "out/a.zip", entry.name):sub(1, -2):find "%c", entry.name) end
  end
  check.equal(#fs.list(place.path "out/k/1_zkr"), 2 * #NAMES)
  local page = place.read "out/r.html"
  for _, never in ipairs { "<script", "\27", "\xff" } do check.equal(page:find(never, 1, true), nil, never) end
  for _, part in ipairs { "&lt;script&gt;", "&amp;amp;.png", "quo&quot;te&#39;s" } do check.contains(page, part) end
  check.ok(utf8.len(page))
  local shown = shell("cd %s && CALOTYPE_STORE=other %s run recipe.lua && %s show photos && %s show out/a.zip; ls", place.folder, program, program, program)
  check.ok(not shown:find "\27" and not shown:find "\xff" and not shown:find "pwned\n", shown)
end)

test("a CALOTYPE_STORE with nothing in it is none", function()
  local place = recipes.new(tmp "place")
  place.photo("a.png", { seed = 1 })
  place.write("recipe.lua", (ALL:gsub("@/", "")))
  check.contains(shell("cd %s && CALOTYPE_STORE= %s run recipe.lua && ls .calotype && CALOTYPE_STORE= %s captions log photos", place.folder, program, program), "store.db")
end)

test("a caption full of HTML, controls and braces is text in the page and one line in the files", function()
  local place = recipes.new(tmp "place")
  place.photo("a.png", { seed = 1 })
  place.write("photos/a.txt", "<img src=x onerror=alert(1)> {stem} \27[2J\r\n</style><b>zkr</b>\u{202e}")
  check.equal(place.run(ALL).exit, 0)
  local page = place.read "out/r.html"
  for _, never in ipairs { "<img src=x", "</style><b>", "\27" } do check.equal(page:find(never, 1, true), nil, never) end
  check.contains(zip.read(place.path "out/a.zip", "a.txt"), "<img src=x onerror=alert(1)> {stem}")
  check.equal(select(2, zip.read(place.path "out/a.zip", "a.txt"):gsub("\n", "")), 1)
end)

test("pipes, devices, sockets and links that lead astray are rejected with the reason, and nothing waits for them", function()
  local place = recipes.new(tmp "place")
  place.photo("a.png", { seed = 1 })
  place.write("outside.png", place.read "photos/a.png")
  check.equal(shell("cd %s/photos && mkfifo pipe.png && ln -s pipe.png topipe.png && ln -s /dev/zero zero.png && ln -s nowhere broken.png && "
    .. "ln -s loop.png loop.png && ln -s ../outside.png outside.png && ln -s /etc etc.png && mkdir folder.png && ln -s a.png twin.png", place.folder), "")
  local before = log.clock()
  local done = place.run(ALL)
  check.ok(log.clock() - before < 60)
  check.equal(done.exit, 0, done.text)
  check.contains(done.log, "9 pictures")
  check.contains(done.log, "7 unreadable")
  local page = place.read "out/r.html"
  for _, part in ipairs { "pipe.png is not a regular file", "broken.png cannot be found", "zero.png leads out of the folders", "loop.png leads out",
    "outside.png leads out", "etc.png leads out" } do check.contains(page, part) end
  check.equal(#zip.list(place.path "out/a.zip"), 4) -- a.png and its twin
end)

test("a folder that is swapped for a link while it is used stays the folder it was", function()
  local folder = tmp "swap"
  check.ok(fs.write(folder .. "/data/in.txt", "mine") and fs.write(folder .. "/secret/in.txt", "secret") and fs.make_folder(folder .. "/out"))
  check.ok(fs.grant(folder .. "/data", "read") and fs.grant(folder .. "/out", "write"))
  check.ok(fs.write(folder .. "/out/first.txt", "1"))
  check.equal(shell("cd %s && mv data old && ln -s secret data && mv out oldout && ln -s secret out", folder), "")
  check.equal(fs.read(folder .. "/data/in.txt"), "mine")
  check.ok(fs.write(folder .. "/out/in.txt", "written"))
  check.equal(fs.read(folder .. "/secret/in.txt"), "secret")
  check.equal(fs.read(folder .. "/oldout/in.txt"), "written")
end)

test("a picture that changes between looking and writing stops the run; nothing of it is taken for known", function()
  local set, pictures = require "recipe.set", require "export.pictures"
  local place = recipes.new(tmp "place")
  place.photo("a.png", { seed = 1 })
  local path = place.path "photos/a.png"
  local info = fs.stat(path)
  local item = { path = path, size = info.size, mtime_ns = info.mtime_ns, format = "png", orientation = 1, extension = "png" }
  check.equal(set.changed(item), nil)
  local said
  local context = { fail = function(message, more) said = message .. " / " .. more.hint error "stopped" end }
  check.equal(pictures.file(context, item).path, path)
  place.photo("a.png", { seed = 2 })
  check.fails("stopped", pictures.file, context, item)
  check.contains(said, "a.png changed since it was looked at / run again")
  fs.remove(path)
  check.fails("stopped", pictures.file, context, item)
  check.contains(said, "a.png is gone since it was looked at")
  local encoded = require "train.encoded"
  place.photo("a.png", { seed = 3, width = 16, height = 16 })
  local bucket = { width = 16, height = 16, scale_width = 16, scale_height = 16, crop_x = 0, crop_y = 0 }
  check.equal(check.refused("changed since it was looked at; run again", encoded.pixels(path, bucket, ("0"):rep(64))), "BUSY")
  check.equal(#encoded.pixels(path, bucket, (require("native.hash").file(path))), 16 * 16 * 3 * 4)
end)

test("two runs of one recipe in one folder both end well, and a third has nothing to do", function()
  local place = recipes.new(tmp "place")
  for i = 1, 12 do place.photo(("p%d.png"):format(i), { seed = i, width = 120, height = 90 }) end
  place.write("recipe.lua", (ALL:gsub("@/", "")))
  local said = shell("cd %s && for i in 1 2 3; do (%s run -q recipe.lua; echo exit $?) >log$i 2>&1 & done; wait; cat log1 log2 log3; find . -name '*.tmp'; %s run recipe.lua",
    place.folder, program, program)
  check.equal(select(2, said:gsub("exit 0\n", "")), 3, said)
  check.contains(said, "nothing to do: all 4 outputs are unchanged")
  check.ok(not said:find "%.tmp", said)
end)

test("a folder that can only be read is told with the way out", function()
  local place = recipes.new(tmp "place")
  place.photo("a.png", { seed = 1 })
  place.write("recipe.lua", (ALL:gsub("@/", "")))
  place.write("elsewhere.lua", (ALL:gsub("@/out", tmp "elsewhere"):gsub("@/", "")))
  -- Root may write everywhere but on a file system mounted for reading.
  local said = shell([[unshare -m sh -c 'cd %s && mount --bind . . && mount -o remount,ro,bind . && cd . && cd "$PWD" && %s -q run elsewhere.lua; echo "exit $?"
    CALOTYPE_STORE=%s %s -q run recipe.lua; echo "exit $?"; ls']], place.folder, program, tmp "store", program)
  if said:find "unshare:" or said:find "mount:" then skip "needs root: a file system mounted for reading" end
  check.contains(said, "error: the store .calotype cannot be opened: ")
  check.contains(said, "that folder can only be read; name another one")
  check.contains(said, "set CALOTYPE_STORE=FOLDER to keep it elsewhere")
  check.contains(said, "error: nothing can be written to .: that folder can only be read")
  check.equal(select(2, said:gsub("exit 3\n", "")), 2, said)
  check.ok(not said:find "\nout", said)
end)
