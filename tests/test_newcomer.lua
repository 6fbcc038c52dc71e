-- What somebody who came an hour ago runs into: each sentence must say what is so and what to do next.
local device = require "native.device"
local fs = require "native.fs"
local recipes = dofile "tests/recipes.lua"

local opened, why = device.open()
local BASE = "tests/golden/tiny"

local pipe = io.popen "pwd; readlink /proc/$PPID/exe; id -u"
local here, program, root = pipe:read "l", pipe:read "l":gsub("/tests/host$", "/calotype"), pipe:read "l" == "0"
pipe:close()
if not program:find "^/" then program = here .. "/" .. program end

local function new(count)
  local place = recipes.new(tmp "place")
  for i = 1, count or 3 do place.photo(("p%d.png"):format(i), { seed = i, width = 40, height = 32 }) end
  return place
end

-- The program in the place's folder; what it prints, without colours, and its exit code.
local function shell(place, command, before)
  place.write("command.sh", ("cd %s || exit\nexport CALOTYPE_STORE=store CALOTYPE_STDLIB=%s/stdlib\n%s\n"):format(place.folder, here,
    (command:gsub("calotype", program))))
  local out = io.popen(("%s sh %s/command.sh 2>&1; echo \"exit $?\""):format(before or "", place.folder))
  local text, exit = out:read "a":match "^(.*)exit (%d+)\n$"
  out:close()
  return text, tonumber(exit)
end

local function ends(exit, done)
  if done.exit ~= exit then error(("exit %s: %s\n%s"):format(done.exit, done.text, done.log), 2) end
  return done
end

local function on_device(name, fn)
  test(name, function()
    if not opened then skip(why) end
    fn()
  end)
end

-- Where nothing can be written ------------------------------------------------------------------------------------------

-- Root may write everywhere, unless it gives that up.
local PLAIN = root and "setpriv --bounding-set=-all --inh-caps=-all" or ""
local function can_be_plain()
  local place = new(0)
  return select(2, shell(place, "mkdir locked && chmod 555 locked && ! touch locked/x", PLAIN)) == 0
end

local TRAINING = ([[
local photos = images "photos" :caption { with = template { text = "a [trigger]" }, trigger = "zkr" }
local lora = photos:train_lora { base = "%s/%s", resolution = 16, rank = 2, steps = 2, checkpoint = { to = "runs" },
  sample = { every = 1, prompts = { "a [trigger]" }, steps = 1 } }
lora:export { to = "out/lora.safetensors" }
lora:samples { prompts = { "a [trigger]" }, to = "out/grid.png", pictures = "each" }
]]):format(here, BASE)

test("a folder that cannot be written is told before anything is computed, by check too", function()
  if not can_be_plain() then skip "needs setpriv, or somebody who is not root" end
  local place = new()
  place.write("train.lua", TRAINING)
  place.write("class.lua", ('images.drawn { base = "%s/%s", prompts = { "a door" }, to = "out/a/b" } :sheet { to = "sheet.png" }'):format(here, BASE))
  place.write("beside.lua", 'images "photos" :caption { with = template {}, trigger = "zkr" } :export { as = "sidecars", beside = true }')
  for _, case in ipairs { { "out", "train", "to = " }, { "runs", "train", "checkpoint = " }, { "each", "train", "pictures = " },
    { "out", "class", "to = " }, { "photos", "beside", "beside = " } } do
    for _, what in ipairs { "check", "run" } do
      local text, exit = shell(place, ("mkdir -p %s && chmod 555 %s && calotype %s %s.lua; code=$?; chmod 755 %s; exit $code"):format(case[1], case[1], what,
        case[2], case[1]), PLAIN)
      check.equal(exit, 3, text)
      check.contains(text, ("error: nothing can be written to %s: Permission denied"):format(case[1]))
      check.contains(text, case[3])
      check.contains(text, "let yourself write there, or name another folder")
      check.ok(not text:find "latents" and not fs.stat(place.path "store"), text)
    end
  end
end)

on_device("a run's own folder that was locked is told before it trains, once", function()
  if not can_be_plain() then skip "needs setpriv, or somebody who is not root" end
  local place = new()
  place.write("train.lua", TRAINING)
  local text, exit = shell(place, "calotype train.lua && rm runs/*/step* runs/*/last.state && chmod 555 runs/* && calotype train.lua", PLAIN)
  check.equal(exit, 3, text)
  check.ok(text:find "error: nothing can be written to runs/zkr%-%x+: Permission denied" and not text:find "resuming", text)
  text, exit = shell(place, "chmod 755 runs/* && chmod 555 runs/*/samples && calotype train.lua", PLAIN)
  check.equal(exit, 3, text)
  check.contains(text, "/samples: Permission denied")
end)

test("a file where a folder is wanted is called that", function()
  local place = new()
  place.write("out", "foo")
  local text = 'images "@/photos" :sheet { to = "@/out/sheet.png" }'
  for _, done in ipairs { ends(2, place.check(text)), ends(2, place.run(text)) } do
    check.contains(done.text, "@/out is a file, not a folder")
    check.contains(done.text, "rename it, or name another folder")
  end
end)

test("a picture can be named by itself, with its caption or without, also under a header", function()
  local place = new(2)
  place.write("photos/p1.txt", "by hand")
  for _, header in ipairs { "", 'recipe "x" { allow = { read = { "photos/p1.png", "photos/p2.png" }, write = { "out" } } }\n' } do
    place.write("one.lua", header .. 'images { "photos/p1.png", "photos/p2.png" } :sheet { to = "out/s.png" }')
    local text, exit = shell(place, "calotype one.lua --fresh")
    check.equal(exit, 0, text)
    check.ok(text:find "1 caption beside them" ~= nil == (header == ""), text) -- what the header does not name is not read
  end
end)

-- When no picture is left -----------------------------------------------------------------------------------------------

test("when all pictures are rejected, whoever needs one points at the step that rejected most", function()
  local place = new(4)
  place.photo("big.png", { seed = 9, width = 700, height = 700 })
  place.photo("dull.png", { seed = 9, width = 600, height = 600 })
  local text = [[
local style = images "@/photos"
  :dedupe { by = "exact" }
  :reject { side_below = 512, aspect_above = 1.2 }
  :reject { side_below = 5000 }
local train, held = style:split { held_out = 4 }
train:export { as = "kohya", to = "@/out" }
]]
  local done = ends(1, place.run(text))
  check.contains(done.text, "no picture is left: of 6, 4 were rejected by :reject at recipe.lua:3 (4 aspect, 4 side), 2 were rejected by :reject at recipe.lua:4 (2 side)")
  check.contains(done.text, "recipe.lua:3:4")
  check.contains(done.text, "loosen :reject; why each one went: :sheet or :report")
  local broken = recipes.new(tmp "broken")
  broken.write("photos/a.png", "this is no PNG")
  done = ends(1, broken.run 'images "@/photos" :split { held_out = 4 } :export { as = "kohya", to = "@/out" }')
  check.contains(done.text, "no picture is left: all 1 could not be read")
end)

-- What a recipe is, where its files are not -----------------------------------------------------------------------------

test("info tells what a recipe is also where its pictures and its base are not, and says so of them", function()
  local place = recipes.new(tmp "place")
  local text = [[recipe "style" { about = "a style" }
local p = params { steps = { 10, help = "updates" } }
local photos = images "@/none" :caption { with = template {}, trigger = "zkr" }
local lora = photos:train_lora { base = "@/models/sd15", steps = p.steps, checkpoint = { to = "@/runs/[trigger]" } }
lora:export { to = "@/out/lora.safetensors" }
lora:samples { prompts = { "a [trigger]" }, to = "@/out/grid.png" }
images.drawn { base = "@/models/sd15", prompts = { "a door" }, to = "@/class" } :sheet { to = "@/out/sheet.png" }]]
  local said = ends(0, place.info(text)).out
  for _, part in ipairs { "about     a style", "steps          10  integer  updates", "@/none (is not there)", "@/models/sd15 (is not there)",
    "@/runs/zkr", "@/class", "@/out/grid.png", "samples " } do check.contains(said, part) end
  ends(2, place.check(text))
  check.contains(ends(2, place.info((text:gsub("steps = p", "stepps = p")))).text, "did you mean 'steps'?") -- its own text must be right
end)

-- Ctrl-C ----------------------------------------------------------------------------------------------------------------

test("Ctrl-C is no mistake: what is kept and how to go on, without a place in the recipe", function()
  local place = new()
  local script = require "native.script"
  for _, case in ipairs { { "stopped after step 3 of 9; x is kept", "stopped: after step 3 of 9; x is kept\n" },
    { "interrupted", "stopped: what is done is kept\n" }, { "photos/a.png: interrupted", "stopped: photos/a.png: interrupted\n" } } do
    local _, fault = script.call(script.fail, { message = case[1], exit = 130, source = "recipe.lua", line = 3, hint = "go on with: x" })
    check.equal(script.render(fault), case[2] .. "     = go on with: x\n")
  end
  place.write("slow.lua", 'local p = params { n = { 1 } }\nimages "photos" :keep_if(function(p) print "it runs" for i = 1, 1e9 do local _ = i end return true end) :sheet { to = "out/s.png" }')
  local text, exit = shell(place, [[calotype run -p "n=1" slow.lua >said 2>&1 & p=$!
    n=0; while [ $n -lt 1200 ] && ! grep -q "it runs" said; do sleep 0.05; n=$((n + 1)); done
    kill -INT $p; wait $p; code=$?; cat said; exit $code]])
  check.equal(exit, 130, text)
  check.contains(text, "stopped: what is done is kept\n     = go on with: calotype run slow.lua -p n=1\n")
  check.ok(not text:find("-->", 1, true) and not text:find "error", text)
end)

-- What was meant --------------------------------------------------------------------------------------------------------

test("[triger] is told wherever a recipe or a caption has it", function()
  local place = new()
  local text = [[images "@/photos" :caption { with = template { text = "a {stem}, [trigger]" }, trigger = "zkr", prefix = "[trigger] " }
  :export { as = "kohya", to = "@/out/[trigger]" }]]
  ends(0, place.check(text))
  for n = 1, 3 do
    local count = 0
    local done = ends(2, place.check((text:gsub("%[trigger%]", function() count = count + 1 return count == n and "[triger]" or nil end))))
    check.contains(done.text, "has [triger]")
    check.contains(done.text, "did you mean [trigger]?")
  end
  check.contains(ends(2, place.check((text:gsub("%[trigger%]", "[Trigger]", 1)))).text, "has [Trigger]")
  local done = ends(2, place.check((TRAINING:gsub('"photos"', '"@/photos"'):gsub('prompts = { "a %[trigger%]', 'prompts = { "a door", "a [tirgger]'))))
  check.contains(done.text, "option 'prompts' of 'sample' of :train_lora [2] has [tirgger]")
  place.write("photos/p1.txt", "a [triggr] door\n")
  done = ends(1, place.run((text:gsub("prefix = .-} ?", "} "))))
  check.contains(done.text, "the caption of @/photos/p1.png has [triggr]")
  place.write("photos/p1.txt", "a door [sic], [2020]\n") -- other words in brackets are words
  ends(0, place.run(text))
end)

test("a path with a typo has the one that is there as its hint", function()
  local place = new()
  check.contains(ends(2, place.check 'images "@/photo" :sheet { to = "@/s.png" }').text, 'did you mean "@/photos"?')
  check.contains(ends(2, place.check 'images "@/photos/p11.png" :sheet { to = "@/s.png" }').text, 'did you mean "@/photos/p1.png"?')
  check.contains(ends(2, place.check 'images "@/quite/else" :sheet { to = "@/s.png" }').text, "relative paths start in the folder you are in")
  place.write(".hidden/x", "x")
  check.contains(ends(2, place.check 'images "@/hidden" :sheet { to = "@/s.png" }').text, "relative paths start")
  local done = ends(2, place.check 'image "@/photos" :sheet { to = "@/s.png" }')
  check.contains(done.text, "image is no function")
  check.contains(done.text, "did you mean 'images'?")
  check.contains(done.text, "recipe.lua:1:1")
  place.write("hall.lua", "print 'hall'")
  for words, part in pairs { ["check photo/x/y"] = "did you mean photos/x/y?", ["info hall"] = "did you mean hall.lua?", ["check hal.lua"] = "did you mean hall.lua?",
    ["show photoz/p1.png"] = "did you mean photos/p1.png?", ["info nosuch"] = "error: there is no recipe nosuch\n" } do
    local text, exit = shell(place, "calotype " .. words)
    check.equal(exit, 2, text)
    check.contains(text, part)
    check.equal(select(2, text:gsub("did you mean", "")), part:find "^did" and 1 or 0, text)
  end
end)

test("a folder above or inside a base says where the base is", function()
  local place = new()
  local text = 'images "@/photos" :caption { with = template {}, trigger = "zkr" } :train_lora { base = "%s", resolution = 16 } :export { to = "@/x.safetensors" }'
  for base, hint in pairs { ["tests/golden/tiny/unet"] = "name the base itself: tests/golden/tiny", ["examples/models"] = "examples/models/tiny inside it is one",
    ["@/photos"] = "a base is a folder as diffusers keeps it", ["examples/models/tini"] = 'did you mean "examples/models/tiny"?' } do
    local done = ends(2, place.check(text:format(base)))
    check.contains(done.text, hint)
    check.ok(not done.text:find "lacks", done.text)
  end
end)

test("a number that stands for one of several options is told by the name that was written", function()
  local place = new()
  local done = ends(2, place.check(([[images "@/photos" :caption { with = template {}, trigger = "zkr" }
  :train_lora { base = "%s", resolution = 16, lr = 10 } :export { to = "@/x.safetensors" }]]):format(BASE)))
  check.contains(done.text, "option 'lr' of :train_lora is 10; it must be 0 to 1")
  check.ok(done.text:find "recipe.lua:2:%d%d" and not done.text:find "unet", done.text)
end)

-- Help ------------------------------------------------------------------------------------------------------------------

test("help of a command has its options; only what is there and told of is suggested", function()
  local place = new(0)
  local text = shell(place, "calotype check --help")
  check.ok(text:find "^calotype check FILE\n" and text:find "-p NAME=VALUE" and not text:find "--fresh", text)
  check.contains(shell(place, "calotype run --help"), "--fresh")
  check.contains(shell(place, "calotype show --help"), "--all")
  local all = shell(place, "calotype --help")
  for _, part in ipairs { "-V, --version", "-h, --help", "calotype < hall.lua", "2 not begun" } do check.contains(all, part) end
  local exit
  text, exit = shell(place, "calotype -x")
  check.equal(exit, 2)
  check.equal(text, "error: unknown option '-x'\n     = calotype help lists what there is\n")
  check.contains(shell(place, "calotype --hlep"), "did you mean '--help'?")
end)

test("help is understood at the prompt as it is typed", function()
  local place = new(0)
  for _, line in ipairs { "help reject", "?reject", 'help("reject")', "help :reject", "help 'reject'" } do
    place.write("lines", line .. "\n")
    check.contains(shell(place, "calotype repl <lines"), "images:reject { side_below")
  end
  for _, line in ipairs { "help", "help()", "?" } do
    place.write("lines", line .. "\n")
    check.contains(shell(place, "calotype repl <lines"), "A recipe is: images from folders")
  end
  place.write("lines", "help wd15\n")
  check.contains(shell(place, "calotype repl <lines"), "there is no help on 'wd15'; did you mean 'wd14'?")
  place.write("lines", "helper = 3\nhelper\nhelp = 4\nhelp + 1\n")
  check.contains(shell(place, "calotype repl <lines"), "3\n5")
end)

test("a question that comes through a pipe is answered as at the prompt, a recipe is run", function()
  local place = new(0)
  local function piped(lines)
    place.write("lines", lines)
    return shell(place, "cat lines | calotype")
  end
  for _, line in ipairs { "?reject", "help reject", 'help("reject")', "\n\t ? reject" } do
    check.contains(piped(line), "images:reject { side_below")
    check.contains(piped(line .. "\n"), "images:reject { side_below")
  end
  for _, name in ipairs { "blip", "wd14", "score" } do check.contains(piped("?" .. name .. "\n"), name .. " { ") end
  check.contains(piped "help", "A recipe is: images from folders")
  check.contains(piped "?take\n?dedupe\n1 + 1\n", "images:take(count")
  check.contains(piped "?take\n?dedupe\n1 + 1\n", "images:dedupe {")
  check.ok(piped("?take\n1 + 1\n"):find "\n2\n$")
  check.equal(piped "print(1 + 1)\n", "2\n")
  check.equal(piped "1 + 1\n":match "^error: [^\n]*", shell(place, "calotype run - <lines"):match "^error: [^\n]*")
  place.write("lines", "?take\n")
  check.contains(shell(place, "calotype run - <lines"), "unexpected symbol near '?'")
end)

on_device("a training that was done again is not called nothing", function()
  local place = new()
  place.write("train.lua", TRAINING)
  local text, exit = shell(place, "calotype train.lua && calotype train.lua && rm -r runs && calotype train.lua")
  check.equal(exit, 0, text)
  check.equal(select(2, text:gsub("\nnothing to do: all 3 outputs are unchanged", "")), 1, text)
  check.contains(text, "\ndone: trained again: all 3 outputs are unchanged")
end)

-- The account -----------------------------------------------------------------------------------------------------------

test("the columns of the account stand under each other whatever letters the names have", function()
  local place = recipes.new(tmp "place")
  local columns = {}
  for _, name in ipairs { "größe", "photos", "eine sehr lange Straße mit Bäumen überall" } do
    fs.make_folder(place.path(name))
    place.write(name .. "/a.png", recipes.picture { seed = 1, width = 40, height = 32 }:encode "png")
    local text = shell(place, ([[echo 'images "%s" :take(1) :sheet { to = "s.png" }' >r.lua && calotype r.lua --fresh]]):format(name))
    for line in text:gmatch "[^\n]+" do
      local before = line:match "^(  images .-  )1 picture" or line:match "^(  take .-  )1 kept"
      if before then columns[#columns + 1] = check.ok(utf8.len(before), line) end
    end
  end
  check.equal(columns, { 28, 28, 28, 28, 28, 28 })
end)

test("a run's first lines are short: the device, then what is run and where its outputs go", function()
  local place = new()
  local text = [[local photos = images "@/photos" :caption { with = template {}, trigger = "zkr" }
photos:sheet { to = "@/out/a/sheet.png" }
photos:export { as = "kohya", to = "@/out/k" }
photos:report { to = "@/out/a/b/r.html" }]]
  local first = ends(0, place.run(text)).log:match "^[^\n]*"
  check.equal(first, "@/recipe.lua   reads @/photos   writes 3 outputs below @/out")
  local said = ends(0, place.info(text)).out
  for _, path in ipairs { "@/out/a/sheet.png", "@/out/k", "@/out/a/b/r.html" } do check.contains(said, path) end
  place.write("two.lua", 'local p = images "photos" p:sheet { to = "a/s.png" } p:sheet { to = "b/s.png" } p:sheet { to = "c.png" }')
  check.contains(shell(place, "calotype two.lua"), "two.lua   reads photos   writes 3 outputs in a, b, c.png")
end)

on_device("a training's first line is the device alone", function()
  local place = new()
  place.write("train.lua", TRAINING)
  local lines = shell(place, "calotype train.lua")
  check.ok(lines:find "^on [^\n]+\ntrain.lua   reads [^\n]+   writes 3 outputs in runs, out, each\n", lines)
end)
