local fs = require "native.fs"

test("a written file is read back", function()
  local path = tmp "a.txt"
  check.ok(fs.write(path, "hello"))
  check.equal(fs.read(path), "hello")
  check.equal(fs.stat(path).size, 5)
end)

test("a missing file is refused with its name and a code", function()
  check.equal(check.refused("nowhere.txt", fs.read(tmp "nowhere.txt")), "NOTFOUND")
end)

test("a list is of one folder, and of those below it when asked for", function()
  local folder = tmp "list"
  for _, name in ipairs { "a.txt", "b/c.txt" } do check.ok(fs.write(folder .. "/" .. name, "x")) end
  local function names(...)
    local out = {}
    for i, entry in ipairs(check.ok(fs.list(folder, ...))) do out[i] = entry.path:sub(#folder + 2) end
    return out
  end
  check.equal(names(), { "a.txt", "b" })
  check.equal(names(false), { "a.txt", "b" })
  check.equal(names(true), { "a.txt", "b", "b/c.txt" })
end)

test("a folder goes when it is empty, and nothing else does", function()
  local folder = tmp "folders"
  check.ok(fs.make_folder(folder .. "/a/b"))
  check.equal(check.refused("is not empty", fs.remove_folder(folder .. "/a")), "ARG")
  check.ok(fs.remove_folder(folder .. "/a/b"))
  check.equal(check.refused("cannot be removed", fs.remove_folder(folder .. "/a/b")), "NOTFOUND")
  check.ok(fs.write(folder .. "/a/file", "x"))
  check.refused("cannot be removed", fs.remove_folder(folder .. "/a/file"))
end)

test("a file is moved in one step, its folders are made, and nothing is ever moved over", function()
  local folder = tmp "moves"
  check.ok(fs.write(folder .. "/a.txt", "a") and fs.write(folder .. "/b.txt", "b"))
  check.ok(fs.move(folder .. "/a.txt", folder .. "/deep/er/a.txt"))
  check.equal({ fs.read(folder .. "/deep/er/a.txt"), (fs.stat(folder .. "/a.txt")) }, { "a" })
  check.equal(check.refused("is there already", fs.move(folder .. "/b.txt", folder .. "/deep/er/a.txt")), "BUSY")
  check.equal({ fs.read(folder .. "/b.txt"), fs.read(folder .. "/deep/er/a.txt") }, { "b", "a" })
  check.equal(check.refused("cannot be moved", fs.move(folder .. "/c.txt", folder .. "/d.txt")), "NOTFOUND")
  check.equal(check.refused("is no file", fs.move(folder .. "/deep", folder .. "/d")), "ARG")
  check.refused("b.txt", fs.move(folder .. "/deep/er/a.txt", folder .. "/b.txt/a.txt"))
  check.ok(os.execute(("ln -s b.txt %s/link.txt"):format(folder)))
  check.equal(check.refused("is a link", fs.move(folder .. "/link.txt", folder .. "/deep/link.txt")), "ARG")
  if fs.stat "/dev/shm" then
    check.ok(os.execute(("ln -s /dev/shm %s/elsewhere"):format(folder)))
    check.refused("", fs.move(folder .. "/b.txt", folder .. "/elsewhere/b.txt"))
    check.equal(fs.read(folder .. "/b.txt"), "b")
  end
end)

test("a link does not open what is closed to scripts under its own name", function()
  local pipe = io.popen "readlink /proc/$PPID/exe"
  local program = pipe:read "l":gsub("/tests/host$", "/calotype")
  pipe:close()
  local folder = tmp "guarded"
  local made = os.execute(("mkdir -p %s/.ssh && cd %s && echo SECRET > .env && echo SECRET > .ssh/id && ln -s .env notes && ln -s .ssh keys"):format(folder, folder))
  check.ok(made)
  local function says(text)
    local file = assert(io.open(folder .. "/r.lua", "w"))
    file:write(text)
    file:close()
    local out = io.popen(("cd %s && %s -q r.lua 2>&1; ls -A .ssh"):format(folder, program))
    local all = out:read "a"
    out:close()
    check.ok(not all:find "SECRET", all)
    return all
  end
  for _, path in ipairs { "notes", "keys/id", "./keys/../notes", "/proc/self/environ", "/proc/self/cwd/notes" } do
    check.contains(says(("local ok, text, why = pcall(fs.read, %q) print(text, why)"):format(path)), "closed to scripts")
  end
  check.contains(says "print(pcall(fs.list, 'keys'))", "closed to scripts")
  check.contains(says "print(pcall(fs.stat, 'notes'))", "closed to scripts")
  local all = says "fs.write('mine', 'x') print(pcall(fs.write, 'keys/more', 'x')) print(image.new(2, 2):save 'keys/p.png')"
  check.contains(all, "closed to scripts")
  check.ok(not all:find "more\n" and not all:find "\np.png", all)
  local info = io.popen(("cd %s && echo 'pcall(fs.read, [[/etc/hostname]])' > i.lua && %s info i.lua && " ..
    "echo 'fs.write([[big]], ([[x]]):rep(1e6))' > b.lua; (ulimit -f 100; %s b.lua && ls big) 2>&1; echo rc $?"):format(folder, program, program))
  local shown = info:read "a"
  info:close()
  check.contains(shown, "reads     /etc/hostname") -- what its own code does before it stops is told
  check.contains(shown, "that is known when it runs")
  check.ok(not shown:find "\nbig\n" and not shown:find "rc 153", shown)
end)

test("a folder is held by one at a time", function()
  local folder = tmp "held"
  assert(fs.make_folder(folder))
  do
    local lock <close> = assert(fs.lock(folder))
    check.equal(check.refused("another process works in", fs.lock(folder)), "BUSY")
    check.equal(tostring(lock), "lock")
  end
  local lock = assert(fs.lock(folder))
  lock:close()
  lock:close()
  assert(fs.lock(folder)):close()
  check.equal(check.refused("cannot be opened", fs.lock(folder .. "/none")), "NOTFOUND")
end)

test("what is staged lies hidden beside its file until it is renamed, and replaces it in one step", function()
  local folder = tmp "staged"
  assert(fs.write(folder .. "/a.txt", "old"))
  local staged = check.ok(fs.stage(folder .. "/a.txt", "new"))
  check.ok(staged:find("^" .. folder:gsub("%p", "%%%0") .. "/%.a%.txt%.%d+%-%d+%.tmp$"), staged)
  check.equal({ fs.read(folder .. "/a.txt"), fs.read(staged) }, { "old", "new" })
  local other = check.ok(fs.stage(folder .. "/sub/b.txt", "")) -- in a folder that is made for it
  check.ok(fs.rename(staged, folder .. "/a.txt"))
  check.equal({ fs.read(folder .. "/a.txt"), (fs.stat(staged)) }, { "new" })
  check.ok(fs.remove(other))
  check.equal(check.refused("not a regular file", fs.stage(folder .. "/sub", "x")), "ARG")
  check.equal(check.refused("", fs.rename(staged, folder .. "/a.txt")), "NOTFOUND")
  check.equal(#fs.list(folder .. "/sub"), 0)
  check.equal(check.refused("", fs.stage("/proc/none/a.txt", "x")), "NOTFOUND")
end)

test("two names of one folder have one real name", function()
  local at = tmp "real"
  os.execute(("mkdir -p %s/a && ln -s a %s/b && touch %s/a/x"):format(at, at, at))
  for _, name in ipairs { "a", "b" } do check.ok(fs.grant(at .. "/" .. name, "read")) end
  local real = check.ok(fs.real(at .. "/a"))
  check.equal(fs.real(at .. "/b"), real)
  check.equal(fs.real(at .. "/b/x"), real .. "/x")
  check.refused("missing", fs.real(at .. "/b/missing"))
end)

test("what a killed write left goes, and nothing that only looks like it", function()
  local folder = tmp "left"
  os.execute("mkdir -p " .. folder .. "/sub")
  local pipe = io.popen "echo $$" -- one that has ended by the time it is read
  local dead = pipe:read "l"
  pipe:close()
  pipe = io.popen "echo $PPID"
  local alive = pipe:read "l"
  pipe:close()
  local function make(name, time)
    local path = folder .. "/" .. name
    check.ok(fs.write(path, "x"))
    if time ~= "now" then os.execute(("touch -d '%s' '%s'"):format(time or "2 minutes ago", path)) end
    return path
  end
  local function stays(path)
    check.equal(fs.remove_left(path), false)
    check.ok(fs.stat(path), path)
  end
  local path = make(".cat.txt." .. dead .. "-0.tmp")
  check.equal(fs.remove_left(path), true)
  check.equal(fs.stat(path), nil)
  check.equal(fs.remove_left(path), false) -- it is gone
  stays(make(".cat.txt." .. dead .. "-0.tmp", "now"))
  stays(make(".cat.txt." .. alive .. "-0.tmp"))
  for _, name in ipairs { "cat.txt.%s-0.tmp", ".cat.txt.%s-0.tmp2", ".cat.txt.%s.tmp", ".cat.txt.0%s-0.tmp", ".cat.txt.%s-.tmp", ".cat.txt.-%s-1.tmp", "..%s-0.tmp",
    ".cat.txt.%s-00.tmp", ".cat.txt.%s-x.tmp", ".%s-0.tmp", ".cat.txt.x%s-0.tmp", ".cat.txt.%s00000000000-1.tmp", ".cat.txt.%s-1-2.tmp" } do
    stays(make(name:format(dead)))
  end
  stays(make ".cat.txt.0-0.tmp")
  os.execute(("ln -s %s/sub %s/.cat.txt.%s-7.tmp; mkdir %s/.cat.txt.%s-8.tmp"):format(folder, folder, dead, folder, dead))
  for n = 7, 8 do check.equal(fs.remove_left(("%s/.cat.txt.%s-%d.tmp"):format(folder, dead, n)), false) end
  check.ok(fs.stat(folder .. "/sub"))
end)
