-- window.lua FOLDER - the window over many pictures, timed: opened, painted, scrolled. Run by window.sh.
local window = dofile "tests/window.lua"
local log = require "native.log"
local fs = require "native.fs"

local folder = assert(os.getenv "BENCH_FOLDER")

local function memory(name)
  local kb = fs.read("/proc/self/status"):match(name .. ":%s+(%d+) kB")
  return tonumber(kb) / 1024
end

-- Milliseconds that this thread had a processor for, whatever else the machine does.
local function worked() return tonumber(fs.read("/proc/self/schedstat"):match "^%d+") / 1e6 end

local function quantiles(list)
  table.sort(list)
  return ("median %.1f ms, 95 of 100 below %.1f, the longest %.1f"):format(list[#list // 2 + 1], list[math.ceil(#list * 0.95)], list[#list])
end

test("bench", function() -- luacheck: ignore 113
  local start = log.clock()
  local view <close> = window.open(folder, { width = 1280, height = 800 })
  local painted = log.clock() - start
  while next(view.pictures.asked) do view:turn(0.001) end
  local filled = log.clock() - start
  print(("open: %d pictures, first painted grid after %.2f s, its %d thumbnails after %.2f s"):format(#view.project.items, painted, #view.visible, filled))

  local function scroll(name, turns, by)
    local walls, works, textures, thumbs = {}, {}, 0, 0
    window.mouse(view, "move", 200, 300)
    for _ = 1, turns do
      view.window:push { kind = "mouse", what = "wheel", x = 200, y = 300, dy = -by }
      local t, w = log.clock(), worked()
      view:turn(0)
      walls[#walls + 1], works[#works + 1] = (log.clock() - t) * 1e3, worked() - w
      textures = math.max(textures, view.pictures.bytes)
      for _, item in ipairs(view.visible) do if not view.pictures:thumb(item) then thumbs = thumbs + 1 end end
      view.window:event(math.max(1 / 60 - (log.clock() - t), 0))
    end
    print(("%s: a turn of the loop (events, model, all painted by the %s renderer):"):format(name, view.window:renderer()))
    print("  by the clock: " .. quantiles(walls))
    print("  of processor: " .. quantiles(works))
    print(("  textures at most %d MB; places without their thumbnail yet: %.1f a turn"):format(textures >> 20, thumbs / turns))
  end
  scroll("scrolling, a row in 2 clicks", 600, 1)
  scroll("scrolling fast, 5 clicks at a time", 600, 5)
  print(("memory: %.0f MB now, %.0f MB at most; Lua %.0f MB"):format(memory "VmRSS", memory "VmHWM", collectgarbage "count" / 1024))
end)
