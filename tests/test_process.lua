local process = require "native.process"
local fs = require "native.fs"

local program = (os.getenv "BUILD" or "build/release") .. "/calotype"

local function pause(seconds) os.execute(("sleep %g"):format(seconds or 0.005)) end

-- Its lines and its exit code, once it has ended.
local function finish(p, seconds)
  local lines, limit = {}, os.time() + (seconds or 60)
  while true do
    local code = p:status()
    repeat
      local more = p:read()
      table.move(more, 1, #more, #lines + 1, lines)
    until #more == 0
    if code then return lines, code end
    if os.time() > limit then error("it goes on and on", 2) end
    pause()
  end
end

local function run(words) return finish(check.ok(process.start(words))) end
local function sh(script, more)
  local words = { "sh", "-c", script }
  for key, value in pairs(more or {}) do words[key] = value end
  return run(words)
end

local function texts(lines, from)
  local out = {}
  for _, line in ipairs(lines) do if line.from == from then out[#out + 1] = line.text end end
  return out
end

test("a program gets exactly the words, and its lines come whole from both streams, with its exit code", function()
  local words = { "printf", "%s\\n", "a b", "$HOME", "*", "'\"", "", "caf\u{e9}", "-n" }
  local lines, code = run(words)
  check.equal(texts(lines, "out"), { table.unpack(words, 3) })
  check.equal(code, 0)
  lines, code = sh "echo one; echo two >&2; printf 'three\\r\\n\\nno end'; printf last >&2; exit 7"
  check.equal({ texts(lines, "out"), texts(lines, "err"), code }, { { "one", "three", "", "no end" }, { "two", "last" }, 7 })
  check.equal(select(2, sh "kill -TERM $$"), 128 + 15)
end)

test("lines come while it runs, half of one when it is whole, a very long one in pieces", function()
  local p <close> = check.ok(process.start { "sh", "-c", "echo now; printf ha; sleep 0.2; echo lf; exec sleep 600" })
  local got, limit = {}, os.time() + 60
  while #got < 2 and os.time() < limit do
    for _, line in ipairs(p:read()) do got[#got + 1] = line.text end
    pause()
  end
  check.equal({ got, p:status() }, { { "now", "half" } })
  local lines = sh "head -c 200000 /dev/zero | tr '\\0' x; echo; echo end"
  local sizes = {}
  for i, line in ipairs(lines) do sizes[i] = #line.text end
  check.equal(sizes, { 65536, 65536, 65536, 200000 - 3 * 65536, 3 })
  lines = sh "seq 1 100000"
  check.equal({ #lines, lines[1].text, lines[100000].text }, { 100000, "1", "100000" })
end)

test("it has no terminal, no input, no colour, no file of ours, and no signal ignored or held back", function()
  local path = tmp "open"
  local _ <close> = check.ok(io.open(path, "w")) -- this one is inherited by an ordinary child
  local lines = sh [[
    [ -t 0 ] || [ -t 1 ] || [ -t 2 ] || echo no terminal
    cat; echo "NO_COLOR=$NO_COLOR"
    for fd in /proc/self/fd/*; do case $(readlink $fd) in pipe:*|/dev/null|/proc/*|'') ;; *) echo "open: $(readlink $fd)" ;; esac; done
    # 32 and 33 are the C library's own, which no program may set; children of make have them ignored
    grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\t' | sed 's/0000000180000000$/0000000000000000/' ]]
  check.equal(texts(lines, "out"), { "no terminal", "NO_COLOR=1", "SigBlk:0000000000000000", "SigIgn:0000000000000000" })
end)

test("variables are added, changed and taken away, and the folder is where it works", function()
  local folder = tmp "folder"
  fs.make_folder(folder)
  local lines = sh('echo "$A-$HOME-${NO_COLOR-none}-${PATH:+path}"; pwd -P', { env = { A = "x=y", HOME = "/h", NO_COLOR = false }, folder = folder })
  check.equal(lines[1].text, "x=y-/h-none-path")
  check.contains(lines[2].text, folder:match "[^/]+$")
  check.refused("no name of a variable", process.start { "true", env = { ["A=B"] = "x" } })
end)

test("what cannot start says so, with a code, and leaves nothing", function()
  check.equal(check.refused("there is no program calotype-none", process.start { "calotype-none" }), "NOTFOUND")
  check.equal(check.refused("/no/such/program cannot be started", process.start { "/no/such/program" }), "NOTFOUND")
  check.equal(check.refused("cannot work in /no/such/folder", process.start { "true", folder = "/no/such/folder" }), "NOTFOUND")
  local plain = tmp "plain"
  fs.write(plain, "echo hello\n")
  check.equal(check.refused("cannot be started", process.start { plain }), "DENIED")
  os.execute(("chmod +x '%s'"):format(plain))
  check.refused("cannot be started", process.start { plain }) -- no shell takes what the system does not know
  check.fails("no program is named", process.start, {})
  check.refused("no program is named", process.start { "" })
  check.fails("a word is no string", process.start, { "true", 5 })
  check.fails("a word has a NUL byte", process.start, { "true", "a\0b" })
  check.fails("a value in option 'env'", process.start, { "true", env = { A = 5 } })
  check.fails("option 'folder' has a NUL byte", process.start, { "true", folder = "a\0b" })
  check.fails("table expected", process.start, "true")
end)

test("an interrupt ends a program with 130, three stages and all, and a killed one with 137", function()
  local p <close> = check.ok(process.start { "sleep", "600" })
  check.equal(p:status(), nil)
  p:interrupt()
  local lines, code = finish(p)
  check.equal({ lines, code, p:status() }, { {}, 130, 130 })
  p:interrupt()
  p:kill()
  local q <close> = check.ok(process.start { "sleep", "600" })
  q:kill()
  check.equal(select(2, finish(q)), 137)
  -- One that takes interrupts for advice hears each of them.
  local r <close> = check.ok(process.start { "sh", "-c", "n=0; trap 'n=$((n+1)); echo $n; [ $n = 3 ] && exit 130' INT; echo ready; while :; do sleep 0.02; done" })
  local heard, limit = {}, os.time() + 60
  while not r:status() and os.time() < limit do
    for _, line in ipairs(r:read()) do
      heard[#heard + 1] = line.text
      r:interrupt()
    end
    pause()
  end
  check.equal({ heard, r:status() }, { { "ready", "1", "2" }, 130 })
end)

local function alive(id) return (os.execute(("kill -0 %d 2>/dev/null"):format(id))) == true end
local function state(id) return (fs.read(("/proc/%d/stat"):format(id)) or ""):match "%) (%a)" end

test("closing kills what still runs with all that it started; nothing is left as a zombie", function()
  local p = check.ok(process.start { "sh", "-c", "sleep 600 & echo $!; wait" })
  local inner
  while not inner do
    inner = p:read()[1]
    pause()
  end
  local id = p:id()
  check.ok(alive(id) and alive(tonumber(inner.text)))
  p:close()
  p:close()
  check.equal({ alive(id), tostring(p) }, { false, "process (closed)" })
  for _ = 1, 6000 do if not alive(tonumber(inner.text)) or state(tonumber(inner.text)) == "Z" then break end pause() end -- pid 1 buries it
  check.ok(not alive(tonumber(inner.text)) or state(tonumber(inner.text)) == "Z")
  check.fails("the process is closed", function() p:read() end)
  local ids = {}
  for i = 1, 20 do
    local q = check.ok(process.start { i % 2 == 0 and "true" or "sleep", "600" })
    ids[i] = q:id()
    if i % 3 == 0 then q:close() end
  end
  collectgarbage()
  for _, left in ipairs(ids) do check.equal(alive(left), false) end
end)

test("a detached program lives on without us, holds nothing of ours, and is no zombie when it ends first", function()
  local mark = tmp "mark"
  local script = [[
    echo text; echo text >&2
    while [ ! -e "$1.go" ]; do sleep 0.02; done
    ls -l /proc/$$/fd > "$1.fds"; cut -d " " -f 6 /proc/$$/stat > "$1"; exec sleep 0.1]]
  local p = check.ok(process.start { "sh", "-c", script, "sh", mark, detached = true })
  local id = p:id()
  check.equal({ p:read(), p:status() }, { {} })
  p:close()
  check.ok(alive(id))
  check.ok(fs.write(mark .. ".go", ""))
  for _ = 1, 6000 do if not alive(id) then break end pause() end
  check.equal(alive(id), false)
  check.equal(tonumber(fs.read(mark)), id) -- a session of its own
  for line in fs.read(mark .. ".fds"):gmatch "[^\n]+" do
    local to = line:match "%-> (.*)$"
    check.ok(not to or to == "/dev/null" or to == mark .. ".fds", line)
  end
  local q <close> = check.ok(process.start { "sh", "-c", "exit 3", detached = true })
  check.equal(select(2, finish(q)), 3)
end)

test("this program can start itself", function()
  check.contains(check.ok(process.self()), "tests/host")
  local lines, code = run { program, "version" }
  check.equal(code, 0)
  check.contains(lines[1].text, "calotype")
  for _, line in ipairs((run { program, "help" })) do check.ok(not line.text:find "\27") end
end)

test("when we are killed what we started is interrupted, but not what was detached", function()
  local folder = tmp "orphans"
  fs.make_folder(folder)
  fs.write(folder .. "/start.lua", [[
    local process = require "native.process"
    local script = 'echo $$ > "$1.tmp"; mv "$1.tmp" "$1"; exec sleep 600'
    A = process.start { "sh", "-c", script, "sh", os.getenv "AT" .. "/bound" }
    B = process.start { "sh", "-c", script, "sh", os.getenv "AT" .. "/free", detached = true }
    os.execute "exec sleep 600"
  ]])
  local host = check.ok(process.self())
  local p = check.ok(process.start { host, folder .. "/start.lua", env = { AT = folder } })
  local function id_in(name)
    for _ = 1, 6000 do
      local text = fs.read(folder .. "/" .. name)
      if text then return tonumber(text) end
      pause()
    end
  end
  local bound, free = check.ok(id_in "bound"), check.ok(id_in "free")
  os.execute(("kill -KILL %d"):format(p:id()))
  for _ = 1, 6000 do if not alive(bound) or state(bound) == "Z" then break end pause() end
  check.ok(not alive(bound) or state(bound) == "Z")
  check.ok(alive(free))
  os.execute(("kill %d"):format(free))
  p:close()
end)
