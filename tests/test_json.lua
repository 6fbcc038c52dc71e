local json = require "native.json"

test("the same value is written as the same text, keys sorted", function()
  check.equal(json.encode { b = 1, a = { 3, 2, 1 }, ["a b"] = true, B = "x" }, '{"B":"x","a":[3,2,1],"a b":true,"b":1}')
  local t = {}
  for i = 100, 1, -1 do t["key" .. i] = i end
  local again = {}
  for i = 1, 100 do again["key" .. i] = i end
  check.equal(json.encode(t), json.encode(again))
end)

test("pretty text has two spaces per level", function()
  check.equal(json.encode({ a = { 1 }, b = {}, c = json.array {} }, { pretty = true }), '{\n  "a": [\n    1\n  ],\n  "b": {},\n  "c": []\n}')
end)

test("an empty table is an object unless it is marked as an array", function()
  check.equal(json.encode {}, "{}")
  check.equal(json.encode(json.array {}), "[]")
  check.equal(json.encode(json.array()), "[]")
  check.equal(json.encode(json.decode "[]"), "[]")
  check.equal(json.encode(json.decode "{}"), "{}")
end)

test("numbers keep their kind and their bits", function()
  for _, text in ipairs { "0", "-1", "9007199254740992", "0.1", "1e-07", "1.5", "3.141592653589793", "1e+300", "4.94065645841247e-324" } do
    check.equal(json.encode(json.decode(text)), text)
  end
  check.equal(math.type(json.decode "12"), "integer")
  check.equal(math.type(json.decode "12.5"), "float")
  check.equal(math.type(json.decode "1e3"), "integer")
  check.equal(json.encode(-0.0), "0")
  for _ = 1, 200 do
    local x = (math.random() - 0.5) * 10 ^ math.random(-300, 300)
    check.equal(json.decode(json.encode(x)), x)
  end
end)

test("strings are escaped and come back", function()
  local all = {}
  for byte = 1, 127 do all[#all + 1] = string.char(byte) end
  local text = table.concat(all) .. "\u{e9}\u{4e16}\u{1f3a8}"
  check.equal(json.decode(json.encode(text)), text)
  check.equal(json.encode "\1\n\"\\\127", '"\\u0001\\n\\"\\\\\127"')
  check.equal(json.decode [["\ud83c\udfa8\u00e9\/"]], "\u{1f3a8}\u{e9}/")
end)

test("null is json.null in both directions", function()
  check.equal(json.decode "null", json.null)
  check.equal(json.encode { a = json.null, b = { json.null } }, '{"a":null,"b":[null]}')
  check.equal(json.decode '{"a":null}', { a = json.null })
end)

test("what cannot be written is named with its place", function()
  check.fails("at .a[2].f: a function cannot be written", json.encode, { a = { 1, { f = print } } })
  check.fails("a number that is not finite", json.encode, { 0 / 0 })
  check.fails("at [1]: a number that is not finite", json.encode, { math.huge })
  check.fails("beyond 2^53", json.encode, { seed = math.maxinteger })
  check.fails("at .t: a string that is not UTF-8", json.encode, { t = "\xff" })
  check.fails("a string that is not UTF-8, or has a NUL byte", json.encode, { "a\0b" })
  check.fails("a key that is not UTF-8", json.encode, { ["\xff"] = 1 })
  check.fails("neither a list nor an object", json.encode, { 1, a = 2 })
  check.fails("neither a list nor an object", json.encode, json.array { a = 2 })
  check.fails("a list with holes", json.encode, { [1] = 1, [3] = 3 })
  check.fails("neither a string nor a position", json.encode, { [1.5] = 1 })
  check.fails("neither a string nor a position", json.encode, { [0] = 1 })
  local round = {}
  round.round = round
  check.fails("100 levels", json.encode, round)
  check.fails("userdata cannot be written", json.encode, io.stdout)
  check.fails("value expected", json.encode)
end)

test("text that is not JSON is refused with line and column", function()
  local cases = {
    { "", "line 1, column 1: the text ends" }, { "  \n ", "line 2, column 2" }, { "{", "a key in quotes" }, { "[1,", "the text ends" },
    { "[1 2]", "column 4: a comma or ]" }, { "[1", "column 1: a list that is not closed" }, { '{"a":1', "an object that is not closed" },
    { "[1,]", "a value was expected" }, { '{"a":1,}', "a key in quotes" }, { '{"a" 1}', "a colon" }, { "{1:2}", "a key in quotes" },
    { '"abc', "a string that is not closed" }, { '"a\nb"', "a raw control character" }, { [["\x"]], "an unknown escape" },
    { [["\u12g4"]], "four hexadecimal" }, { [["\u0000"]], "\\u0000" }, { [["\ud800"]], "surrogate" }, { [["\udc00"]], "surrogate" },
    { [["\ud800\u0041"]], "surrogate" }, { '"\xff"', "not UTF-8" }, { '"\xc0\x80"', "not UTF-8" }, { '"\xed\xa0\x80"', "not UTF-8" },
    { "01", "more text" }, { "1.", "not a number" }, { ".5", "a value was expected" }, { "+1", "a value was expected" }, { "-", "not a number" },
    { "1e", "not a number" }, { "1e+", "not a number" }, { "nul", "a value was expected" }, { "NaN", "a value was expected" },
    { "Infinity", "a value was expected" }, { "1e999", "larger than a double" }, { "[1]x", "more text after the value" },
    { "1" .. ("0"):rep(63), "63 characters" }, { '{"a":1,"b":2,"a":3}', 'the key "a" stands twice' }, { "// x\n1", "a value was expected" },
    { "'a'", "a value was expected" }, { "[\0]", "a value was expected" }, { "tru\0e", "a value was expected" },
  }
  for _, case in ipairs(cases) do
    local value, message, code = json.decode(case[1])
    check.refused(case[2], value, message, code)
    check.equal(code, "FORMAT", case[1])
  end
end)

test("deep text is refused, not followed", function()
  check.equal(check.refused("100 levels", json.decode(("["):rep(100000))), "LIMIT")
  check.equal(check.refused("100 levels", json.decode(('{"a":'):rep(101) .. "1" .. ("}"):rep(101))), "LIMIT")
  check.ok(json.decode(("["):rep(100) .. ("]"):rep(100)))
end)

test("a text cut at any byte, or with any bit flipped, is read or refused", function()
  local text = json.encode { a = { 1, 2.5, "x\u{e9}\n" }, b = { c = true, d = json.null }, e = "\1" }
  for cut = 0, #text - 1 do check.refused("json: ", json.decode(text:sub(1, cut))) end
  for at = 1, #text do
    for bit = 0, 7 do
      local changed = text:sub(1, at - 1) .. string.char(text:byte(at) ~ (1 << bit)) .. text:sub(at + 1)
      local value, message = json.decode(changed)
      if value == nil then check.contains(message, "json: ") else json.decode(json.encode(value)) end
    end
  end
end)

test("a byte order mark before the value is skipped", function() check.equal(json.decode "\xef\xbb\xbf[1]", { 1 }) end)
