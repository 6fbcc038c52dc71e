-- doctor.lua - `calotype doctor`: what this machine has, what is missing, and the line that gets it.
local log = require "native.log"
local script = require "native.script"
local system = require "native.system"
local window = require "native.window"

local M = {}

local function gb(bytes) return bytes and ("%.1f GB"):format(bytes / 1e9) or "unknown" end

local function rows(out, mark, label, text) out[#out + 1] = ("  %s %-14s %s"):format(mark, label, text) end

local function versions(out)
  local list = script.versions()
  local names = {}
  for name in pairs(list) do names[#names + 1] = name end
  table.sort(names)
  out[#out + 1] = "versions"
  for _, name in ipairs(names) do rows(out, " ", name, list[name]) end
  local minor, patch = list.lua:match "^5%.(%d+)%.(%d+)"
  if tonumber(minor) == 4 and tonumber(patch) < 8 then
    rows(out, "!", "lua", "5.4.8 has fixes for memory errors that a hostile script may use; recipes of strangers want it")
  end
end

local function libraries(out)
  out[#out + 1] = "libraries, opened when they are needed"
  local missing = {}
  for _, library in ipairs(system.libraries()) do
    rows(out, library.found and "+" or "-", library.title, library.found and "opens" or library.message)
    if not library.found then missing[#missing + 1] = library.package end
  end
  return missing
end

local function devices(out)
  out[#out + 1] = "OpenCL devices"
  local list, message = system.devices()
  if not list then
    rows(out, "-", "none", message)
    return false
  end
  for _, device in ipairs(list) do
    rows(out, "+", device.kind, ("%s   (%s)"):format(device.name, device.platform))
    rows(out, " ", "", ("%d compute units, %s, largest buffer %s, f16 %s, %s"):format(device.compute_units, gb(device.memory),
      gb(device.largest_buffer), device.half and "yes" or "no", device.c_version))
  end
  return true
end

-- A font is known by its file's name: none is opened here.
local CJK = { "CJK", "wqy%-", "DroidSansFallback", "PingFang", "Hiragino", "AppleSDGothic" }

local function fonts(out)
  local list, message = window.fonts()
  if not list then return rows(out, "-", "fonts", message) end
  if #list == 0 then return rows(out, " ", "fonts", "none: the window has plain letters only; on Debian: apt-get install fonts-dejavu-core") end
  rows(out, "+", "fonts", ("%s%s"):format(list[1]:match "[^/]*$", #list > 1 and (", and %d more"):format(#list - 1) or ""))
  for _, path in ipairs(list) do for _, name in ipairs(CJK) do if path:find(name) then return end end end
  rows(out, " ", "", "none for Chinese, Japanese and Korean; on Debian: apt-get install fonts-noto-cjk")
end

local function machine(out)
  local list, columns = system.machine(), log.terminal()
  out[#out + 1] = "machine"
  rows(out, " ", "threads", ("%d   (CALOTYPE_THREADS changes that)"):format(list.threads))
  rows(out, " ", "memory", ("%s, %s unused"):format(gb(list.memory), gb(list.free_memory)))
  rows(out, " ", "terminal", columns and ("%d columns"):format(columns) or "none: output goes to a file or a pipe")
  local display, why = window.display()
  rows(out, display and "+" or " ", "display", display and "a window opens" or why)
  fonts(out)
  local store = script.env "CALOTYPE_STORE" or ".calotype"
  local writable = system.writable(store)
  rows(out, writable and "+" or "-", "store", store .. (writable and " can be written" or " cannot be written: CALOTYPE_STORE names another folder"))
  return writable
end

--- Print the findings; 0 when calotype can work here: an OpenCL device, pictures can be decoded, the store can be written.
---@param put fun(text: string)
---@return integer exit
function M.run(put)
  local out = {}
  versions(out)
  local missing = libraries(out)
  local device = devices(out)
  local writable = machine(out)
  for _, line in ipairs(out) do put(line) end
  if #missing > 0 then put(("missing: on Debian, apt-get install %s"):format(table.concat(missing, " "))) end
  local pictures = true
  for _, package in ipairs(missing) do if package == "libsdl2-2.0-0" or package:find "sdl2%-image" then pictures = false end end
  if device and writable and pictures then
    put "calotype can work here"
    return 0
  end
  log.say("error", "calotype cannot work here yet: see the lines that begin with -")
  return 1
end

return M
