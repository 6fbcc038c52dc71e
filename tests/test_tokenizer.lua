local fs = require "native.fs"
local json = require "native.json"
local text = require "native.text"

local folder = "tests/golden/tiny/tokenizer/"
local function open(vocab, merges, options)
  return text.clip(vocab or folder .. "vocab.json", merges or folder .. "merges.txt", options)
end
local function write(bytes)
  local path = tmp "vocab"
  check.ok(fs.write(path, bytes))
  return path
end
local specials = '"<|startoftext|>":%d,"<|endoftext|>":%d'

test("every golden text gives the ids that CLIPTokenizer gives", function()
  local tok = check.ok(open())
  local rows = json.decode(fs.read "tests/golden/tiny/tokens.json")
  check.equal(#rows, 46)
  for _, row in ipairs(rows) do
    check.equal(tok:tokens(row.text), row.tokens, row.text)
  end
end)

test("the window of 77 has a beginning, what fits, an end and padding", function()
  local tok = check.ok(open())
  for _, row in ipairs(json.decode(fs.read "tests/golden/tiny/tokens.json")) do
    local ids, cut = tok:encode(row.text, 77)
    check.equal(ids, row.padded, row.text)
    check.equal(cut, math.max(0, #row.tokens - 75), row.text)
  end
  local ids, cut = tok:encode("a red circle", 2)
  check.equal({ #ids, cut }, { 2, #tok:tokens "a red circle" })
end)

test("decoding gives the lower-cased words back", function()
  local tok = check.ok(open())
  for _, row in ipairs(json.decode(fs.read "tests/golden/tiny/tokens.json")) do
    check.equal(tok:decode(row.tokens), row.decoded, row.text)
  end
  check.fails("token 2 is no id; ids are 0 to 813", tok.decode, tok, { 5, 814 })
  check.fails("token 1 is no id", tok.decode, tok, { -1 })
  check.fails("token 1 is no id", tok.decode, tok, { "x" })
end)

test("tokens and ids are found both ways", function()
  local tok = check.ok(open())
  check.equal(tok:size(), 814)
  check.equal(tok:id "<|endoftext|>", 813)
  check.equal(tok:token(812), "<|startoftext|>")
  check.equal(tok:id "no such token", nil)
  check.equal(tok:token(814), nil)
  check.equal(tostring(tok), "tokenizer (814 tokens)")
end)

test("another padding token is used when the folder names one", function()
  local tok = check.ok(open(nil, nil, { pad = "!" }))
  local ids = tok:encode("a", 5)
  check.equal(ids, { 812, tok:id "a</w>", 813, 0, 0 })
end)

test("a text that is not UTF-8 is refused with the byte", function()
  local tok = check.ok(open())
  check.equal(check.refused("not UTF-8 at byte 3", tok:tokens "abc\xffd"), "FORMAT")
  check.equal(check.refused("not UTF-8 at byte 0", tok:encode("\xc0\x80", 77)), "FORMAT")
end)

test("a NUL and a word of a megabyte are text like any other", function()
  local tok = check.ok(open())
  check.equal(#tok:tokens "a\0b", 3)
  local long = tok:tokens(("ab"):rep(500000))
  check.ok(#long > 100000 and #long <= 1000000)
  check.refused("at most 16777216", tok:tokens(("a"):rep((16 << 20) + 1)))
end)

test("a missing file is refused with its name", function()
  check.equal(check.refused("nowhere.json", open "nowhere.json"), "NOTFOUND")
  check.equal(check.refused("nowhere.txt", open(nil, "nowhere.txt")), "NOTFOUND")
end)

test("a vocabulary without its special tokens is refused", function()
  check.refused('the begin token "<|startoftext|>" is not in it', open(write '{"a":0}'))
  check.refused('the pad token "[PAD]" is not in it', open(nil, nil, { pad = "[PAD]" }))
end)

test("merges of another model are refused with the line", function()
  local vocab = write("{" .. specials:format(0, 1) .. ',"a":2,"b":3,"ab":4,"b</w>":5}')
  check.ok(open(vocab, write "#version: 0.2\na b\n"))
  check.ok(open(vocab, write "#version: 0.2\r\na b\r\n\n"))
  check.refused('line 3: "ac" is not in the vocabulary', open(vocab, write "#version: 0.2\na b\na ac\n"))
  check.refused('line 1: "bb" is not in the vocabulary', open(vocab, write "b b"))
  for _, line in ipairs { "ab", "a  b", "a b c", " a", "a ", ("x"):rep(600) .. " b" } do
    check.refused("merges: line 1", open(vocab, write(line)))
  end
end)

test("of equal merges the leftmost is made first, and an earlier line before a later one", function()
  local vocab = write("{" .. specials:format(0, 1) .. ',"a":2,"a</w>":3,"aa":4,"b":5,"b</w>":6,"ab</w>":7,"aaa":8}')
  local tok = check.ok(open(vocab, write "a a\na b</w>"))
  check.equal(tok:tokens "aaaa aaab", { 4, 2, 3, 4, 7 })
  tok = check.ok(open(vocab, write "a b</w>\na a\naa a"))
  check.equal(tok:tokens "aab aaaab", { 2, 7, 8, 7 })
end)

test("a byte without a token becomes the unknown token", function()
  local vocab = write("{" .. specials:format(0, 1) .. ',"a":2,"b</w>":3}')
  local tok = check.ok(open(vocab, write ""))
  check.equal(tok:tokens "ab", { 2, 3 })
  check.equal(tok:tokens "xb", { 1, 3 })
  check.equal(tok:tokens "é", { 1, 1 })
end)

test("a lying or broken vocab.json is refused with the byte", function()
  local merges = write ""
  for bytes, part in pairs {
    [""] = "byte 0", ["[]"] = "byte 0: no '{'", ["{"] = "no string begins", ['{"a"'] = "no ':'", ['{"a":'] = "no whole number", ['{"a":1'] = "ends inside",
    ['{"a":1.5}'] = "no whole number", ['{"a":1e3}'] = "no whole number", ['{"a":"b"}'] = "no whole number", ['{"a":1,}'] = "no string begins",
    ['{"a":1 "b":2}'] = "no ',' or '}'", ['{"a":-1}'] = "ids are 0 to", ['{"a":2097152}'] = "ids are 0 to", ['{"a":99999999999999999999}'] = "ids are 0 to",
    ['{"a":1,"a":2}'] = '"a" comes twice', ['{"a":1,"b":1}'] = '"a" and "b" have the same id 1', ['{"a":1} x'] = "something follows",
    ['{"a\\n":1'] = "ends inside",
    ['{"\\q":1}'] = "broken escape", ['{"\\u12":1}'] = "broken escape", ['{"\\ud800":1}'] = "surrogate",
    ['{"\\ud800\\u0041":1}'] = "surrogate", ['{"\\udc00":1}'] = "surrogate", ['{"\xff":1}'] = "not UTF-8", ['{"a\1b":1}'] = "control character", ['{"a\0'] = "control character",
  } do
    check.equal(#check.refused(part, open(write(bytes), merges)) > 0, true)
  end
end)

test("escapes in vocab.json are read as JSON means them", function()
  local vocab = write("{" .. specials:format(0, 1) .. [[,"\u0061\"\\\/":2, "\ud83c\udfa8" : 3, "":4, "\u00e9\u6771":5}]])
  local tok = check.ok(open(vocab, write ""))
  check.equal(tok:token(2), 'a"\\/')
  check.equal(tok:token(3), "🎨")
  check.equal(tok:token(4), "")
  check.equal(tok:token(5), "é東")
  check.equal(tok:decode { 2, 3, 4 }, 'a"\\/🎨')
end)

test("vocab.json and merges.txt cut at any length or with flipped bits never break the reader", function()
  local vocab = "{" .. specials:format(0, 1) .. [[,"a":2,"b":3,"\u0061b":4,"c</w>":5,"abc</w>":6}]]
  local merges = "#version: 0.2\na b\nab c</w>\n"
  local good = check.ok(open(write(vocab), write(merges)))
  check.equal(good:tokens "abc", { 6 })
  for size = 0, #vocab - 1 do check.refused("", open(write(vocab:sub(1, size)), write(merges))) end
  local good_merges, good_vocab = write(merges), write(vocab)
  for size = 0, #merges - 1 do open(good_vocab, write(merges:sub(1, size))) end
  for at = 1, #vocab do
    for bit = 0, 7 do
      local tok = open(write(vocab:sub(1, at - 1) .. string.char(vocab:byte(at) ~ (1 << bit)) .. vocab:sub(at + 1)), good_merges)
      if tok then tok:encode("abc c a", 9) end
    end
  end
end)
