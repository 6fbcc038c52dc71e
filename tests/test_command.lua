-- The program as a person runs it: words in, text and exit code out. tests/double stands in for the language.
local pipe = io.popen "readlink /proc/$PPID/exe"
local program = pipe:read "l":gsub("/tests/host$", "/calotype")
pipe:close()

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- Runs calotype with the words; gives the exit code, stdout, stderr.
local function run(words, input, before)
  local errors = tmp "err"
  local command = ("%s CALOTYPE_STDLIB=tests/double %s %s 2>%s %s; echo \"exit $?\""):format(before or "", program, words, errors,
    input and "<" .. input or "</dev/null")
  local out = io.popen(command)
  local text = out:read "a"
  out:close()
  local file = assert(io.open(errors))
  local complaint = file:read "a"
  file:close()
  local shown, code = text:match "^(.*)exit (%d+)\n$"
  return tonumber(code), shown, complaint
end

local function write(text, name)
  local path = tmp(name or "recipe.lua")
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path
end

-- A folder with one file of that very name.
local function place_of(name, text)
  local folder = tmp "place"
  os.execute("mkdir " .. folder)
  local file = assert(io.open(folder .. "/" .. name, "w"))
  file:write(text)
  file:close()
  return folder
end

local function ends(code, words, part, input, before)
  local got, out, errors = run(words, input, before)
  check.equal(got, code, words .. ": " .. out .. errors)
  if part then check.contains(out .. errors, part) end
  return out, errors
end

test("a recipe runs by itself, by run, and through stdin", function()
  local path = write "print(given.file, 1 + 1)"
  check.equal(ends(0, path), path .. "\t2\n")
  check.equal(ends(0, "run " .. path), path .. "\t2\n")
  check.equal(ends(0, "", nil, path), "stdin\t2\n")
  check.equal(ends(0, "-", nil, path), "stdin\t2\n")
end)

test("an empty script and a closed stdin do nothing, well", function()
  check.equal(ends(0, "", nil, "/dev/null"), "")
  check.equal(ends(0, "<&-"), "")
  check.equal(ends(0, "repl <&-"), "")
end)

test("every exit code of a recipe is the program's", function()
  for _, code in ipairs { 0, 1, 2, 3, 4, 75 } do ends(code, write(("return %d"):format(code))) end
  for _, code in ipairs { 1, 2, 3, 4, 75 } do ends(code, write(("fail(%d)"):format(code)), "as asked") end
  ends(1, write "error 'mine'", "error: mine")
  ends(2, write "x = = 1", "unexpected symbol near '='")
  ends(1, write "local s = {} for i = 1, 1e9 do s[i] = ('x'):rep(1e6) .. i end", "CALOTYPE_MEMORY", nil, "CALOTYPE_MEMORY=32")
end)

test("an error stands on stderr with place, excerpt, caret and suggestion; data stays on stdout", function()
  local path = write "print 'data'\nlocal photos = imagse 'x'"
  local out, errors = ends(2, path)
  check.equal(out, "data\n")
  check.equal(errors, "error: 'imagse' is not defined\n  --> " .. path .. ":2:16\n   2 | local photos = imagse 'x'\n"
    .. "     |                ^^^^^^\n     = did you mean 'images'?\n")
end)

test("the traceback is short, and whole with --trace", function()
  local path = write "local function inner() error 'deep' end\nlocal function outer() inner() end\nouter()"
  local _, errors = ends(1, path, "called from " .. path .. ":2, in 'outer'")
  check.equal(errors:find("double", 1, true), nil)
  ends(1, "--trace " .. path, "tests/double/recipe/command.lua")
end)

test("-p splits at the first '=', takes a file with @, and comes in any order", function()
  local path = write "local p = given.params print(p.a, p.b, p.c)"
  check.equal(ends(0, "-p a=1=2 run -p b= " .. path .. " -pc=" .. quote "x y"), "1=2\t\tx y\n")
  local list = write("one\ntwo", "list.txt")
  check.equal(ends(0, "run " .. path .. " -p a=@" .. list), "one\ntwo\tnil\tnil\n")
  ends(2, path .. " -p a=@" .. tmp "nowhere", "nowhere")
  ends(2, path .. " -p a", "write it as -p name=value")
  ends(2, path .. " -p =a", "has no name and value")
  ends(2, path .. " -p", "has no name and value")
  ends(2, "doctor -p a=1", "calotype doctor has none")
  ends(2, path .. (" -p a=1"):rep(65), "more than 64 parameters")
end)

test("what follows -- is a file, even when it looks like an option", function()
  ends(1, "run -- --quiet", "--quiet")
  ends(2, "run a.lua -- -p", "goes with -p name=value")
end)

test("an embedded script is a command: it gets its folder and its settings", function()
  local folder = place_of("train_tiny_base.lua", [[
    local log = require "native.log"
    return { run = function(options)
      local list = {}
      for name, value in pairs(options.params) do list[#list + 1] = name .. ":" .. value end
      table.sort(list)
      log.put(table.concat({ options.folder, tostring(options.fresh), table.unpack(list) }, " "))
      return tonumber(options.params.code)
    end }]])
  local before = "CALOTYPE_SCRIPTS=" .. folder
  local function says(text, words, code) check.equal(ends(code or 0, words, nil, nil, before), text .. "\n") end
  says("out/x false", "train_tiny_base out/x")
  says("out/x false a:1 b:2=3", "train-tiny-base a=1 out/x b=2=3")
  says("./a=1 true b:2", "--fresh -p b=2 train_tiny-base ./a=1")
  says("- false", "train_tiny_base -")
  says("x false code:75", "train_tiny_base x code=75", 75)
  says("x false a:one", "train_tiny_base x a=@" .. write("one", "value.txt"))
  ends(2, "train_tiny_base x a=@" .. tmp "nowhere", "error: a=@", nil, before)
  ends(2, "train_tiny_base x y", "takes one folder: 'y' is one too many\n     = its settings are written NAME=VALUE", nil, before)
  for _, words in ipairs { "train_tiny_base", "train_tiny_base a=1" } do
    ends(2, words, "calotype train_tiny_base needs a folder\n     = calotype help train_tiny_base shows how it is called", nil, before)
  end
end)

test("a command of several words gets them in order, and its settings apart", function()
  local function says(text, words, code) check.equal(ends(code or 0, words), text .. "\n") end
  says("log ", "captions log")
  says("log|a b.jpg|out/x=y ", "captions log 'a b.jpg' out/x=y")
  says("compare|photos sample:8 with:fake,x=y", "captions sample=8 compare -p with=fake,x=y photos")
  says("log|a=1.jpg|-p b:2", "captions b=2 log -- a=1.jpg -p")
  says("log|- ", "captions log -")
  says("log code:75", "captions log code=75", 75)
  says("log list:one\ntwo", "captions log list=@" .. write("one\ntwo", "list.txt"))
  says(("x"):rep(64, "|") .. " ", "captions" .. (" x"):rep(64))
  ends(2, "captions" .. (" x"):rep(65), "calotype captions takes at most 64 words")
  ends(2, "captions", "calotype captions needs more words: WORD FILE\n     = calotype help captions shows how it is called")
  ends(2, "captions a=1", "calotype captions needs more words")
  ends(2, "captions log a=@" .. tmp "nowhere", "error: a=@")
  ends(2, "captoins log", "did you mean 'captions'?")
  for _, words in ipairs { "help captions", "captions --help", "captions log x --help" } do
    check.equal(ends(0, words), "words and settings, in any order\n")
  end
  check.contains(ends(0, "help"), "\n  calotype captions WORD FILE ")
end)

test("scripts are listed with what they do, help shows their header, and a typo finds them", function()
  check.contains(ends(0, "help"), "\n  train_tiny_base  train the tiny base from nothing")
  for _, words in ipairs { "help train_tiny_base", "help train-tiny-base", "train_tiny_base --help" } do
    local out = ends(0, words)
    check.contains(out, "calotype train_tiny_base FOLDER [NAME=VALUE ...]\n\ntrain the tiny base")
    check.contains(out, "\n  calotype train_tiny_base out/tiny ")
  end
  ends(2, "train_tiny_bsae out", "did you mean 'train_tiny_base'?")
  ends(2, "train-tiny-bas out", "did you mean 'train_tiny_base'?")
  ends(2, "world", "unknown command 'world'") -- a part of a script is none
end)

test("--fresh arrives", function()
  check.equal(ends(0, "-q --fresh " .. write "print(given.fresh)"), "true\n")
end)

test("an unknown word gets a suggestion and 2", function()
  ends(2, "chekc a.lua", "did you mean 'check'?")
  ends(2, "doctro", "did you mean 'doctor'?")
  ends(2, "Doctor", "did you mean 'doctor'?")
  ends(2, "vers", "did you mean 'version'?")
  ends(2, "zzzzzz", "calotype help lists what there is")
  ends(2, "--quite a.lua", "did you mean '--quiet'?")
  ends(2, "--zzz", "unknown option '--zzz'")
  ends(2, "caption photos --trigger zkr", "unknown option '--trigger'\n     = settings are written without dashes: trigger=VALUE")
  ends(2, "caption photos --with=gemini", "settings are written without dashes: with=gemini")
  ends(2, "caption photos --quite", "did you mean '--quiet'?")
  ends(2, "run", nil, "/dev/full")
  ends(2, "show", "calotype show needs a file")
  ends(2, "check --all x.lua", "--all belongs to calotype show")
  ends(2, "doctor x", "takes nothing more")
  ends(2, "run a.lua b.lua", "'b.lua' is one too many")
end)

test("a recipe that is not there is named", function()
  ends(1, "nowhere.lua", "nowhere.lua")
  ends(1, "./nowhere", "nowhere")
end)

test("check, info, show and help reach the language", function()
  local path = write "x = 1"
  check.equal(ends(0, "check " .. path), path .. ": fine\n")
  check.equal(ends(0, "info " .. path), "info " .. path .. "\n")
  check.equal(ends(0, "show " .. path), "show " .. path .. "\n")
  check.equal(ends(0, "help reject"), "help for reject\n")
  ends(2, "help rejct", "did you mean")
end)

test("help, version and doctor say what they are", function()
  ends(0, "help", "calotype check")
  ends(0, "--help", "calotype check")
  ends(0, "-h run", "calotype check")
  check.contains(ends(0, "version"), "calotype 0.")
  check.contains(ends(0, "--version"), "lua 5.4")
  local code, out, errors = run "doctor"
  check.ok(out:find "%d GB" and not out:find "GiB", out)
  check.ok(code == 0 or code == 1)
  check.contains(out, "OpenCL devices")
  check.contains(out, "threads")
  if code == 1 then check.contains(errors, "cannot work here") end
end)

test("doctor says what is missing and how to get it", function()
  local out = select(2, run("doctor", nil, "OCL_ICD_VENDORS=" .. tmp "none"))
  check.contains(out, "apt-get install pocl-opencl-icd")
  out = select(2, run("doctor", nil, "POCL_CACHE_DIR=/dev/null/cache")) -- a home that cannot be written to
  if not out:find "OpenCL devices\n  %+" then check.contains(out, "let HOME, XDG_CACHE_HOME or POCL_CACHE_DIR name a folder that you can write to") end
  if program:find "asan" then return end -- needs terabytes of addresses
  local doctor <close> = assert(io.popen(("ulimit -v 300000; %s doctor 2>&1"):format(program)))
  out = doctor:read "a"
  if not out:find "OpenCL devices\n  %+" then check.contains(out, "within 307 MB, all that this process may have (ulimit -v)") end
end)

test("wrong memory settings are refused with the value", function()
  for _, value in ipairs { "x", "1", "12MB", "-5", "" } do
    ends(2, "version", "CALOTYPE_MEMORY is '" .. value .. "'", nil, "CALOTYPE_MEMORY=" .. quote(value))
  end
end)

-- Presses Ctrl-C when the program has surely begun.
local FINGER = ("tests/finger.sh %d 1 env"):format(program:find "asan" and 150 or 30)

test("Ctrl-C stops a recipe whatever it does, with 130", function()
  for _, text in ipairs { "while true do end", "while true do pcall(function() while true do end end) end",
    "coroutine.wrap(function() while true do pcall(error) end end)()", "local s = ('a'):rep(1e5) while true do pcall(s.match, s, '.-b') end",
    "xpcall(error, function() while true do end end)", "local x <close> = setmetatable({}, { __close = function() while true do end end })" } do
    local path = write(text)
    ends(130, path, "stopped: what is done is kept", nil, FINGER)
  end
end)

test("at the first Ctrl-C calotype's own code finishes its step", function()
  local out = ends(130, write "pcall(finish) print 'not reached'", nil, nil, FINGER)
  check.equal(out, "step finished\n")
end)

test("the third Ctrl-C ends the program at once", function()
  ends(130, write "while true do end", nil, nil, (FINGER:gsub(" 1 env$", " 3 env")))
end)

test("the program's own Lua has no way to files or commands", function()
  local folder = tmp "lib"
  os.execute("mkdir -p " .. folder .. "/recipe")
  local file = assert(io.open(folder .. "/recipe/command.lua", "w"))
  file:write [[
    local found = {}
    for _, name in ipairs { "io.open", "io.popen", "io.lines", "os.execute", "os.getenv", "os.remove", "os.exit", "dofile", "loadfile",
      "package.loadlib", "package.cpath" } do
      local value = _G
      for part in name:gmatch "%w+" do value = value and value[part] end
      if value ~= nil then found[#found + 1] = name end
    end
    return { run = function() io.stdout:write("found: ", table.concat(found, " "), "\27[31m\n") return 0 end }]]
  file:close()
  local out = io.popen(("CALOTYPE_STDLIB=%s %s run x.lua 2>&1"):format(folder, program))
  check.equal(out:read "a", "found: \\x1b[31m\n")
  out:close()
end)

test("the prompt shows expressions, goes on over lines, hides with ; and keeps the last result", function()
  local path = write [[
1 + 1
x = 5
for i = 1, 2 do
  print(i)
end
x
_ + 1
7;
_
{ 1, "b", c = { d = true } }
images "photos"
"quo\"te"
nil
1, 2
-- only a comment

]]
  check.equal(ends(0, "repl", nil, path), [[
2
1
2
5
6
7
{ 1, "b", c = { d = true } }
images in photos
"quo\"te"
nil
1
2
]])
end)

test("the prompt shows errors from the typed text and goes on", function()
  local out, errors = ends(0, "repl", nil, write "imagse 'x'\nx = = 1\nlocal y = 1 error('no')\nfor i = 1, 2 do\n  foo()\nend\n2 + 2")
  check.equal(out, "4\n")
  check.contains(errors, "--> repl[1]:1:1\n   1 | imagse 'x'\n     | ^^^^^^\n     = did you mean 'images'?")
  check.contains(errors, "--> repl[2]:1:5")
  check.contains(errors, "error: no\n  --> repl[3]:1:1")
  check.contains(errors, "--> repl[4]:2:3")
end)

test("the prompt shortens large tables and says so", function()
  local out = ends(0, "repl", nil, write "local t = {} for i = 1, 100 do t[i] = i end return t\nlocal t = {} t.t = t return t\n{{{{{{1}}}}}}\n{ ['a b'] = 1, [2.5] = 2 }")
  check.contains(out, "... 80 more")
  check.contains(out, "{ t = { ...itself } }")
  check.contains(out, "{ ... }")
  check.contains(out, '{ [2.5] = 2, ["a b"] = 1 }')
end)

test("the prompt's input may end anywhere", function()
  local whole = "for i = 1, 2 do print(i) end\nx = { 1,\n2 }\n'abc'\n?images\n[[long\n]] .. 1"
  for size = 0, #whole, 3 do
    local code = run("repl", write(whole:sub(1, size)))
    check.equal(code, 0)
  end
end)

test("help at the prompt comes from the language", function()
  check.equal(ends(0, "repl", nil, write "?images\n  ? images.reject  \n"), "help for images\nhelp for images.reject\n")
end)

-- The same with the language itself.
local function real(words, input)
  local out = io.popen(("cd %s && %s %s 2>&1 <%s; echo \"exit $?\""):format(os.getenv "CALOTYPE_TEST_TMP", program, words, input or "/dev/null"))
  local text = out:read "a"
  out:close()
  local shown, code = text:match "^(.*)exit (%d+)\n$"
  return tonumber(code), shown
end

test("the language answers: run, check, info, help, stdin and the prompt", function()
  local path = write "local p = params { side = { 8, min = 1, max = 512 } }\nprint(image.new(p.side, 4, { 255, 0, 0 }):width())"
  check.equal({ real(path) }, { 0, "8\n" })
  check.equal({ real("-p side=9 " .. path) }, { 0, "9\n" })
  check.equal({ real("", path) }, { 0, "8\n" })
  check.equal((real("check " .. path)), 0)
  local nothing = write "local style\nstyle:reject {}"
  check.equal({ (real(nothing)), (real("check " .. nothing)) }, { 1, 2 })
  check.equal((real("-p sdie=9 " .. path)), 2)
  check.contains(select(2, real("info " .. path)), "side")
  check.contains(select(2, real "help reject"), "side_below")
  local code, shown = real("repl", write "image\nstring\nx = image.new(4, 4, { 1, 2, 3 })\nx:width() * 2\n?reject\nimagse\n")
  check.equal(code, 0)
  check.contains(shown, "image: ")
  check.contains(shown, "string: byte, char,")
  check.contains(shown, "\n8\n")
  check.contains(shown, "side_below")
  check.contains(shown, "did you mean 'image")
end)

test("a picture is shown in its colours on a terminal, and in characters elsewhere", function()
  local path = tmp "red.png"
  check.equal((real(write('image.new(4, 4, { 255, 0, 0 }):save(' .. ("%q"):format(path:match "[^/]+$") .. ')'))), 0)
  check.contains(select(2, real("show " .. path)), "\n::::\n::::\n")
  local out = io.popen(("script -qec '%s show %s' /dev/null </dev/null 2>&1"):format(program, path))
  local shown = out:read "a"
  out:close()
  if shown:find "not found" then skip "script is not installed" end
  check.contains(shown, ("\27[38;2;255;0;0m\27[48;2;255;0;0m\u{2580}"):rep(4) .. "\27[0m")
end)

test("a file of a script's name is a recipe like any other: it gets nothing native, and is told which command it is not", function()
  local text = "print 'a recipe'\nrequire 'native.fs'"
  local hint = "     = calotype train_tiny_base runs the script of that name that came with the program"
  local path = place_of("train_tiny_base.lua", text) .. "/train_tiny_base.lua"
  for _, words in ipairs { path, "run " .. path } do
    local code, shown = real(words)
    check.equal(code, 2)
    check.contains(shown, "a recipe\nerror: require takes the name of a Lua file beside the recipe")
    check.contains(shown, hint)
  end
  path = place_of("train_tiny_base", text) .. "/train_tiny_base"
  check.contains(select(2, real(path)), "require \"measure\" is measure.lua")
end)

test("help tells a command too, and a parameter without -p is recognised", function()
  check.contains(ends(0, "help check"), "calotype check FILE")
  ends(2, write "x = 1" .. " side=700", "-p name=value")
end)
