local script = require "native.script"

local function load(text, name, env)
  return assert(script.load(text, name or "recipe.lua", env or { print = print, error = error, pairs = pairs, images = print }))
end

local function shown(text, env)
  local ok, fault = script.call(load(text, "recipe.lua", env))
  check.equal(ok, false)
  return script.render(fault)
end

test("a recipe is compiled with its own globals and runs", function()
  local env = {}
  load("x = 1 + 1", "a.lua", env)()
  check.equal(env.x, 2)
  check.equal(_G.x, nil)
end)

test("a first line with # is skipped and the lines keep their numbers", function()
  local fn = load "#!/usr/bin/env calotype\nerror 'here'"
  local ok, fault = script.call(fn)
  check.equal(ok, false)
  check.equal(fault.line, 2)
end)

test("a file that is only a shebang, only a byte order mark, or empty is an empty recipe", function()
  for _, text in ipairs { "", "#", "#!x", "\xef\xbb\xbf", "\xef\xbb\xbf#!x\n" } do check.equal(load(text)(), nil) end
end)

test("bytecode is never loaded", function()
  local fn, e = script.load(string.dump(load "return 1"), "x.lua", {})
  check.equal(fn, nil)
  check.contains(e.message, "binary chunk")
end)

test("a syntax error has its line and the column of the token to blame", function()
  local cases = {
    { "local x = = 2", 1, 11, 1 },
    { "\n\n  foo bar", 3, 7, 3 },
    { "x = 1 )", 1, 7, 1 },
    { "f(a, b c) d(b c)", 1, 8, 1 },
    { "return 'abc", 1, 8 },
    { "x = y.1", 1, 6, 2 },
    { "goto out", 1 },
    { "break", 1 },
    { "local t = { a = 1, b = 2 c = 3 }", 1, 26, 1 },
    { "x = 5 $ 3", 1, 7, 1 },
  }
  for _, case in ipairs(cases) do
    local fn, e = script.load(case[1], "bad.lua", {})
    check.equal(fn, nil, case[1])
    check.equal(e.line, case[2], case[1] .. " line (" .. e.message .. ")")
    if case[3] then check.equal(e.column, case[3], case[1] .. " column (" .. e.message .. ")") end
    if case[4] then check.equal(e.width, case[4], case[1] .. " width") end
    check.equal(e.incomplete, false)
  end
end)

test("an unfinished recipe is called incomplete", function()
  for _, text in ipairs { "if x then", "images {", "x =", "function f()", "x = [[abc", "--[[ abc" } do
    local fn, e = script.load(text, "bad.lua", {})
    check.equal(fn, nil)
    check.equal(e.incomplete, true, text)
  end
end)

test("a name that is not defined gets an excerpt, a caret and a suggestion", function()
  check.equal(shown 'local a = 1\nlocal photos = imagse("x", a)', [[
error: 'imagse' is not defined
  --> recipe.lua:2:16
   2 | local photos = imagse("x", a)
     |                ^^^^^^
     = did you mean 'images'?
]])
end)

test("no suggestion is made when nothing is near", function()
  local text = shown "zebra()"
  check.contains(text, "'zebra' is not defined")
  check.equal(text:find("did you mean", 1, true), nil)
end)

test("a local is suggested too, and never a name of the host", function()
  check.contains(shown "local holiday = 1\nreturn holidya.x", "did you mean 'holiday'?")
  check.equal(shown("requier 'x'"):find("did you mean", 1, true), nil)
end)

test("a method and a field that are not there are found on the line", function()
  local env = { stage = setmetatable({}, { __index = { dedupe = print } }), tool = { paint = print } }
  check.equal(shown("local s = stage\ns:dedup { 1 }", env), [[
error: there is no method ':dedup' here
  --> recipe.lua:2:3
   2 | s:dedup { 1 }
     |   ^^^^^
     = did you mean ':dedupe'?
]])
  check.contains(shown("tool.pain()", env), "did you mean 'paint'?")
end)

test("a word in a string or a comment is not what the caret points at", function()
  check.contains(shown "local x = 'foo' --[[ foo ]] .. foo()", ":1:32")
end)

test("the frames of the recipe are shown, those of the host are not", function()
  local text = shown "local function build()\n  error 'no'\nend\nlocal function all() build() end\nall()"
  check.contains(text, "--> recipe.lua:2:3")
  check.contains(text, "called from recipe.lua:4, in 'all'")
  check.contains(text, "called from recipe.lua:5")
  check.equal(text:find("test_script", 1, true), nil)
end)

test("error with level 2 points at the caller", function()
  check.contains(shown "local function f() error('bad side', 2) end\nlocal x = 1\nf()", "--> recipe.lua:3:1")
end)

test("errors that are tables, nil or numbers end in a sentence", function()
  check.contains(shown "error {}", "the error is a table, not a text")
  check.contains(shown "error()", "the error is a nil, not a text")
end)

test("fail renders message, place, caret, notes and hint", function()
  local env = { verb = function()
    script.fail { message = "unknown option 'prefx' for :caption", token = "prefx", hint = "did you mean 'prefix'?", notes = { "one", "two" } }
  end }
  check.equal(shown('local x\nverb {\n  prefx = "a photo of ...",\n}', env), [[
error: unknown option 'prefx' for :caption
  --> recipe.lua:3:3
   3 |   prefx = "a photo of ...",
     |   ^^^^^
     = did you mean 'prefix'?
     = one
     = two
]])
end)

test("fail can be caught, and shows only what a script may see", function()
  local ok, e = pcall(script.fail, { message = "no", source = "a.lua", line = 3, exit = 4 })
  check.equal(ok, false)
  check.equal(tostring(e), "a.lua:3: no")
  check.equal({ e.message, e.line, e.exit, e.trace }, { "no", 3, 4 })
  check.equal(getmetatable(e), false)
  check.fails("option 'message': string expected", script.fail, {})
end)

test("controls in a source or a message cannot move the cursor", function()
  local text = shown "\tfoo('\27[31m', 1)"
  check.contains(text, [[foo('\x1b[31m', 1)]])
  check.contains(text, "     |  ^^^")
  check.contains(script.render "a\27[2Jb", [[a\x1b[2Jb]])
end)

test("the caret stands right after letters of several bytes, and long lines are cut around it", function()
  check.contains(shown "local s = 'äöü' foo()", "     |                 ^^^\n")
  local text = shown(("local a = 1 "):rep(40) .. "foo() " .. ("local a = 1 "):rep(40))
  for line in text:gmatch "[^\n]+" do check.ok(#line < 140, line) end
  check.contains(text, "^^^")
end)

test("every cut of a recipe gives an error that can be rendered", function()
  local whole = "#!x\nlocal f = function(a, b)\n  return a.b[ [==[ x ]==] ] .. \"y\\z  \" // 0x1p-3 end\nprint(f { a = '\\'' }) -- c\n--[[ d ]]"
  for size = 0, #whole do
    local fn, e = script.load(whole:sub(1, size), "cut.lua", {})
    if not fn then
      check.ok(e.line >= 1 and e.column >= 1)
      local ok, fault = pcall(script.fail, { message = e.message, source = "cut.lua", line = e.line, column = e.column, width = e.width })
      check.equal(ok, false)
      check.contains(script.render(fault), "--> cut.lua:" .. e.line)
    end
  end
end)

test("where names the innermost frame of a recipe", function()
  local env = { where = function(...) return script.where(...) end }
  check.equal(load("\nlocal w = where() return w", "w.lua", env)(), { source = "w.lua", line = 2 })
  check.equal(load("local function f()\nreturn (where(1)) end\nlocal x = f()\nreturn x", "w.lua", env)(), { source = "w.lua", line = 3 })
  check.equal(script.where(), nil)
end)

test("the source of a recipe is kept, and locate finds tokens in it", function()
  load("a = 1\n-- b\nc = { b = 2 }", "s.lua")
  check.equal(script.source "s.lua", "a = 1\n-- b\nc = { b = 2 }")
  check.equal(script.source "@s.lua", script.source "s.lua")
  check.equal(script.source "unknown", nil)
  check.equal({ script.locate("s.lua", 1, "b") }, { 3, 7 })
  check.equal(script.locate("s.lua", 1, "zz"), nil)
end)

test("function_text is the slice of one function, whatever stands around it", function()
  local f, g = load("local x = 1 return function(a) if a then return 'end' end -- end\n end, function(b)\n  return b\nend")()
  check.equal(script.function_text(f), "function(a) if a then return 'end' end -- end\n end")
  check.equal(script.function_text(g), "function(b)\n  return b\nend")
  check.equal(script.function_text(print), nil)
  check.equal(script.function_text(load "return 1"), "return 1")
end)

test("two functions on one line have different texts", function()
  local f, g, h = load "return function() return 1 end, function() return 2 end, function() return 1 end"()
  check.ok(script.function_text(f) ~= script.function_text(g))
  check.ok(script.function_text(f) == script.function_text(h), "same code, same text")
end)

test("upvalues are given by name, without _ENV", function()
  local f = load "local side, names = 512, { 'a' } return function() return side, names, print end"()
  check.equal(script.upvalues(f), { side = 512, names = { "a" } })
end)

test("nearest guesses within a third of the length", function()
  check.equal(script.nearest("prefx", { prefix = 1, words = 2 }), "prefix")
  check.equal(script.nearest("prefx", { "words", "prefix" }), "prefix")
  check.equal(script.nearest("cap", { "map", "lap" }), "lap")
  check.equal(script.nearest("ab", { "cd" }), nil)
  check.equal(script.nearest("", {}), nil)
end)

test("the environment gives what is listed and no key", function()
  check.equal(script.env "HOME", nil)
  check.equal(script.env "GEMINI_API_KEY", nil)
  check.equal(script.env "CALOTYPE_TEST_TMP", os.getenv "CALOTYPE_TEST_TMP")
end)

test("versions and the interrupt level are told", function()
  check.contains(script.versions().lua, "5.4")
  check.ok(script.versions().sqlite)
  check.equal(script.interrupted(), 0)
end)
