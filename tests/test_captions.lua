-- calotype captions: the history of what was written about pictures, as a person sees it.
local image = require "native.image"

local pipe = io.popen "readlink /proc/$PPID/exe"
local program = pipe:read "l":gsub("/tests/host$", "/calotype")
pipe:close()

-- A folder with pictures in photos/, where calotype runs.
local function project(count)
  local folder = tmp "project"
  os.execute("mkdir -p " .. folder .. "/photos")
  for i = 1, count or 2 do
    check.ok(image.new(64 + i, 48, { 40 * i, 90, 200 - 30 * i }):save(("%s/photos/p%d.png"):format(folder, i)))
  end
  return folder
end

local function put(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

-- Runs calotype in the folder; gives the exit code and all it said.
local function run(folder, words)
  local out = io.popen(("cd %s && %s %s 2>&1 </dev/null; echo \"exit $?\""):format(folder, program, words))
  local text = out:read "a"
  out:close()
  local shown, code = text:match "^(.*)exit (%d+)\n$"
  return tonumber(code), shown
end

local function ends(code, folder, words, part)
  local got, shown = run(folder, words)
  check.equal(got, code, words .. ": " .. shown)
  if part then check.contains(shown, part) end
  return shown
end

local function caption(folder, with)
  put(folder .. "/r.lua", ('images "photos":caption { with = %s }:export { as = "sidecars", to = "out" }'):format(with))
  return ends(0, folder, "run r.lua")
end

test("log tells who wrote what about a picture, oldest first", function()
  local folder = project()
  caption(folder, 'template { text = "a first {stem}" }')
  put(folder .. "/photos/p1.txt", "a boat\n")
  caption(folder, 'template { text = "a first {stem}" }')
  local shown = ends(0, folder, "captions log photos/p1.png")
  check.contains(shown, "  template  a first p1\n")
  check.contains(shown, "  a person  a boat\n")
  check.ok(shown:find "first p1.*a boat", shown)
end)

test("what cannot be logged is told with the next step", function()
  local folder = project()
  ends(2, folder, "captions log photos/p1.png", "there is no store in .calotype\n     = captions are kept in the folder where a recipe ran")
  caption(folder, "fake {}")
  ends(2, folder, "captions log photos/p11.png", "did you mean photos/p1.png?")
  ends(2, folder, "captions lgo photos/p1.png", "no word 'lgo'\n     = did you mean 'log'?")
  ends(2, folder, "captions log", "calotype captions log needs a file")
  ends(2, folder, "captions log photos/p1.png photos/p2.png", "'photos/p2.png' is one too many")
  ends(2, folder, "captions log photos/p1.png x=1", "no setting 'x'")
  image.new(9, 9, { 1, 2, 3 }):save(folder .. "/new.png")
  ends(1, folder, "captions log new.png", "new.png has no captions yet")
end)
