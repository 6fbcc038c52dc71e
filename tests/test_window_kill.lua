-- The window's model is killed at a hundred random moments, while captions are typed, changed together, undone and read. Nothing but a last key
-- may be lost: a change of many pictures is there as a whole or not at all, caption files are whole and say what the store says.
local fs = require "native.fs"
local hash = require "native.hash"
local image = require "native.image"
local json = require "native.json"
local log = require "native.log"
local project = require "window.project"
local script = require "native.script"
local stores = require "native.store"

local KILLS, PICTURES, SEED = 100, 6, 20261121

local pipe = io.popen "readlink /proc/$PPID/exe"
local host = pipe:read "l"
pipe:close()

-- What runs until it is killed. It writes down what it is about to do ("will") and what is done ("did"), as captions of all pictures.
local CHILD = [[
local hash = require "native.hash"
local json = require "native.json"
local project = require "window.project"
local at, seed = %q, %d
local r = hash.random(seed)
local journal = io.open(at .. "/journal", "a")
journal:setvbuf "no"
local function note(word, state) journal:write(word, " ", json.encode(json.array(state)), "\n") end
local p, state, back, on
local function open()
  p = project.open(at .. "/photos", { store = at .. "/.calotype" })
  state, back, on = {}, {}, {}
  for i, item in ipairs(p.items) do state[i] = item.caption end
end
local function copy(list) return table.move(list, 1, #list, 1, {}) end
open()
note("did", state)
local count = 0
while true do
  count = count + 1
  local what = r:below(10)
  if what < 5 then
    local i = 1 + r:below(#p.items)
    local before, text = copy(state), state[i]:sub(1, 40)
    if text ~= state[i] then text = "" end
    for k = 1, 1 + r:below(12) do
      text = text .. ("abcdefgh "):sub(1 + r:below(9)):sub(1, 1)
      local next_state = copy(state)
      next_state[i] = text
      note("will", next_state)
      p.changes:type(p.items[i], text)
      state = next_state
      note("did", state)
      require("native.script").pause(0.002) -- nobody types faster
    end
    if p.changes:commit() then back[#back + 1], on = before, {} end
  elseif what < 7 then
    local before, next_state, wishes = copy(state), {}, {}
    for i, item in ipairs(p.items) do
      next_state[i] = ("change %%d of %%d: %%s"):format(count, i, ("x"):rep(r:below(3000)))
      wishes[i] = { item, next_state[i] }
    end
    note("will", next_state)
    p.changes:write_many(wishes, "many")
    state = next_state
    note("did", state)
    back[#back + 1], on = before, {}
  elseif what < 9 then
    local from, to = back, on
    if r:below(2) == 0 then from, to = on, back end
    local next_state = table.remove(from)
    if next_state then
      note("will", next_state)
      if from == back then p.changes:undo() else p.changes:redo() end
      to[#to + 1] = state
      state = next_state
      note("did", state)
    end
  else
    p:close()
    open()
    note("did", state)
  end
end
]]

-- The last states that were told; a line that a kill cut is none.
local function told(path)
  local did, will
  for word, text in (fs.read(path) or ""):gmatch "(%l+) ([^\n]*)\n" do
    if word == "did" then did, will = json.decode(text), nil else will = json.decode(text) end
  end
  return did, will
end

-- Until so many lines stand in the file behind its byte `from`, or a minute is over.
local function wait_for_lines(path, from, count)
  local till, lines = log.clock() + 60, 0
  while lines < count and log.clock() < till do
    local file <close> = io.open(path)
    if file then
      file:seek("set", from)
      local more = file:read "a"
      from, lines = from + #more, lines + select(2, more:gsub("\n", ""))
    end
    script.pause(0.002)
  end
end

local function same(list, state)
  for i, text in ipairs(state or {}) do if list[i] ~= text then return false end end
  return state ~= nil and #list == #state
end

test(("%d kills lose at most the last key, and store and caption files agree afterwards (seed %d)"):format(KILLS, SEED), function()
  local at = tmp "kill"
  os.execute("mkdir -p " .. at .. "/photos")
  local paths = {}
  for i = 1, PICTURES do
    paths[i] = ("%s/photos/p%d.png"):format(at, i)
    check.ok(image.new(60 + i, 48, { 20 * i, 90, 200 }):save(paths[i]))
    if i % 2 == 1 then check.ok(fs.write((paths[i]:gsub("png$", "txt")), "first " .. i .. "\n")) end
  end
  local store = stores.open(at .. "/.calotype")
  check.ok(require("native.dataset").scan(store, paths))
  store:close()
  local r, lasts, steps, drafts = hash.random(SEED), { did = 0, will = 0 }, 0, 0
  local out = at .. "/out"
  for kill = 1, KILLS do
    check.ok(fs.write(at .. "/child.lua", CHILD:format(at, SEED + kill)))
    local journal = #(fs.read(at .. "/journal") or "")
    local child = io.popen(("%s %s/child.lua >%s 2>&1 & echo $!; wait $! 2>/dev/null"):format(host, at, out))
    local pid = child:read "l"
    if kill % 4 > 0 then -- a moment in its work, however slow the machine
      wait_for_lines(at .. "/journal", journal, 1 + r:below(40))
      script.pause(r:below(4) / 1000)
    else script.pause(r:below(120) / 1000) -- also while it begins
    end
    os.execute("kill -9 " .. pid)
    child:close() -- it is gone
    local said = fs.read(out) or ""
    check.equal(said, "", "kill " .. kill .. ": it ended by itself")

    local did, will = told(at .. "/journal")
    local p = check.ok(project.open(at .. "/photos", { store = at .. "/.calotype" }))
    local captions = {}
    for i, item in ipairs(p.items) do captions[i] = item.caption end
    if did then
      local which = same(captions, did) and "did" or same(captions, will) and "will"
      check.ok(which, ("kill %d: the captions are %s; last done %s, about to be done %s"):format(kill, json.encode(json.array(captions)):sub(1, 400),
        json.encode(json.array(did)):sub(1, 400), will and json.encode(json.array(will)):sub(1, 400)))
      lasts[which] = lasts[which] + 1
    end
    for _, news in ipairs(p:told()) do if news.text:find "what you were writing" then drafts = drafts + 1 end end
    check.equal(p.changes.conflict, nil)
    check.equal(p.store:drafts(), {})
    for i, item in ipairs(p.items) do
      local bytes = fs.read((item.path:gsub("png$", "txt")))
      local row = p.store:caption_in_force(item.sha256)
      check.equal(bytes ~= nil, i % 2 == 1)
      if bytes then check.equal(bytes, item.caption .. "\n", "kill " .. kill) end
      check.equal(row and row.text or "", item.caption, "kill " .. kill)
    end
    steps = #p.changes:list(100000)
    -- the last step leads back and on again
    local done = p.changes:undo()
    if done then
      check.equal(done.left, {})
      check.equal(p.changes:redo().left, {})
      for i, item in ipairs(p.items) do check.equal(item.caption, captions[i]) end
    end
    p:close()
  end
  -- between getting a name and taking its place a whole file is hidden beside the other; a kill there leaves it, and nobody reads it
  for _, entry in ipairs(fs.list(at .. "/photos")) do
    check.ok(entry.path:find "/p%d%.png$" or entry.path:find "/p[135]%.txt$" or entry.path:find "/%.p[135]%.txt%.%d+%-%d+%.tmp$", entry.path)
  end
  check.ok(steps > KILLS / 2, "too little was done: " .. steps)
  check.ok(lasts.did > 0 and lasts.did + lasts.will >= KILLS - 5)
  check.ok(drafts > KILLS / 10, "too few kills met a draft: " .. drafts)
end)
