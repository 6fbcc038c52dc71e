-- Five hundred random actions in the window against a simple model of what a person expects: captions, caption files, the rows in force, stars,
-- rejections, and the way back, also across opening again and kills.
local fs = require "native.fs"
local hash = require "native.hash"
local image = require "native.image"
local meant = require("caption.tags").meant
local project = require "window.project"
local stores = require "native.store"
local watch = require "window.watch"

local PICTURES, ACTIONS, SEEDS = 7, 500, 4

local function blank(text) return not text or not text:find "%S" end

-- --- The model: m = { row, human, asked, file, ours, seen, star, reject, draft, base } ------------------------------------------------

local function shown(m) return not blank(m.file) and m.file or m.row and m.row.text or "" end

-- What a look at the files takes up: words of a person that no row has.
local function look(m)
  if blank(m.file) or m.ours[m.file] then return end
  local text = meant(m.file)
  if m.row and m.row.person and (m.row.text == text or m.row.text == m.file) or m.human == text then return end
  m.row, m.human = { text = text, person = true }, text
end

local function side(m) return { row = m.row, file = m.file } end

local function text_on(s) return not blank(s.file) and s.file or s.row and s.row.text or "" end

-- A row of before comes back: under the question of the last run where one asked.
local function put_back(m, row)
  if not m.asked then m.human = row.text end
  m.row = row
end

local Model = {}
Model.__index = Model

function Model:apply(list, known)
  local entries = {}
  for _, wish in ipairs(list) do
    local m, text = wish[1], wish[2]
    look(m)
    if shown(m) ~= m.seen and not known then m.seen = shown(m)
    elseif text ~= shown(m) then
      local entry = { m = m, from = side(m) }
      local file = (m.file or self.beside) and text or nil
      entry.to = { row = { text = file and meant(text) or text, person = true }, file = file }
      entries[#entries + 1] = entry
    else m.draft = nil end
  end
  for _, entry in ipairs(entries) do
    local m = entry.m
    m.row, m.human = entry.to.row, entry.to.row.text
    m.file, m.draft = entry.to.file, nil
    m.seen = shown(m)
  end
  if #entries > 0 then self.done[#self.done + 1], self.undone = entries, {} end
  return #entries
end

function Model:mark(list, mark, value)
  local entries = {}
  for _, m in ipairs(list) do
    if m[mark] ~= value then entries[#entries + 1] = { m = m, mark = mark, from = m[mark], to = value } end
  end
  for _, entry in ipairs(entries) do entry.m[mark] = value end
  if #entries > 0 then self.done[#self.done + 1], self.undone = entries, {} end
end

function Model:back(from, to, source, target)
  local entries = table.remove(self[from])
  if not entries then return nil end
  local todo = {}
  for _, entry in ipairs(entries) do
    local m = entry.m
    if entry.mark then
      if m[entry.mark] == entry[source] then todo[#todo + 1] = entry end
    else
      look(m)
      m.seen = shown(m)
      if shown(m) == text_on(entry[source]) then todo[#todo + 1] = entry end
    end
  end
  for _, entry in ipairs(todo) do
    local m, wanted = entry.m, entry[target]
    if entry.mark then m[entry.mark] = wanted
    else
      if wanted.row then
        if m.row ~= wanted.row then put_back(m, wanted.row) end
      elseif m.row and m.row.text ~= "" then m.row, m.human = { text = "", person = true }, "" end
      local had = m.file
      if wanted.file and (had or not entry[source].file) then m.file = wanted.file
      elseif not wanted.file and had and entry[source].file then m.file = nil end
      if m.file and m.row and not m.row.person and m.file == m.row.text then m.ours[m.file] = true end
      m.seen = shown(m)
    end
  end
  table.insert(self[to], entries)
  return #todo
end

function Model:undo() return self:back("done", "undone", "to", "from") end
function Model:redo() return self:back("undone", "done", "from", "to") end

-- --- The run --------------------------------------------------------------------------------------------------------------------------

local function play(seed, actions)
  local r = hash.random(seed)
  local function any(n) return 1 + r:below(n) end
  local function pick(list) return list[any(#list)] end
  local at = tmp "random"
  os.execute("mkdir -p " .. at .. "/photos")
  local model = setmetatable({ done = {}, undone = {}, beside = false }, Model)
  local ms, paths = {}, {}
  for i = 1, PICTURES do
    paths[i] = ("%s/photos/p%d.png"):format(at, i)
    check.ok(image.new(60 + i, 48, { 20 * i, 90, 200 }):save(paths[i]))
    ms[i] = { ours = {}, seen = "", star = 0, path = paths[i], name = ("%s/photos/p%d.txt"):format(at, i) }
  end
  local function put(m, text)
    check.ok(fs.write(m.name, text .. "\n"))
    m.file = text
  end
  for i = 1, 3 do put(ms[i], "a first caption of " .. i) end
  local folder = at .. "/.calotype"
  local store = stores.open(folder)
  check.ok(require("native.dataset").scan(store, paths))
  store:close()
  local p, w, trail = nil, nil, {}
  local function open()
    p = check.ok(project.open(at .. "/photos", { store = folder }))
    w = watch.new(p)
    for i, m in ipairs(ms) do
      look(m)
      m.seen, m.item = shown(m), p.items[i]
    end
  end
  open()

  local letters = { "a", "red", "door", "zkr", ",", "\\(x\\)", "é", "扉", "\n", "100%", "(y)" }
  local function words()
    local parts = {}
    for i = 1, any(4) do parts[i] = pick(letters) end
    return (table.concat(parts, " "):gsub("\n+$", ""))
  end
  local function some()
    local list, items = {}, {}
    for _, m in ipairs(ms) do
      if r:below(2) == 0 then list[#list + 1], items[#items + 1] = m, m.item end
    end
    return list, items
  end
  local function settle()
    if not p.changes.conflict then return end
    for _, m in ipairs(ms) do
      if p.changes.conflict.item == m.item then
        m.seen = shown(m)
        local mine = m.draft
        if r:below(2) == 0 then
          check.ok(p.changes:settle "mine" ~= nil)
          model:apply({ { m, mine } }, true)
        else
          check.ok(p.changes:settle "theirs")
          local row = m.row
          m.human = mine
          if row then put_back(m, row) else m.row, m.human = { text = "", person = true }, "" end
          m.draft = nil
        end
        return
      end
    end
  end
  local function commit(m) -- in the model
    if not m.draft then return end
    look(m)
    if shown(m) ~= m.seen and shown(m) ~= m.draft then m.seen = shown(m) -- a conflict
    else model:apply({ { m, m.draft } }, true) end
  end
  local typing
  local function leave() -- what every other change does first
    if typing then
      local m = typing
      typing = nil
      p.changes:commit()
      commit(m)
      settle()
      m.draft = nil
    end
  end

  local function checked() -- all are looked at
    w:check(p.items)
    for _, m in ipairs(ms) do
      look(m)
      if m.draft and shown(m) ~= m.seen and shown(m) ~= m.draft then
        settle()
        typing = nil
      else m.seen = shown(m) end
    end
  end

  local function changed(list, change)
    local wishes = {}
    for _, m in ipairs(list) do
      local text = change(m.seen)
      if text ~= m.seen then wishes[#wishes + 1] = { m, text } end
    end
    model:apply(wishes)
  end

  local acts = {
    write = function()
      leave()
      local m, text = pick(ms), words()
      p.changes:write(m.item, text)
      model:apply { { m, text } }
    end,
    many = function()
      leave()
      local list, wishes, mine = some(), {}, {}
      for _, m in ipairs(list) do
        local text = words()
        wishes[#wishes + 1], mine[#mine + 1] = { m.item, text }, { m, text }
      end
      p.changes:write_many(wishes, "many")
      model:apply(mine)
    end,
    append = function()
      leave()
      local list, items = some()
      p.changes:append(items, "tail", "; ")
      changed(list, function(s) return s:find "%S" and s .. "; tail" or "tail" end)
    end,
    replace = function()
      leave()
      local list, items = some()
      local plan = check.ok(require("window.replace").plan(items, { find = "red", with = "blue", case = true }))
      p.changes:replace(plan)
      changed(list, function(s) return (s:gsub("red", "blue")) end)
    end,
    clear = function()
      leave()
      local list, items = some()
      p.changes:clear(items)
      changed(list, function() return "" end)
    end,
    copy = function()
      leave()
      local list, items = some()
      local from = pick(ms)
      local text = from.seen
      p.changes:copy(from.item, items)
      changed(list, function() return text end)
    end,
    star = function()
      local list, items = some()
      local stars = r:below(6)
      p.changes:star(items, stars)
      model:mark(list, "star", stars)
    end,
    reject = function()
      local list, items = some()
      if r:below(2) == 0 then
        p.changes:reject(items, "why")
        model:mark(list, "reject", "why")
      else
        p.changes:restore(items)
        model:mark(list, "reject", nil)
      end
    end,
    undo = function()
      leave()
      for _ = 1, any(3) do
        local done = p.changes:undo()
        check.equal(done and done.count, model:undo())
      end
    end,
    redo = function()
      leave()
      for _ = 1, any(3) do
        local done = p.changes:redo()
        check.equal(done and done.count, model:redo())
      end
    end,
    other = function() -- another program writes a caption file
      put(pick(ms), "other " .. words())
      if r:below(3) > 0 then checked() end
    end,
    gone = function() -- or takes it away
      local m = pick(ms)
      if m.file then check.ok(fs.remove(m.name)) end
      m.file = nil
      checked()
    end,
    run = function() -- a run gives captions meanwhile
      local m, text = pick(ms), "a run says " .. words()
      local second <close> = stores.open(folder)
      local sha = hash.sha256(fs.read(m.path))
      check.ok(second:add_caption { sha = sha, key = "question", text = text, author = "model", provider = "fake" })
      m.row, m.asked = { text = text }, true
    end,
    type = function()
      local m = pick(ms)
      if typing ~= m then leave() end
      local base, text = m.seen, words()
      for i in utf8.codes(text) do
        local part = text:sub(1, i - 1)
        check.ok(p.changes:type(m.item, part))
      end
      check.ok(p.changes:type(m.item, text))
      if text ~= base then m.draft, typing = text, m else m.draft, typing = nil, m end
    end,
    rest = function() leave() end,
    discard = function()
      if typing and typing.draft then
        check.ok(p.changes:discard())
        typing.draft, typing = nil, nil
      end
    end,
    close = function()
      leave()
      p:close()
      open()
      settle()
    end,
    kill = function()
      local m = typing
      local base = m and m.seen
      typing = nil
      p.store:close()
      open()
      if m and m.draft then
        if shown(m) ~= base and shown(m) ~= m.draft then settle()
        else model:apply({ { m, m.draft } }, true) end
        m.draft = nil
      end
      settle()
    end,
    beside = function()
      leave()
      model.beside = not model.beside
      p.settings.beside = model.beside
      p:keep()
    end,
  }
  local names = {}
  for name in pairs(acts) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs { "write", "many", "undo", "undo", "redo", "type", "type", "append" } do names[#names + 1] = name end

  local function compare(what)
    for i, m in ipairs(ms) do
      local item = p.items[i]
      local where = ("seed %d, %s, p%d"):format(seed, what, i)
      check.equal(item.caption, m.seen, where .. ": caption")
      check.equal(item.star, m.star, where .. ": stars")
      check.equal(item.reject and item.reject.reason, m.reject, where .. ": rejection")
      check.equal(item.draft, m.draft, where .. ": draft")
      check.equal(fs.read(m.name), m.file and m.file .. "\n" or nil, where .. ": caption file")
      local row = p.store:caption_in_force(item.sha256)
      check.equal(row and row.text or "", m.row and m.row.text or "", where .. ": row in force")
      local count = 0
      for _, each in ipairs(p.changes:history(item)) do if each.in_force then count = count + 1 end end
      check.equal(count, row and 1 or 0, where .. ": one row in force")
    end
    local undo, redo = p.changes:can()
    check.equal(undo ~= nil, #model.done > 0, what .. ": can undo")
    check.equal(redo ~= nil, #model.undone > 0, what .. ": can redo")
  end

  for step = 1, actions do
    local name = pick(names)
    trail[#trail + 1] = name
    local ok, problem = pcall(acts[name])
    if ok then ok, problem = pcall(compare, ("step %d (%s)"):format(step, name)) end
    if not ok then error(("%s\nafter %s"):format(tostring(problem), table.concat(trail, " ", math.max(1, #trail - 12))), 0) end
  end
  leave()
  -- All the way back, and all the way on again.
  while #model.done > 0 do check.equal(p.changes:undo().count, model:undo()) end
  check.equal(p.changes:undo(), nil)
  compare "all undone"
  p:close()
  open()
  while #model.undone > 0 do check.equal(p.changes:redo().count, model:redo()) end
  compare "all done again"
  p:close()
  open()
  compare "opened again"
  p:close()
end

test(("%d random actions leave store, caption files and the way back as a simple model has them (seeds 1 to %d)"):format(ACTIONS, SEEDS), function()
  for seed = 1, SEEDS do play(seed, ACTIONS) end
end)
