-- recipes.lua - what the tests of the language share: pictures made on the spot, and recipes run from text.
--
--   local recipes = dofile "tests/recipes.lua"
--   local place = recipes.new(tmp "x")                        -- a folder with photos/, out/ and its own store
--   place.photo("a.png", { seed = 1, width = 640, height = 480 })
--   local done = place.run [[images "@/photos":sheet { to = "@/out/sheet.png" }]]     -- @ is the place's folder
--   done.exit, done.text, done.log
local command = require "recipe.command"
local fs = require "native.fs"
local hash = require "native.hash"
local image = require "native.image"
local script = require "native.script"

local M = {}

--- Soft coloured patches: another seed, another picture to every hash. `cells` more than 8 makes it sharper.
function M.picture(options)
  local n, random = options.cells or 8, hash.random(options.seed or 1)
  local small = image.new(n, n)
  for y = 0, n - 1 do for x = 0, n - 1 do small:set(x, y, { random:below(256), random:below(256), random:below(256) }) end end
  return small:resize(options.width or 640, options.height or 480, options.filter or "bilinear")
end

function M.new(folder)
  local place = { folder = folder, serial = 0 }
  fs.make_folder(folder .. "/photos")

  function place.path(name) return folder .. "/" .. name end

  function place.write(name, bytes) assert(fs.write(folder .. "/" .. name, bytes)) end

  function place.read(name) return fs.read(folder .. "/" .. name) end

  function place.photo(name, options)
    local format = name:find "%.jpe?g$" and "jpeg" or "png"
    place.write("photos/" .. name, M.picture(options or {}):encode(format))
  end

  -- what: run, check, info or plan; `more` goes to the command (params, fresh). A check has a minute instead of two seconds of the clock, which
  -- tests side by side may use up; hasty: two.
  local function go(what, text, more)
    place.serial = place.serial + 1
    local file = ("%s/recipe%s.lua"):format(folder, more and more.file or "")
    assert(fs.write(file, (text:gsub("@", folder))))
    local log, printed = {}, {}
    local options = { file = file, store = folder .. "/store" }
    function options.say(line) log[#log + 1] = line end
    function options.put(line) printed[#printed + 1] = line end
    for key, value in pairs(more or {}) do if key ~= "file" and key ~= "hasty" then options[key] = value end end
    local limit = script.limit
    if not (more and more.hasty) then script.limit = function(_, ...) return limit(60, ...) end end
    local ok, result = script.call(what == "plan" and require("recipe.plan").run or command[what], options)
    script.limit = limit
    local function named(shown) return (shown:gsub(folder:gsub("%p", "%%%0"), "@")) end
    if ok then return { exit = result, text = "", log = named(table.concat(log, "\n")), out = named(table.concat(printed, "\n")) } end
    local shown = named(script.render(result))
    return { exit = result.exit, text = shown, log = named(table.concat(log, "\n")), out = named(table.concat(printed, "\n")), fault = result }
  end
  function place.run(text, more) return go("run", text, more) end
  function place.check(text, more) return go("check", text, more) end
  function place.info(text, more) return go("info", text, more) end
  function place.plan(text, more) return go("plan", text, more) end
  return place
end

return M
