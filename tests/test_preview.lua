-- :preview and preview(x): what is kept for the window, what is said where there is none, and a window that follows.
local buckets = require "recipe.buckets"
local command = require "recipe.command"
local dataset = require "native.dataset"
local json = require "native.json"
local preview = require "window.preview"
local project = require "window.project"
local recipes = dofile "tests/recipes.lua"
local script = require "native.script"
local stores = require "native.store"

local BASE = "tests/golden/tiny"
local program = (os.getenv "BUILD" or "build/release") .. "/calotype"

local function place_with(name)
  local place = recipes.new(tmp(name))
  place.photo("a.png", { seed = 1, width = 640, height = 480 })
  place.photo("b.png", { seed = 2, width = 480, height = 720 })
  place.photo("small.png", { seed = 3, width = 100, height = 90 })
  return place
end

local RECIPE = [[
local all = images "@/photos" :reject { side_below = 200 } :bucket { resolution = 512 }
  :caption { trigger = "zkr", with = template { text = "a photo of {stem}" } }
all:preview {%s}
]]

-- What a run kept for the window.
local function kept(place, name)
  local store <close> = check.ok(stores.open(place.path "store"))
  local text = preview.text(store, name or place.path "recipe")
  return text and json.decode(text)
end

local function by_name(view)
  local out = {}
  for _, row in ipairs(view.pictures) do out[row.path:match "[^/]+$"] = row end
  return out
end

test("the middle of a picture is what a bucket takes of it, in its own pixels and never beyond its border", function()
  local list = check.ok(dataset.buckets { resolution = 512, min = 256, max = 1024, step = 64 })
  check.equal(buckets.crop(640, 480, { width = 512, height = 512, scale_width = 683, scale_height = 512, crop_x = 85, crop_y = 0 }),
    { x = 80, y = 0, width = 479, height = 480 })
  for width = 1, 1500, 131 do
    for height = 1, 1500, 97 do
      local bucket = dataset.bucket(width, height, list)
      local crop = buckets.crop(width, height, bucket)
      check.ok(crop.x >= 0 and crop.y >= 0 and crop.width >= 1 and crop.height >= 1)
      check.ok(crop.x + crop.width <= width and crop.y + crop.height <= height)
      local function middle(side, from, taken, scaled) return math.abs(side - taken - 2 * from) <= 2 * math.ceil(side / scaled) end
      check.ok(middle(width, crop.x, crop.width, bucket.scale_width) and middle(height, crop.y, crop.height, bucket.scale_height), "in the middle")
    end
  end
end)

test("a preview keeps captions as they go out, buckets, crops, and why a picture went; the run goes on", function()
  local place = place_with "kept"
  local done = place.run(RECIPE:format "" .. 'all:sheet { to = "@/out/s.png" }')
  check.equal(done.exit, 0, done.text)
  check.contains(done.log, "CALOTYPE_WINDOW=no: no window is opened")
  check.ok(place.read "out/s.png")
  local view = kept(place)
  local rows = by_name(view)
  check.equal({ view.calotype, view.version, #view.pictures }, { "view", 1, 3 })
  check.equal({ rows["a.png"].caption, rows["a.png"].trigger, rows["a.png"].width }, { "zkr, a photo of a", "zkr", 640 })
  check.equal(rows["b.png"].bucket, { width = 384, height = 640 })
  check.equal(rows["b.png"].crop, { x = 24, y = 0, width = 431, height = 720 })
  check.equal({ rows["small.png"].verb, rows["small.png"].crop }, { "reject" })
  check.contains(rows["small.png"].rejected, "side")
  place.run(RECIPE:format "rejected = false, title = \"Hall\"")
  view = kept(place)
  check.equal({ view.title, #view.pictures }, { "Hall", 2 })
end)

test("without a bucket the pictures have that of the training that follows; two previews of a recipe are two", function()
  local place = place_with "trained"
  local done = place.plan(([[local all = images "@/photos" :caption { with = template { text = "x" } }
    all:preview {} all:take(1):preview {}
    all:train_lora { base = "%s", resolution = 64, steps = 1, checkpoint = { to = "@/c" } } :samples { prompts = { "x" }, to = "@/g.png" } ]]):format(BASE))
  check.equal(done.exit, 0, done.text)
  check.contains(done.out, "would be shown in a window")
  check.equal(kept(place), nil)
  local p = check.ok(project.open(place.path "recipe.lua", { store = place.path "store" }))
  local item = p.items[1]
  check.equal({ item.bucket.width % 8, item.bucket.width * item.bucket.height <= 64 * 64, item.crop ~= nil }, { 0, true, true })
  p:close()
  done = place.run [[local all = images "@/photos" all:preview {} all:take(1):preview { rejected = false }]]
  check.equal(done.exit, 0, done.text)
  check.equal({ #kept(place).pictures, #kept(place, place.path "recipe 2").pictures }, { 3, 1 })
end)

test("what was previewed opens as a project, follows what is previewed next, and keeps who is chosen", function()
  local place = place_with "follow"
  place.run(RECIPE:format "")
  local name = preview.PREFIX .. place.path "recipe"
  local p = check.ok(project.open(name, { store = place.path "store" }))
  check.equal({ p.kind, #p.items, p.items[1].out, p.items[3].reject.by }, { "view", 3, "zkr, a photo of a", "reject" })
  check.equal(p.items[2].crop, { x = 24, y = 0, width = 431, height = 720 })
  local first = p.items[1]
  p:select(first, "only")
  check.equal(preview.follow(p, 10), false)
  place.run((RECIPE:format "":gsub("a photo of", "a view of"):gsub("resolution = 512", "resolution = 256, min = 128"):gsub("below = 200", "below = 50")))
  check.equal(preview.follow(p, 10.5), false) -- it looks once a second
  check.equal(preview.follow(p, 11.1), true)
  check.equal({ p.items[1] == first, first.out, p.selected[first], p.items[3].reject }, { true, "zkr, a view of a", true })
  check.equal(p.items[2].bucket, { width = 192, height = 320 })
  check.equal(preview.follow(p, 13), false)
  p.store:put("preview", p.preview, "{") -- a damaged one: said once, what is shown stays
  p.store:put("preview stamp", p.preview, "other")
  check.equal({ preview.follow(p, 15), #p:told() > 0, #p.items }, { false, true, 3 })
  check.equal({ preview.follow(p, 17), #p:told() }, { false, 0 })
  preview.gone(p)
  check.equal(p.store:get("preview window", p.preview), "0")
  p:close()
  check.equal(check.refused("nothing was previewed as none", project.open(preview.PREFIX .. "none", { store = place.path "store" })), "NOTFOUND")
end)

test("a window that says it is there is not opened again; one that was silent for long is", function()
  local place = place_with "open"
  local store <close> = check.ok(stores.open(place.path "store"))
  store:put("preview window", "x", tostring(os.time()))
  local env = script.env
  script.env = function(key) if key ~= "CALOTYPE_WINDOW" then return env(key) end end
  local window = require "native.window"
  local display, asked = window.display, 0
  window.display = function()
    asked = asked + 1
    return nil, "there is no display", "MISSING"
  end
  local _ <close> = setmetatable({}, { __close = function() script.env, window.display = env, display end })
  check.equal(preview.show(place.path "store", store, "x"), "open")
  store:put("preview window", "x", tostring(os.time() - 60))
  check.refused("there is no display", preview.show(place.path "store", store, "x"))
  store:put("preview window", "x", "0")
  check.refused("there is no display", preview.show(place.path "store", store, "x"))
  check.equal(asked, 2)
end)

test("without a display it is one sentence, with what can be done instead, and the run ends as it would", function()
  local place = place_with "dark"
  place.write("dark.lua", 'images "photos":preview {}')
  local out = io.popen(("cd '%s' && env -u DISPLAY -u WAYLAND_DISPLAY -u CALOTYPE_WINDOW CALOTYPE_STORE=store '%s/%s' dark.lua 2>&1; echo rc $?"):format(
    place.folder, os.getenv "PWD", program))
  local said = out:read "a"
  out:close()
  if said:find "SDL2" then skip "SDL2 is not installed" end
  check.contains(said, "there is no display")
  check.contains(said, ":sheet")
  check.contains(said, "rc 0")
end)

test("preview(x) is for the prompt; what is no set says what is", function()
  local place = place_with "prompt"
  local said = {}
  local env = command.repl_env { store = place.path "store", say = function(line) said[#said + 1] = line end }
  local function at_prompt(text) return script.call(check.ok(script.load((text:gsub("@", place.folder)), "@prompt", env))) end
  check.ok(at_prompt 'x = images "@/photos" :take(2) preview(x)')
  check.contains(table.concat(said, "\n"), "preview")
  local ok, fault = at_prompt 'preview("photos")'
  check.equal(ok, false)
  check.contains(script.render(fault), 'preview(images "photos")')
  ok, fault = at_prompt "preview()"
  check.equal(ok, false)
  check.contains(script.render(fault), "takes a set of pictures, not nothing")
  local done = place.run 'preview(images "@/photos")'
  check.equal(done.exit, 2)
  check.contains(done.text, "photos:preview {}")
  done = place.run 'images "@/photos":preview { to = "x" }'
  check.contains(done.text, "to")
  check.equal(done.exit, 2)
end)

-- Which process a detached window is only the system knows: the one that has these words, in this folder. Sends `signal` (0: only looks), and
-- says whether there was one.
local function window_of(folder, signal)
  return (os.execute(([[exec 2>/dev/null; found=1; for of in /proc/[0-9]*; do
    case $(tr '\0' ' ' <"$of/cmdline") in *'view preview:child ')
      [ "$(readlink "$of/cwd")" != '%s' ] || { kill -%s "${of#/proc/}"; found=0; } ;; esac
  done; exit $found]]):format(folder, signal)))
end

-- However the test ends, the window that it began ends, too.
local function ended(folder)
  local limit = os.time() + 10
  window_of(folder, "INT")
  while window_of(folder, 0) and os.time() < limit do os.execute "sleep 0.05" end
  window_of(folder, "KILL")
end

test("the window is a process of its own: a run opens one, the next run shows in that one, and its end is noticed", function()
  local there = io.popen(program .. " help view 2>&1")
  local known = there:read "a"
  there:close()
  if not known:find "calotype view" then skip "there is no calotype view here" end
  local place = place_with "child"
  place.write("child.lua", 'images "photos":preview {}')
  local _ <close> = setmetatable({}, { __close = function() ended(place.folder) end })
  local store <close> = check.ok(stores.open(place.path "store"))
  -- SDL's dummy driver is read from the environment once, by the child alone
  local run = ("cd '%s' && env SDL_VIDEODRIVER=dummy CALOTYPE_WINDOW= CALOTYPE_STORE=store '%s/%s' child.lua 2>&1; echo rc $?"):format(place.folder,
    os.getenv "PWD", program)
  local function said()
    local pipe = io.popen(run)
    local text = pipe:read "a"
    pipe:close()
    return text
  end
  local first = said()
  if first:find "SDL2" then skip "SDL2 is not installed" end
  check.contains(first, "a window opens")
  check.contains(first, "rc 0")
  local limit = os.time() + 60
  while not store:get("preview window", "child") and os.time() < limit do os.execute "sleep 0.05" end
  check.ok(store:get("preview window", "child"), "the window says that it is there")
  check.contains(said(), "the open window shows them")
  window_of(place.folder, "INT")
  limit = os.time() + 60
  while store:get("preview window", "child") ~= "0" and os.time() < limit do os.execute "sleep 0.05" end
  check.equal(store:get("preview window", "child"), "0")
end)
