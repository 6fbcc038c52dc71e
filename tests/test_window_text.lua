-- window/text.lua: the text that is being written, against plain strings.
local hash = require "native.hash"
local text = require "window.text"

local function wide(line) -- every character ten wide
  local x = { 0 }
  for i = 1, utf8.len(line) do x[i + 1] = i * 10 end
  return x
end

local function lines(t)
  local list = {}
  for i, line in ipairs(t.lines) do list[i] = line.text end
  return list
end

test("typing, deleting and moving give the text that a person expects", function()
  local t = text.new "a red door"
  check.equal(t.caret, 0)
  t:move "end"
  check.ok(t:insert ", open")
  check.equal(t:text(), "a red door, open")
  t:move("word left", true)
  check.equal(t:selected(), "open")
  t:insert "closed"
  check.equal(t:text(), "a red door, closed")
  check.ok(t:delete "word left")
  check.equal(t:text(), "a red door, ")
  t:move "home"
  check.ok(t:delete "word right")
  check.equal(t:text(), " red door, ")
  check.equal(t:delete "left", false)
  t:move "right"
  t:delete "line end"
  check.equal(t:text(), " ")
  t:delete "line home"
  check.equal(t:text(), "")
  check.equal(t:delete "right", false)
end)

test("undo goes back word by word, redo comes again, and something new ends redo", function()
  local t = text.new "x"
  t:move "end"
  for char in (" blue door"):gmatch "." do t:insert(char) end
  check.equal(t:text(), "x blue door")
  check.ok(t:undo())
  check.equal(t:text(), "x blue ")
  check.ok(t:undo())
  check.equal(t:text(), "x ")
  check.ok(t:redo())
  check.equal(t:text(), "x blue ")
  t:delete "left"
  t:delete "left"
  check.equal(t:text(), "x blu")
  check.equal(t:redo(), false)
  t:undo()
  check.equal(t:text(), "x blue ") -- both letters at once
  t:undo()
  t:undo()
  check.equal(t:text(), "x")
  check.equal(t:undo(), false)
  t:select_all()
  t:paste "one\ntwo"
  check.equal(t:text(), "one\ntwo")
  t:undo()
  check.equal(t:text(), "x")
  check.equal(t:selected(), "x")
end)

test("the caret does not stop inside what is one character to people", function()
  local t = text.new "e\u{301}a👨\u{200D}👩\u{200D}👧b🇩🇪🇫🇷c👍🏽"
  local stops = { 0 }
  while t:move "right" do stops[#stops + 1] = t.caret end
  check.equal(stops, { 0, 2, 3, 8, 9, 11, 13, 14, 16 })
  local back = { t.caret }
  while t:move "left" do back[#back + 1] = t.caret end
  check.equal(#back, #stops)
  t:select(1, 4) -- torn at both ends: taken whole
  check.equal(t:selected(), "e\u{301}a👨\u{200D}👩\u{200D}👧")
  local accent = text.new "e\u{301}"
  accent:move "end"
  accent:delete "left"
  check.equal(accent:text(), "e") -- the accent was typed alone
  local family = text.new "👨\u{200D}👩"
  family:move "end"
  family:delete "left"
  check.equal(family:text(), "")
end)

test("words end where people see them end, in any script", function()
  local t = text.new "don't go, zkré 赤い door"
  local stops = {}
  while t.caret < t:length() do
    t:move "word right"
    stops[#stops + 1] = t:part(0, t.caret)
  end
  check.equal(stops, { "don't", "don't go", "don't go, zkré", "don't go, zkré 赤", "don't go, zkré 赤い", "don't go, zkré 赤い door" })
  local back = {}
  while t.caret > 0 do
    t:move "word left"
    back[#back + 1] = t.caret
  end
  check.equal(back, { 18, 16, 15, 10, 6, 0 })
end)

test("lines are wrapped after spaces, in scripts without them anywhere, and a long word is cut", function()
  local t = text.new "a red door is open"
  t:wrap(80, wide)
  check.equal(lines(t), { "a red ", "door is ", "open" })
  t:set "abcdefghijkl mn"
  t:wrap(50, wide)
  check.equal(lines(t), { "abcde", "fghij", "kl mn" })
  t:set "赤い扉が開いた。はい"
  t:wrap(70, wide)
  check.equal(lines(t), { "赤い扉が開い", "た。はい" }) -- no line begins with a full stop
  t:set "one\n\ntwo   three"
  t:wrap(60, wide)
  check.equal(lines(t), { "one", "", "two   ", "three" })
  t:set ""
  t:wrap(60, wide)
  check.equal(lines(t), { "" })
  t:set "w\n"
  t:wrap(5, wide) -- narrower than a letter: one letter a line all the same
  check.equal(lines(t), { "w", "" })
end)

test("up and down keep the column, home and end are those of the line", function()
  local t = text.new "a red door is open"
  t:wrap(80, wide)
  t:select(4, 4)
  t:move "down"
  check.equal(t.caret, 10)
  t:move "down"
  check.equal(t.caret, 18) -- the line is shorter
  t:move "up"
  check.equal(t.caret, 10) -- the column was remembered
  t:move "line home"
  check.equal(t.caret, 6)
  t:move "line end"
  check.equal(t.caret, 14)
  check.equal({ t:xy() }, { 80, 2 }) -- at the end of its line, not at the beginning of the next
  t:move "right"
  check.equal({ t:xy() }, { 10, 3 })
  t:move "up"
  t:move "up"
  check.equal(t.caret, 1)
  t:move "up"
  check.equal(t.caret, 0)
  t:move("down", true)
  check.equal(t:selected(), "a red d") -- the column of before
  t:move "home"
  t:wrap(80, wide, 3)
  t:move "page down"
  check.equal({ t:xy() }, { 0, 3 }) -- two lines on
end)

test("one click puts the caret, two take the word, three the line; dragging takes whole words", function()
  local t = text.new "a red door\nand more"
  t:wrap(300, wide)
  t:click(44, 1, 1)
  check.equal(t.caret, 4)
  t:click(44, 1, 2)
  check.equal(t:selected(), "red")
  t:drag(71, 1)
  check.equal(t:selected(), "red door")
  t:drag(5, 1)
  check.equal(t:selected(), "a red")
  t:click(44, 1, 3)
  check.equal(t:selected(), "a red door")
  t:click(20, 1, 1)
  t:click(30, 2, 1, true)
  check.equal(t:selected(), "red door\nand")
  t:click(10000, 9, 1)
  check.equal(t.caret, t:length())
end)

test("what an input method composes is seen and is no text yet", function()
  local t = text.new "ab"
  t:select(1, 1)
  t:compose("にほ", 2, 0)
  check.equal(t:text(), "ab")
  check.equal({ t:shown() }, { "aにほb", 1, 3 })
  t:wrap(300, wide)
  check.equal({ t:xy() }, { 30, 1 }) -- behind what is composed
  check.equal(lines(t), { "aにほb" })
  t:compose("日本", 2, 0)
  t:insert "日本"
  check.equal({ t:shown() }, { "a日本b" })
  t:undo()
  check.equal(t:text(), "ab")
  t:select_all()
  t:compose("x", 1, 0)
  t:compose("", 0, 0)
  check.equal(t:text(), "") -- what was selected went when composing began
  t:undo()
  check.equal(t:text(), "ab")
end)

test("a text that changes while an input method composes takes the composition with it", function()
  local t = text.new "abc"
  t:compose("にほ", 2, 0)
  t:select(0, 3)
  t:delete()
  check.equal({ t:shown() }, { "" })
  t:wrap(100, function() return { 0 } end)
  check.equal({ t:xy() }, { 0, 1 })
end)

test("line ends, control characters and broken bytes are set right where they come in", function()
  local t = text.new "a\r\nb\rc\0d\27[0m\xff"
  check.equal(t:text(), "a\nb\ncd[0m\u{FFFD}")
  local box = text.new("one\ntwo", { single = true })
  check.equal(box:text(), "one two")
  box:paste "\tx\n"
  check.equal(box:text(), " x one two")
  local short = text.new("abc", { most = 5 })
  check.equal(short:insert "def", false)
  check.equal(short:text(), "abc")
  check.ok(short:insert "de")
end)

test("a thousand random actions agree with a plain string, and undo leads back to the beginning", function()
  for seed = 1, 8 do
    local r = hash.random(seed)
    local function pick(list) return list[1 + r:below(#list)] end
    local t = text.new "The  old\nhouse, 赤い"
    local first = t:text()
    local pieces = { "a", "b ", "é", "e\u{301}", "\n", "赤", "👨\u{200D}👩", ",", "word" }
    local moves = { "left", "right", "word left", "word right", "up", "down", "page up", "page down", "line home", "line end", "home", "end" }
    local deletes = { "left", "right", "word left", "word right", "line home", "line end" }
    for step = 1, 1000 do
      local before, from, to = t:text(), t:selection()
      local what = (1 + r:below(10))
      if what <= 4 then
        local piece = pick(pieces)
        local caret = from or t.caret
        check.ok(t:insert(piece))
        local chars = {}
        for _, code in utf8.codes(before) do chars[#chars + 1] = utf8.char(code) end
        check.equal(t:text(), table.concat(chars, "", 1, caret) .. piece .. table.concat(chars, "", (to or caret) + 1), "seed " .. seed .. " step " .. step)
      elseif what <= 6 then
        t:delete(pick(deletes))
        check.ok(#t:text() <= #before)
      elseif what <= 8 then
        if (1 + r:below(2)) == 1 then t:wrap((1 + r:below(12)) * 10, wide) end
        t:move(pick(moves), (1 + r:below(3)) == 1)
        check.equal(t:text(), before)
      elseif what == 9 then
        t:wrap(70, wide)
        check.equal(table.concat(lines(t)), (t:text():gsub("\n", "")))
        local x, line = t:xy()
        check.ok(x and line >= 1 and line <= #t.lines)
        t:click(r:below(91), (1 + r:below(9)), (1 + r:below(3)), (1 + r:below(2)) == 1)
        t:drag(r:below(91), (1 + r:below(9)))
      elseif t:undo() then
        local back = t:text()
        t:redo()
        check.equal(t:text(), before, "seed " .. seed .. " step " .. step)
        t:undo()
        check.equal(t:text(), back)
      end
      check.ok(t.caret >= 0 and t.caret <= t:length() and t.anchor >= 0 and t.anchor <= t:length())
      check.equal(utf8.len(t:text()), t:length())
    end
    while t:undo() do check.ok(t:text()) end
    check.equal(t:text(), first, "seed " .. seed)
  end
end)
