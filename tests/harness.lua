-- harness.lua - what a test file finds as globals.
--
--   test("resize keeps the aspect when one side is 0", function()
--     check.equal(im:width(), 64)
--     check.fails("no such folder", function() return images "nowhere" end)
--   end)
--
-- check.equal compares tables by value. check.refused(message, nil, text, code) is for functions that return
-- nil, message, code. skip(reason) leaves a test. tmp(name) is a fresh path inside this file's folder of the
-- run. How long each test took is told in lines of its own, which run.sh keeps for the list of the slowest.
local log = require "native.log"
local path = ...
local passed, failed, skipped = 0, 0, 0
local SKIP = {}

local function show(value, depth)
  if type(value) == "string" then return string.format("%q", value) end
  if type(value) ~= "table" or (depth or 0) > 3 then return tostring(value) end
  local parts, keys = {}, {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for _, key in ipairs(keys) do
    parts[#parts + 1] = tostring(key) .. " = " .. show(value[key], (depth or 0) + 1)
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function same(a, b)
  if a == b then return true end
  if type(a) ~= "table" or type(b) ~= "table" then return false end
  for key, value in pairs(a) do if not same(value, b[key]) then return false end end
  for key in pairs(b) do if a[key] == nil then return false end end
  return true
end

local check = {}

function check.equal(got, expected, what)
  if not same(got, expected) then
    error(("%sgot %s, expected %s"):format(what and what .. ": " or "", show(got), show(expected)), 2)
  end
end

function check.near(got, expected, tolerance, what)
  if type(got) ~= "number" or not (math.abs(got - expected) <= tolerance) then -- luacheck: ignore 581 (NaN)
    error(("%sgot %s, expected %.9g within %g"):format(what and what .. ": " or "", show(got), expected, tolerance), 2)
  end
end

function check.ok(value, message)
  if not value then error(message or "not so", 2) end
  return value
end

-- `part` is plain text, found anywhere in the text.
function check.contains(text, part)
  if not tostring(text):find(part, 1, true) then error(("%s does not contain %q"):format(show(text), part), 2) end
end

function check.fails(part, fn, ...)
  local ok, message = pcall(fn, ...)
  if ok then error(("no error; expected one with %q"):format(part), 2) end
  if not tostring(message):find(part, 1, true) then
    error(("the error is %q; expected one with %q"):format(tostring(message), part), 2)
  end
  return message
end

function check.refused(part, value, message, code)
  if value ~= nil then error("not refused: got " .. show(value), 2) end
  if type(message) ~= "string" or not message:find(part, 1, true) then
    error(("refused with %s; expected %q"):format(show(message), part), 2)
  end
  if type(code) ~= "string" then error("a refusal has a code as its third value", 2) end
  return code
end

if os.getenv "CALOTYPE_GC_STRESS" then collectgarbage("incremental", 1, 1000, 1) end -- a cycle at nearly every allocation

-- Run by hand, a file has a folder of its own, too: beside another at the same moment it would find its pictures drawn anew.
local scratch = os.getenv "CALOTYPE_TEST_TMP"
if not scratch then
  scratch = os.tmpname() .. ".d"
  os.remove(scratch:sub(1, -3))
  os.execute("mkdir " .. scratch)
end
local serial = 0

local environment = setmetatable({
  check = check,
  skip = function(reason) error({ SKIP, reason }, 0) end,
  tmp = function(name)
    serial = serial + 1
    return ("%s/%d-%s"):format(scratch, serial, name or "file")
  end,
}, { __index = _G })

function environment.test(name, fn)
  collectgarbage() -- what the last test dropped is finalised here, not in the middle of the next
  local began = log.clock()
  local ok, message = xpcall(fn, function(e)
    if type(e) == "table" then return e end
    return debug.traceback(tostring(e), 2)
  end)
  print(("took %.3f %s"):format(log.clock() - began, name))
  if ok then
    passed = passed + 1
  elseif type(message) == "table" and message[1] == SKIP then
    skipped = skipped + 1
    print(("skip %s: %s"):format(name, message[2]))
  else
    failed = failed + 1
    local text = type(message) == "table" and show(message) or tostring(message)
    print(("FAILED %s\n  %s"):format(name, (text:gsub("\n", "\n  "))))
  end
end

local chunk, syntax = loadfile(path, "t", environment)
if not chunk then error(syntax, 0) end
chunk()
print(("counts %d %d %d"):format(passed, failed, skipped))
return failed == 0
