local lexer = require "recipe.lexer"
local place = require "recipe.place"
local schema = require "recipe.schema"
local script = require "native.script"
local suggest = require "recipe.suggest"
local trigger = require "recipe.trigger"

local frame = schema.define {
  name = "frame", positional = "width", doc = "For this test.",
  options = {
    { "width", "integer", min = 1, max = 90, unit = "px", doc = "how wide" },
    { "style", "choice", choices = { "plain", "gilded" }, default = "plain", doc = "which one" },
    { "share", "cut", side = "lowest", min = 0, doc = "what goes" },
    { "names", "list", of = "text", default = {}, doc = "who" },
    { "between", "range", min = 0, doc = "from and to" },
    { "price", "money", doc = "what it costs" },
    { "test", "callback", doc = "a function" },
    { "wide", "boolean", doc = "or not" },
    { "ratio", "number", min = 0, max = 1, doc = "a part" },
    { "label", "text", doc = "words" },
    { "to", "path", doc = "where" },
  },
}
schema.define { name = "window", doc = "For this test.", options = { { "glass", "text", doc = "what kind" } } }
local needy = schema.define { name = "needy", doc = "For this test.", options = { { "to", "path", required = true, doc = "where it goes" } } }

-- Runs a recipe in which `frame` and `needy` are checked; the rendered error, or the options.
local function run(text)
  local env = {
    params = { hue = 7 },
    frame = function(given, extra)
      local known = { hue = "red" }
      return schema.read(frame, given, { at = place.here "frame", param = function(n) return known[n] end, names = function() return { "hue" } end }, extra)
    end,
    needy = function(given) return schema.read(needy, given, { at = place.here "needy" }) end,
    usd = function(n) return { usd = n } end,
  }
  text = text:gsub("return ", "got =  ") -- a tail call would leave no line behind
  local ok, result = script.call(assert(script.load(text, "@recipe.lua", env)))
  if ok then return env.got end
  return script.render(result), result
end

local function says(text, ...)
  local shown, fault = run(text)
  check.equal(type(shown), "string", "an error was expected")
  for _, part in ipairs { ... } do check.contains(shown, part) end
  check.equal(fault.exit, 2)
end

test("options come back canonical, with defaults", function()
  local o = run 'return frame { width = 3.0, share = "Lowest 10 %", names = "ann", between = 4, price = usd(0.5), label = "a ${hue} one" }'
  check.equal(o, { width = 3, style = "plain", share = { cut = "lowest", percent = 10.0 }, names = { "ann" }, between = { 4, 4 }, price = { usd = 0.5 },
    label = "a red one" })
  check.equal(math.type(o.width), "integer")
end)

test("a lone value fills the positional option, with options after it or beside it", function()
  check.equal(run("return frame(5)").width, 5)
  check.equal(run('return frame(5, { style = "gilded" })').style, "gilded")
  check.equal(run('return frame { 5, style = "gilded" }').width, 5)
end)

test("an unknown option is named with its place and the nearest one", function()
  local shown = run 'local x = 1\nreturn frame {\n  stile = "plain",\n}'
  check.equal(shown, [[
error: unknown option 'stile' for :frame
  --> recipe.lua:3:3
   3 |   stile = "plain",
     |   ^^^^^
     = did you mean 'style'?
]])
end)

test("an option of another verb is sent there", function()
  says('return frame { glass = "clear" }', "unknown option 'glass' for :frame", "this key belongs to :window")
end)

test("an option that is near nothing lists what there is", function()
  says("return needy { zzzzzz = 1 }", "unknown option 'zzzzzz'", ":needy has to")
end)

test("a wrong type says what was taken and points at the value", function()
  says('return frame { width = "wide" }', "option 'width' of :frame takes a whole number (px), not \"wide\"", "recipe.lua:1:24", "^^^^^^")
  says("return frame { width = 2.5 }", "takes a whole number (px), not 2.5")
  says("return frame { wide = 1 }", "takes true or false, not 1")
  says("return frame { label = 12 }", "takes text, not 12")
  says("return frame { test = 12 }", "takes a function, not 12")
  says("return frame { names = { 1 } }", "[1] takes text, not 1")
  says('return frame { names = { a = "b" } }', 'it has the key "a"')
  says("return frame { between = { 1 } }", "takes a number or { from, to }")
  says('return frame "wide"', "takes a whole number (px), not \"wide\"", "recipe.lua:1:14")
  says("return frame { true }", "takes a whole number (px), not true")
  says("return needy(5)", ":needy takes a table of options, not 5", "write :needy { ... }")
end)

test("a value out of range says the range", function()
  says("return frame { width = 91 }", "is 91; it must be 1 to 90 px", "   1 | got =  frame { width = 91 }")
  says("return frame { ratio = 0/0 }", "is not a number")
  says("return frame { ratio = 1/0 }", "is not a number (inf)")
  says("return frame { share = -1e999 }", "is not a number (-inf)")
  says("return frame { between = { 5, 2 } }", "the smaller number comes first")
  says("return frame { share = -1 }", "it must be at least 0")
end)

test("an unknown choice says the choices and the nearest", function()
  says('return frame { style = "gilted" }', 'is "gilted"; it can be "plain" or "gilded"', 'did you mean "gilded"?', "recipe.lua:1:24")
end)

test("a cut by a share is checked for its end and its size", function()
  says('return frame { share = "highest 10%" }', "cuts the other end", 'say "lowest 10%"')
  says('return frame { share = "lowset 10%" }', 'did you mean "lowest"?')
  says('return frame { share = "lowest 100%" }', "between 0% and 100%")
  says('return frame { share = "ten" }', 'takes a number or "lowest 10%"')
end)

test("money without a unit is refused with the unit", function() says("return frame { price = 0.5 }", "is 0.5 without a unit", "write usd(0.5)") end)

test("a missing option says what it is for", function() says("return needy {}", ":needy needs 'to': where it goes", "it takes a path") end)

test("an unknown ${name} is named with the nearest parameter", function()
  says('return frame { label = "a ${heu} one" }', "has ${heu}, which is no parameter", "did you mean ${hue}?")
  says('return frame { to = "" }', "is an empty path")
  says('return frame { label = "\\0" }', "zero byte")
  says('return frame { label = "\\xff" }', "is not UTF-8")
end)

test("a key in a chain of verbs is found on its own line", function()
  local shown = run 'local a = frame { width = 1 }\nlocal b = frame { width = 1, label = "frame { widht = 2 }" }\nreturn frame { -- widht = 1\n  widht = 2 }'
  check.contains(shown, "recipe.lua:4:3")
end)

test("the nearest name is found by edits, case and beginnings", function()
  check.equal(suggest.closest("dedup", { "dedupe", "reject" }), "dedupe")
  check.equal(suggest.closest("Dedupe", { "dedupe", "reject" }), "dedupe")
  check.equal(suggest.closest("sharp", { "sharpness_below", "side_below" }), "sharpness_below")
  check.equal(suggest.closest("zebra", { "dedupe", "reject" }), nil)
  check.equal(suggest.closest("", { "a" }), nil)
  check.equal(suggest.closest("x", { "y", "xy" }), nil)
  check.equal({ suggest.closest("abdc", { "abcd" }) }, { "abcd", 1 })
  check.equal({ suggest.closest("fram", { "frame_size", "other" }) }, { "frame_size", 0 })
  check.equal(script.nearest("abdc", { abcd = true, abc = true }), "abcd")
end)

test("tokens know their places, whatever the strings and comments hold", function()
  local tokens = lexer.tokens '#!shebang\nlocal x = "a\\"b" -- y = 2\n--[==[ z\n]] ]==] w = [[\nlong]] .. 0x1p-4 + 3..2'
  local words = {}
  for i, token in ipairs(tokens) do words[i] = ("%s@%d:%d"):format(token.text, token.line, token.column) end
  check.equal(table.concat(words, " "), 'local@2:1 x@2:7 =@2:9 "a\\"b"@2:11 w@4:9 =@4:11 [[\nlong]]@4:13 ..@5:8 0x1p-4@5:11 +@5:18 3..2@5:20')
end)

test("tokens of any bytes come to an end", function()
  local random = require("native.hash").random(7)
  for _ = 1, 300 do
    local bytes = {}
    for i = 1, random:below(40) do bytes[i] = string.char(random:below(256)) end
    lexer.tokens(table.concat(bytes))
  end
  for _, text in ipairs { '"', "'\\", "[[", "[==[", "--[[", "--", "0x", "\\", "'\\z  \n", "#!" } do lexer.tokens(text) end
end)

test("layout and comments do not change a function's tokens", function()
  check.equal(lexer.canonical "return a+ b -- c", lexer.canonical "return\n a + b")
  check.ok(lexer.canonical "return a + b" ~= lexer.canonical "return a + c")
end)

test("the trigger is put where its place is, else in front", function()
  check.equal(trigger.ensure("a photo of [trigger], red", "zkr"), "a photo of zkr, red")
  check.equal(trigger.ensure("a red door", "zkr"), "zkr, a red door")
  check.equal(trigger.ensure("", "zkr"), "zkr")
  check.equal(trigger.ensure("a zkr door", "zkr"), "a zkr door")
  check.equal(trigger.ensure("100% [trigger]", "z%k"), "100% z%k")
end)

test("only a whole word is the trigger", function()
  check.equal(trigger.count("TOKYO and TOK, tok", "TOK"), 2) -- most text encoders see small letters only
  check.equal(trigger.count("zkr_2 xzkr zkré", "zkr"), 0)
  check.equal(trigger.count("zkr-like (zkr)", "zkr"), 2)
  check.equal(trigger.ensure("TOKYO", "TOK"), "TOK, TOKYO")
  check.equal(trigger.count("in wtrclr style", "wtrclr style"), 1)
end)

test("a trigger that stands twice stays once", function()
  check.equal(trigger.once("zkr, a zkr door", "zkr"), "zkr, a door")
  check.equal(trigger.once("a photo of zkr, zkr", "zkr"), "a photo of zkr")
  check.equal(trigger.once("zkr, zkr, a door", "zkr"), "zkr, a door")
  check.equal(trigger.once("zkr", "zkr"), "zkr")
  check.equal(select(2, trigger.once("zkr, a door", "zkr")), false)
  check.equal(trigger.count(trigger.once("[trigger] and [trigger].", "zkr"), "zkr"), 1)
end)

test("a list that holds itself, or is long, is shown short", function()
  local list = {}
  list[1] = list
  check.equal(schema.show(list), "{ a table }")
  local long = {}
  for i = 1, 1000 do long[i] = { { i } } end
  check.ok(#schema.show(long) < 200)
end)
