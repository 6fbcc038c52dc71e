-- The matcher, format, rep and table functions that recipes get, against the ones Lua brings.
local script = require "native.script"
local hash = require "native.hash"
local safe, stock = script.safe, string

local SEED = 20261121
print("seed " .. SEED)
local random = hash.random(SEED)
local function below(n) return random:below(n) end
local function pick(list) return list[below(#list) + 1] end

local ITEMS = { "a", "b", "c", ".", "%a", "%d", "%s", "%w", "%A", "%x", "%p", "%l", "%u", "%g", "%c", "%z", "%.", "%%", "%-",
  "[ab]", "[^a]", "[a-c]", "[%a-]", "[]]", "[^]]", "[a-]", "[%d%s]", "[^%w]", "\0", "\xff", "-", "$", "^", " ", "1", "[a", "%", "[", "]", "[%" }
local function random_pattern()
  local out, open = {}, 0
  if below(5) == 0 then out[1] = "^" end
  for _ = 1, 1 + below(6) do
    local kind = below(20)
    if kind < 13 then out[#out + 1] = pick(ITEMS) .. pick { "", "", "", "*", "+", "-", "?" }
    elseif kind < 15 then out[#out + 1] = "("; open = open + 1
    elseif kind < 17 and (open > 0 or below(8) == 0) then out[#out + 1] = ")"; open = open - 1
    elseif kind == 17 then out[#out + 1] = pick { "%b()", "%bab", "%baa", "%b", "%ba" }
    elseif kind == 18 then out[#out + 1] = pick { "%f[%w]", "%f[a]", "%f[^a]", "%f[%z]", "%f", "%fa", "%f[" }
    else out[#out + 1] = pick { "%1", "%2", "%0", "()", "$", "%9" } end
  end
  while open > 0 and below(12) > 0 do out[#out + 1] = ")"; open = open - 1 end
  return table.concat(out)
end

local LETTERS = { "a", "a", "b", "c", "ab", "(", ")", " ", "1", "A", ".", "-", "%", "]", "\0", "\xff", "\n", "aab", "z" }
local function random_text()
  local out = {}
  for i = 1, below(14) do out[i] = pick(LETTERS) end
  return table.concat(out)
end

-- What a call gives, errors without the place where they were raised.
local function outcome(fn, ...)
  local got = table.pack(pcall(fn, ...))
  if not got[1] then got[2] = stock.gsub(tostring(got[2]), "^[^ ]*:%d+: ", "") end
  return got
end

local function compare(name, ...)
  local ours, theirs = outcome(safe.string[name], ...), outcome(stock[name], ...)
  if type(ours[2]) == "string" and not ours[1] then
    ours[2] = stock.gsub(ours[2], " in replacement string$", "")
    theirs[2] = stock.gsub(theirs[2], " in replacement string$", "")
  end
  local args = {}
  for i, value in ipairs { ... } do args[i] = stock.format(type(value) == "string" and "%q" or "%s", value) end
  check.equal(ours, theirs, name .. "(" .. table.concat(args, ", ") .. ")")
end

test("find and match give what Lua's give, over random patterns and texts", function()
  for _ = 1, 12000 do
    local text, pattern = random_text(), random_pattern()
    local from = below(3) == 0 and below(20) - 10 or nil
    compare("find", text, pattern, from)
    compare("match", text, pattern, from)
  end
end)

test("a plain find gives what Lua's gives", function()
  for _ = 1, 2000 do compare("find", random_text(), random_text():sub(1, 3), below(12) - 4, true) end
end)

local function collect(fn)
  return function(...)
    local out = {}
    for a, b, c in fn(...) do out[#out + 1] = { a, b, c } end
    return out
  end
end

test("gmatch gives what Lua's gives", function()
  for _ = 1, 4000 do
    local text, pattern, from = random_text(), random_pattern(), below(4) == 0 and below(9) - 4 or nil
    check.equal(outcome(collect(safe.string.gmatch), text, pattern, from), outcome(collect(stock.gmatch), text, pattern, from),
      stock.format("gmatch(%q, %q)", text, pattern))
  end
end)

test("gsub gives what Lua's gives, with texts, tables and functions", function()
  local calls
  local function replace(...)
    calls[#calls + 1] = { ... }
    return pick { nil, false, "x", 12, "" }
  end
  local map = { a = "A", b = 1, ab = false, c = "%1" }
  for _ = 1, 6000 do
    local text, pattern, most = random_text(), random_pattern(), below(3) == 0 and below(4) - 1 or nil
    compare("gsub", text, pattern, pick { "x", "%0%0", "%1", "<%2>", "%%", "%", "%a", "", "%1%1" }, most)
    compare("gsub", text, pattern, map, most)
  end
  for i = 1, 2000 do
    local text, pattern = random_text(), random_pattern()
    local results = {}
    for k, gsub in ipairs { safe.string.gsub, stock.gsub } do
      random, calls = hash.random(i), {}
      results[k] = { outcome(gsub, text, pattern, replace), calls }
    end
    check.equal(results[1], results[2], stock.format("gsub(%q, %q, f)", text, pattern))
  end
  random = hash.random(SEED)
  check.fails("invalid replacement value (a table)", safe.string.gsub, "a", "a", function() return {} end)
  check.fails("string/function/table expected", safe.string.gsub, "a", "a", true)
end)

test("format gives what Lua's gives", function()
  local values = { 0, 1, -1, 255, 1 / 3, -2.5, 1e100, 1e308, math.huge, -math.huge, math.mininteger, "text", "", "two\nlines\0\r\1271\1a\"\\" }
  for _ = 1, 6000 do
    local item = "%" .. pick { "", "", "-", "+", " ", "#", "0", "-0", "+ " } .. pick { "", "", "5", "12", "99", "05" }
      .. pick { "", "", ".0", ".3", ".12", ".99", "." } .. pick { "d", "i", "u", "c", "x", "X", "o", "e", "E", "f", "g", "G", "a", "A", "s", "q" }
    local value = pick(values)
    local ours, theirs = outcome(safe.string.format, "<" .. item .. ">", value), outcome(stock.format, "<" .. item .. ">", value)
    if theirs[1] or ours[1] then check.equal(ours, theirs, item .. " of " .. tostring(value)) end
  end
  for _, value in ipairs { 1, 0.1, 1e15, -0.0, math.mininteger, math.huge, true, false, "a\0001" } do
    check.equal(safe.string.format("%q %s", value, value), stock.format("%q %s", value, value))
  end
  check.equal(safe.string.format("%q", 0 / 0), "(0/0)")
  check.equal(safe.string.format("%5s|%%|%.2s", "a", "bcd"), "    a|%|bc")
end)

test("format refuses addresses, wide items and missing arguments", function()
  check.fails("invalid conversion '%p'", safe.string.format, "%p", {})
  check.fails("invalid conversion '%100", safe.string.format, "%100d", 1)
  check.fails("invalid conversion", safe.string.format, "%1.100f", 1)
  check.fails("invalid conversion", safe.string.format, "%F", 1)
  check.fails("invalid conversion", safe.string.format, "%")
  check.fails("invalid conversion", safe.string.format, "%" .. ("-"):rep(60) .. "d", 1)
  check.fails("no value", safe.string.format, "%d")
  check.fails("string contains zeros", safe.string.format, "%3s", "a\0b")
  check.equal(safe.string.format("%s %s %s", {}, print, coroutine.create(print)), "table function thread")
end)

test("rep gives what Lua's gives", function()
  for _ = 1, 500 do compare("rep", random_text(), below(9) - 1, pick { nil, "", ",", "--" }) end
end)

test("a pattern has its budget", function()
  check.fails("too costly", safe.string.match, ("a"):rep(200000), ".-b")
  check.fails("too costly", safe.string.find, ("a"):rep(40), ("a?"):rep(40) .. ("a"):rep(40) .. "b")
  check.fails("too costly", safe.string.gsub, ("a"):rep(3000), "(.-).-.-b", "")
  check.fails("pattern too complex", safe.string.match, ("a"):rep(300), ("a?"):rep(300))
  check.fails("too many captures", safe.string.match, "a", ("()"):rep(33))
end)

test("honest work on long texts stays within the budget", function()
  local text = ("some words, and a number 42;\n"):rep(20000)
  check.equal(select(2, safe.string.gsub(text, "%d+", "<%0>")), 20000)
  check.equal(select(2, safe.string.gsub(text, "(%a+) (%a+)", "%2 %1")), 40000)
  check.equal(safe.string.find(text .. "!", "!", 1, true), #text + 1)
end)

test("table functions give what Lua's give", function()
  for _ = 1, 3000 do
    local function list()
      local t = {}
      for i = 1, below(7) do t[i] = below(5) end
      return t
    end
    local a = list()
    local b = table.move(a, 1, #a, 1, {})
    local name = pick { "insert", "remove", "move", "concat", "unpack" }
    local args = ({
      insert = { pick { 1, 2, 3, 9 }, "x" }, remove = { pick { 1, 2, 3, 8, nil } },
      move = { below(4), below(7), below(6) }, concat = { ",", below(3), below(7) }, unpack = { below(4), below(6) },
    })[name]
    local ours, theirs = outcome(safe.table[name], a, table.unpack(args)), outcome(table[name], b, table.unpack(args))
    if theirs[1] then check.equal(ours, theirs, name) else check.equal(ours[1], false, name) end
    check.equal(a, b, name)
  end
  check.equal(safe.table.pack(1, nil, 3), table.pack(1, nil, 3))
end)

test("sort orders, keeps equal items in their order, and survives an order that contradicts itself", function()
  for _ = 1, 300 do
    local a, b = {}, {}
    for i = 1, below(200) do a[i] = below(50); b[i] = a[i] end
    safe.table.sort(a)
    table.sort(b)
    check.equal(a, b)
  end
  local rows = {}
  for i = 1, 300 do rows[i] = { key = below(5), place = i } end
  safe.table.sort(rows, function(x, y) return x.key > y.key end)
  for i = 2, #rows do
    local x, y = rows[i - 1], rows[i]
    check.ok(x.key > y.key or (x.key == y.key and x.place < y.place))
  end
  local t = { 3, 1, 2, 5, 4 }
  safe.table.sort(t, function() return true end)
  table.sort(t)
  check.equal(t, { 1, 2, 3, 4, 5 })
  local mixed = { 3, "a", 1 }
  check.fails("attempt to compare", safe.table.sort, mixed)
  check.equal(mixed, { 3, "a", 1 })
end)
