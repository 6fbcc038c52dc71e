-- The attacks that other Lua sandboxes fell to, each with the answer it must get, each soon.
local script = require "native.script"
local safe = script.safe
-- The checkers' build is slower, and so is a collection at every allocation.
local SLOWER = (os.getenv "CALOTYPE_GC_STRESS" or (os.getenv "BUILD" or ""):find("asan", 1, true)) and 6 or 1

local function globals()
  local env = {}
  for name, value in pairs(safe) do env[name] = value end
  env._G = env
  return env
end

-- Runs a recipe's text for at most `seconds`; gives its result or the error as text. The limit is generous where another
-- error than "took longer" must come: a busy machine is no failure. What counts is the processor time.
local function attack(text, seconds)
  local start = os.clock()
  local ok, value = script.call(script.limit, (seconds or 30) * SLOWER, assert(script.load(text, "attack.lua", globals())))
  local spent = os.clock() - start
  check.ok(spent < 20 * SLOWER, ("took %.2f s of processor time"):format(spent))
  if ok then return value end
  return nil, value.message
end

local function refused(part, text, seconds)
  local value, message = attack(text, seconds)
  check.equal(value, nil)
  check.contains(message, part)
end

local function stopped(text) refused("took longer than", text, 0.3) end

test("what is absent is absent", function()
  for _, name in ipairs { "io", "package", "debug", "dofile", "loadfile", "collectgarbage", "warn", "require" } do
    check.equal(attack("return " .. name), nil)
  end
  for _, name in ipairs { "execute", "exit", "getenv", "remove", "rename", "tmpname", "setlocale", "difftime" } do
    check.equal(attack("return os." .. name), nil)
  end
  check.equal(attack "return string.dump or ('').dump or string.pack or ('').unpack", nil)
end)

test("bytecode does not load, whatever the mode says", function()
  local code = string.format("%q", string.dump(function() return 1 end))
  for _, mode in ipairs { "nil", "'b'", "'bt'", "'t'" } do
    local ok, message = attack("local f, e = load(" .. code .. ", 'x', " .. mode .. ") return f == nil and e")
    check.ok(type(ok) == "string", message)
  end
  check.equal(attack("return (load(function() return " .. code .. " end))"), nil)
end)

test("load sees the globals of the recipe and not the host's", function()
  check.equal(attack "return load('return io')()", nil)
  check.equal(attack "x = 5 return load('return x')()", 5)
  check.equal(attack "x = 5 local ok, f = pcall(load, 'return x') return f()", 5)
  check.equal(attack "return load('return x', 'n', 't', { x = 7 })()", 7)
  check.equal(attack "x = 1 return load('local a = ...; x = a; return x')(3) + x", 6)
  check.equal(attack "local p = { 'return ', '4' } local i = 0 return load(function() i = i + 1 return p[i] end)()", 4)
  check.equal(attack "local f, e = load('x = = 1', '@/etc/passwd') return e", "load /etc/passwd:1: unexpected symbol near '='")
  refused("more than 1048576 bytes", "return load(function() return ('x'):rep(1000) end)")
  refused("reader function must return a string", "return load(function() return {} end)")
end)

test("libraries cannot be changed, by assignment, rawset, table functions or their metatables", function()
  refused("read-only: 'rep'", "string.rep = nil")
  refused("read-only: 'x'", "math.x = 1")
  refused("read-only: 'rep'", "rawset(string, 'rep', print)")
  refused("read-only", "table.insert(string, 1)")
  refused("read-only", "table.move({ 1 }, 1, 1, 1, table)")
  refused("protected metatable", "setmetatable(string, {})")
  check.equal(attack "return getmetatable(string)", false)
  check.equal(attack "local t for k, v in pairs(string) do t = v end return type(t)", "function")
  check.equal(attack "local f, t = pairs(string) t.rep = 1", nil)
  check.equal(attack "return next(string)", nil)
end)

test("the metatable of strings is out of reach, and its methods are the safe ones", function()
  check.equal(attack "return getmetatable('')", nil)
  check.equal(attack "return ('').dump", nil)
  check.equal(attack "return ('').format == string.format and ('').rep == string.rep", true)
  check.equal(attack "return '10' + 5", 15)
  check.equal(debug.getmetatable("").__metatable, false)
end)

test("no finalizer, not even a placeholder for one", function()
  refused("__gc is not for scripts", "setmetatable({}, { __gc = function() while true do end end })")
  refused("__gc is not for scripts", "setmetatable({}, { __gc = false })")
  refused("__gc is not for scripts", "setmetatable({}, { __gc = true })")
  check.equal(attack([[
    local ran = false
    local mt = {}
    local t = setmetatable({}, mt)
    mt.__gc = function() ran = true end
    t = nil
    for i = 1, 1e4 do local _ = { i } end
    return ran]], 20), false)
  check.equal(attack([[
    local ran = false
    local t = setmetatable({}, setmetatable({}, { __index = { __gc = function() ran = true end } }))
    t = nil
    for i = 1, 1e4 do local _ = { i } end
    return ran]], 20), false)
end)

test("metatables keep working for everything else", function()
  check.equal(attack "return setmetatable({}, { __index = { a = 1 } }).a", 1)
  check.equal(attack "return getmetatable(setmetatable({}, { __metatable = 'x' }))", "x")
  refused("cannot change a protected metatable", "setmetatable(setmetatable({}, { __metatable = 1 }), {})")
  refused("nil or table expected", "setmetatable({}, 1)")
  check.equal(attack "return tostring(setmetatable({}, { __tostring = function() return 'me' end }))", "me")
  refused("'__tostring' must return a string", "return tostring(setmetatable({}, { __tostring = function() return {} end }))")
end)

test("no address is shown", function()
  for _, text in ipairs { "tostring({})", "tostring(print)", "tostring(coroutine.create(print))", "('%s'):format({})",
    "tostring(setmetatable({}, {}))", "select(2, pcall(error, {}))", "select(2, pcall(function() return {} .. '' end))",
    "select(2, pcall(string.rep, {}, print))", "select(2, pcall(ipairs))" } do
    local shown = attack("return tostring(" .. text .. ")")
    check.equal(type(shown), "string")
    check.equal(string.find(shown, "0x%x%x%x"), nil, text .. " gives " .. shown)
  end
  check.equal(attack "return tostring(setmetatable({}, { __name = 'thing' }))", "thing")
end)

test("a long text is refused before it is made", function()
  refused("more than a script may hold", "return ('x'):rep(1 << 40)")
  refused("more than a script may hold", "return ('x'):rep(1 << 62, 'yy')")
  check.equal(attack "return string.rep('', 1 << 62)", "")
  check.equal(attack "return #('x'):rep(1000, ', ')", 2998)
end)

test("a length that a table only claims is not believed", function()
  local liar = "local t = setmetatable({}, { __len = function() return 1 << 60 end }) "
  refused("too large", liar .. "table.insert(t, 1, 1)")
  refused("too large", liar .. "table.remove(t, 1)")
  refused("too large", liar .. "return table.concat(t)")
  refused("array too big", liar .. "table.sort(t)")
  refused("too many results", liar .. "return table.unpack(t)")
  refused("too large", "table.move({}, 1, 1 << 60, 2)")
  refused("too many elements to move", "table.move({}, math.mininteger, 1, 2)")
  refused("too many results", "return table.unpack({}, 1, 1e8)")
  check.equal(attack(liar .. "table.insert(t, 1) return #t"), 1 << 60)
end)

test("every loop ends when the time is up", function()
  stopped "while true do end"
  stopped "repeat local x = 1 until false"
  stopped "::again:: goto again"
  stopped "for i = 1, math.huge do end"
  stopped "local function f() return f() end f()"
  stopped "while true do pcall(error) end"
  stopped "while true do pcall(function() while true do end end) end"
  stopped "while true do xpcall(error, function() end) end"
end)

test("no handler, protected call or coroutine swallows the stop", function()
  stopped "pcall(function() while true do end end)"
  stopped "xpcall(function() while true do end end, function() while true do end end)"
  stopped "xpcall(error, function() while true do end end)"
  stopped "coroutine.wrap(function() while true do end end)()"
  stopped "local co = coroutine.create(function() pcall(function() while true do end end) end) while true do coroutine.resume(co) end"
  stopped "while true do pcall(coroutine.wrap(function() while true do end end)) end"
  stopped "while true do coroutine.wrap(function() coroutine.yield() end)() end"
  stopped "local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end"
  stopped "local function deep(n) if n == 0 then while true do end end coroutine.wrap(deep)(n - 1) end deep(50)"
  stopped "local x <close> = setmetatable({}, { __close = function() while true do end end })"
  stopped "local x <close> = setmetatable({}, { __close = function() error 'mine' end }) while true do end"
  stopped [[pcall(function()
    local x <close> = setmetatable({}, { __close = function() error 'mine' end })
    while true do end
  end) while true do end]]
  stopped [[local co = coroutine.create(function()
    local x <close> = setmetatable({}, { __close = function() while true do end end })
    coroutine.yield()
  end) coroutine.resume(co) coroutine.close(co)]]
end)

test("no metamethod, iterator or callback swallows it", function()
  stopped "local t = setmetatable({}, { __index = function() while true do end end }) return t.x"
  stopped "local t = setmetatable({}, { __index = function(t, k) return t[k + 1] end }) while true do pcall(function() return t[1] end) end"
  stopped "return table.concat(setmetatable({}, { __len = function() while true do end end }))"
  stopped "return tostring(setmetatable({}, { __tostring = function() while true do end end }))"
  stopped "for _ in pairs(setmetatable({}, { __pairs = function() return function() return 1 end end })) do end"
  stopped "return ('x'):gsub('x', function() while true do end end)"
  stopped "table.sort({ 2, 1 }, function() while true do end end)"
  stopped "return load(function() while true do end end)"
  stopped "while true do load('return 1') end"
  stopped "while true do table.unpack({}, 1, 1e5) end"
  stopped "local t = {} for i = 1, 3e6 do t[i] = -i end while true do table.sort(t) end"
  stopped "local s = ('a'):rep(1e5) while true do pcall(string.match, s, '.-b') end"
  stopped "local s = ('a'):rep(1e5) while true do pcall(string.gsub, s, '.-b', '') end"
  stopped "local s = ('a'):rep(1e5) while true do pcall(function() for _ in s:gmatch '.-b' do end end) end"
  stopped "while true do ('x'):rep(1e6) end"
end)

test("a costly pattern gives up by itself", function()
  refused("too costly", "return ('a'):rep(200000):match '.-b'", 20)
  refused("too costly", "return ('a'):rep(30000):gsub('.-.-b', '')", 20)
end)

test("recursion of every kind ends in an error", function()
  refused("stack overflow", "local function f() return 1 + f() end return f()", 20)
  check.equal(attack "local function f() return pcall(f) end return (f())", true)
  refused("stack overflow", "local t = setmetatable({}, {}) getmetatable(t).__index = function(s, k) return s[k] end return t.x")
  refused("loop", "local t = {} setmetatable(t, { __index = t }) t = setmetatable({}, { __index = t }) local u = t for i = 1, 3000 do u = setmetatable({}, { __index = u }) end return u.x")
  refused("C stack overflow", "local function f() return ('x'):gsub('x', f) end return f()")
  refused("C stack overflow", "local function f() return coroutine.wrap(f)() end return f()")
  refused("C stack overflow", "return assert(load(('('):rep(1000)))")
  refused("inside each other", [[
    local function nest()
      local co = coroutine.create(function()
        local x <close> = setmetatable({}, { __close = function() assert(nest()) end })
        coroutine.yield()
      end)
      coroutine.resume(co)
      return coroutine.close(co)
    end
    assert(nest())]])
end)

test("a limit inside a limit, and results through it", function()
  check.equal({ script.limit(1, function(...) return select("#", ...), ... end, 1, nil, 3) }, { 3, 1, nil, 3 })
  check.fails("took longer than 0.05", script.limit, 0.05, function() script.limit(10, function() while true do end end) end)
  check.fails("took longer than 0.05", script.limit, 10, function() script.limit(0.05, function() while true do end end) end)
  check.fails("mine", script.limit, 1, error, "mine")
  check.equal(attack "return 1", 1)
end)

test("protected calls and coroutines do what Lua's do", function()
  check.equal(attack "local a, b, c = pcall(function(...) return ... end, 1, nil) return a and b == 1 and c == nil", true)
  check.equal(attack "local ok, e = pcall(error, { code = 5 }) return not ok and e.code", 5)
  check.equal(attack "local ok, e = xpcall(error, function(m) return m .. '!' end, 'x') return e", "x!")
  check.equal(attack "local ok, e = xpcall(error, function(m) error('y', 0) end, 'x') return e", "y")
  check.equal(attack "return select('#', xpcall(function(...) return ... end, print, 1, 2, nil))", 4)
  check.equal(attack [[
    local co = coroutine.wrap(function(a)
      local ok, b = pcall(function() local x = coroutine.yield(a + 1) error(x, 0) end)
      local _, c = xpcall(function() return coroutine.yield(b .. '!') end, print)
      return c
    end)
    return co(1) .. co 'e' .. co 'f']], "2e!f")
  check.equal(attack "local co = coroutine.wrap(function() return xpcall(error, function(e) return coroutine.yield(e) end, 'a') end) return co() .. select(2, co 'b')", "ab")
  check.equal(attack "local co = coroutine.create(function() error 'x' end) return select(2, coroutine.resume(co))", "attack.lua:1: x")
  check.equal(attack "local co = coroutine.wrap(function() error 'x' end) return select(2, pcall(co))", "attack.lua:1: x")
  check.equal(attack "local co = coroutine.create(print) return coroutine.status(co) .. tostring(coroutine.close(co)) .. coroutine.status(co)", "suspendedtruedead")
  check.equal(attack "local co co = coroutine.create(function() return coroutine.status(co) end) return select(2, coroutine.resume(co))", "running")
  check.equal(attack "local co = coroutine.create(function() end) coroutine.resume(co) return select(2, coroutine.resume(co))", "cannot resume dead coroutine")
  check.equal(attack "return select(2, pcall(coroutine.wrap(function() return coroutine.isyieldable() end)))", true)
  refused("cannot close a running", "coroutine.close(coroutine.running())")
  refused("outside a coroutine", "coroutine.yield()")
end)

test("random numbers follow the seed of the run", function()
  local draw = "local t = {} for i = 1, 5 do t[i] = math.random(1000) end return table.concat(t, ' ')"
  script.seed(7)
  local first = attack(draw)
  script.seed(7)
  check.equal(attack(draw), first)
  script.seed(8)
  check.ok(attack(draw) ~= first)
  check.equal(attack("math.randomseed(3) local a = math.random() math.randomseed(3) return a == math.random()"), true)
  check.equal(attack("for i = 1, 1000 do local x = math.random(-2, 3) if x < -2 or x > 3 then return x end end"), nil)
  check.equal(attack("return math.type(math.random(0))"), "integer")
  check.equal(attack("return math.random(math.mininteger, math.maxinteger) ~= nil"), true)
  refused("interval is empty", "return math.random(0 - 1)")
  refused("interval is empty", "return math.random(3, 2)")
end)

test("nothing a real recipe can reach lets itself be changed", function()
  local environment, folder = require "recipe.environment", tmp "photos"
  check.ok(require "native.image".new(8, 8, { 1, 2, 3 }):save(folder .. "/a.png"))
  local env = environment.new { mode = "run", file = "recipe.lua", params = { steps = "7", name = folder }, say = function() end }
  local walk = assert(script.load([[
    local p = params { steps = { 5, min = 1 }, name = { "a" } }
    local broken, seen = {}, {}
    local function try(path, container, key, holder)
      local before = holder[key]
      pcall(function() container[key] = "changed" end)
      if container ~= holder then pcall(rawset, container, key, "changed") end
      pcall(table.insert, container, "changed")
      local ok, after = pcall(function() return holder[key] end)
      if not ok or after ~= before then broken[#broken + 1] = path .. "." .. tostring(key) end
    end
    local function visit(value, path)
      if type(value) ~= "table" or seen[value] then return end
      seen[value] = true
      local mt = getmetatable(value)
      if type(mt) == "table" then broken[#broken + 1] = path .. " shows its metatable" end
      if pcall(setmetatable, value, {}) then broken[#broken + 1] = path .. " takes a metatable" end
      local step, state, first = pairs(value)
      for key, field in step, state, first do
        try(path, value, key, value)
        if type(state) == "table" and path ~= "_G" then try(path, state, key, value) end
        visit(field, path .. "." .. tostring(key))
      end
    end
    visit(_G, "_G")
    visit(p, "p")
    visit(images(p.name), "stage")
    return table.concat(broken, ", ")]], "@recipe.lua", env))
  check.equal(walk(), "")
end)

-- Everything that can be reached from the globals, by any means Lua has, debug library included.
local function reachable()
  local lines, seen = {}, {}
  local function walk(value, path)
    local kind = type(value)
    if kind ~= "table" and kind ~= "function" and kind ~= "userdata" and kind ~= "thread" then
      lines[#lines + 1] = path .. " " .. kind
      return
    end
    local before = seen[value]
    lines[#lines + 1] = path .. " " .. (before and "= " .. before or kind)
    if before then return end
    seen[value] = path
    if kind == "table" then
      local keys = {}
      for key in next, value do keys[#keys + 1] = key end
      table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
      for _, key in ipairs(keys) do walk(value[key], path .. "." .. tostring(key)) end
    elseif kind == "function" then
      for i = 1, 255 do
        local name, upvalue = debug.getupvalue(value, i)
        if not name then break end
        walk(upvalue, path .. "^" .. i)
      end
    end
    local meta = debug.getmetatable(value)
    if meta then walk(meta, path .. "@") end
  end
  walk(globals(), "_G")
  walk(debug.getmetatable "", "''@")
  table.sort(lines)
  return table.concat(lines, "\n") .. "\n"
end

test("what a recipe can reach is exactly the list in tests/golden/sandbox.txt", function()
  local file = assert(io.open "tests/golden/sandbox.txt")
  local golden, now = file:read "a", reachable()
  file:close()
  if now ~= golden and os.getenv "CALOTYPE_GOLDEN" then
    file = assert(io.open("tests/golden/sandbox.txt", "w"))
    file:write(now)
    file:close()
  end
  local known = {}
  for line in string.gmatch(golden, "[^\n]+") do known[line] = true end
  for line in string.gmatch(now, "[^\n]+") do check.ok(known[line], "new: " .. line); known[line] = nil end
  check.equal(next(known), nil, "gone")
end)

test("rawset does not get past a protected metatable", function()
  refused("protected metatable", "rawset(setmetatable({}, { __metatable = false }), 'x', 1)")
  check.equal(attack "local t = setmetatable({}, {}) rawset(t, 'x', 1) return t.x", 1)
end)
