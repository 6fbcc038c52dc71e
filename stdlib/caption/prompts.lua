-- prompts.lua - the words of a question about a picture, from data/prompts/LANGUAGE.lua.
--
--   local asked = prompts.build { style = "tags", focus = "character", language = "en" }
--   asked.system, asked.user, asked.schema      -- texts; the schema is JSON
--   asked.kind, asked.id                        -- "caption" or "tags"; the sha256 of the three
--   prompts.read(asked, reply.text)             --> the caption, or nil and why it is none
--   prompts.judging("judge", "en").system       -- the words of another question; .ask
local fs = require "native.fs"
local hash = require "native.hash"
local json = require "native.json"
local script = require "native.script"

local M = { styles = { "detailed", "concise", "tags" }, focuses = { "all", "character", "style", "scene" } }

local BUILT_IN = { "de", "en", "es", "fr", "ja", "zh" }
local TAGS_MOST = 100
local known = {}

-- The parts that a file of prompts has, with their own parts.
local SHAPE = { role = true, rules = true, answer_in = true, besides = true, style = M.styles, focus = M.focuses, tags_in = { "here", "english" },
  ask = { "caption", "tags" }, answer = { "caption", "tags" } }

-- Questions about pictures that have their captions: a file may leave them out.
local JUDGING = { judge = { "system", "ask" }, judge_tags = { "system", "ask" } }

local function missing(words, shape)
  for name, parts in pairs(shape) do
    local value = words[name]
    if shape == JUDGING and value == nil then parts = {} end
    if parts == true and type(value) ~= "string" then return name end
    for _, part in ipairs(parts ~= true and parts or {}) do
      if type(value) ~= "table" or type(value[part]) ~= "string" then return name .. "." .. part end
    end
  end
end

-- The user's own file, where CALOTYPE_PROMPTS names a folder that has one; false where it has not. nil and a complaint: it is no such file.
local function own(language)
  local folder = script.env "CALOTYPE_PROMPTS"
  if not folder or folder == "" then return false end
  local path = ("%s/%s.lua"):format(folder, language)
  local ok, message, code = fs.grant(path, "read")
  local text
  if ok then text, message, code = fs.read(path) end
  if not text then
    if code == "NOTFOUND" then return false end
    return nil, ("%s cannot be read: %s"):format(path, message)
  end
  local fn, problem = script.load(text, "@" .. path, {})
  if not fn then return nil, ("%s, line %d: %s"):format(path, problem.line or 1, problem.message) end
  local good, words = script.call(script.limit, 2, fn)
  if not good or type(words) ~= "table" then return nil, path .. " gives no table of prompts" end
  local part = missing(words, SHAPE) or missing(words, JUDGING)
  if part then return nil, ("%s has no '%s'"):format(path, part) end
  return words
end

--- The words of a language; nil and what is wrong.
---@return table?, string?
function M.words(language)
  local key = language .. " " .. (script.env "CALOTYPE_PROMPTS" or "")
  if known[key] then return known[key] end
  local words, complaint = own(language)
  if words == nil then return nil, complaint end
  if not words then
    for _, name in ipairs(BUILT_IN) do if name == language then words = require("data.prompts." .. name) end end
  end
  if not words then
    return nil, ("there are no prompts in %q; there are %s"):format(language, table.concat(BUILT_IN, ", ")),
      ("put %s.lua, in the shape of stdlib/data/prompts/en.lua, into a folder and name it: CALOTYPE_PROMPTS=FOLDER"):format(language)
  end
  known[key] = words
  return words
end

--- The words of a judgement: `judge` or `judge_tags`. A file of one's own without them leaves them as they are; nil and what is wrong.
---@param part "judge"|"judge_tags"
---@return { system: string, ask: string }?, string?, string?
function M.judging(part, language)
  local words, complaint, hint = M.words(language)
  if not words then return nil, complaint, hint end
  if words[part] then return words[part] end
  for _, name in ipairs(BUILT_IN) do if name == language then return require("data.prompts." .. name)[part] end end
  return nil, ("the prompts in %q have no '%s'"):format(language, part), "stdlib/data/prompts/en.lua shows it"
end

local function schema_of(words, kind)
  local property = kind == "tags" and { type = "array", items = { type = "string" }, description = words.answer.tags }
    or { type = "string", description = words.answer.caption }
  return json.encode { type = "object", properties = { [kind] = property }, required = json.array { kind }, additionalProperties = false }
end

--- The question. Options: style, focus, language, tag_language, instructions.
---@return { system: string, user: string, schema: string, kind: "caption"|"tags", id: string }
function M.build(options)
  local words = assert(M.words(options.language or "en"))
  local style, kind = options.style or "detailed", options.style == "tags" and "tags" or "caption"
  local system = { words.role, words.focus[options.focus or "all"], words.style[style], words.rules }
  if kind == "caption" then system[#system + 1] = words.answer_in
  elseif (options.tag_language or "en") == "en" then system[#system + 1] = words.tags_in.english
  else system[#system + 1] = words.tags_in.here end
  if options.instructions and options.instructions ~= "" then system[#system + 1] = words.besides .. options.instructions end
  local asked = { kind = kind, system = table.concat(system, "\n"), user = words.ask[kind], schema = schema_of(words, kind) }
  asked.id = hash.sha256(asked.system .. "\0" .. asked.user .. "\0" .. asked.schema)
  return asked
end

--- One line. Escapes that colour a terminal, controls, and marks that reverse writing have no place in what a stranger says of a picture.
---@param text string
---@return string
function M.tidy(text)
  text = text:gsub("^\u{FEFF}", ""):gsub("\u{85}", " "):gsub("\226\128[\168\169]", " ") -- a line's end in Unicode: U+2028, U+2029
  text = text:gsub("%s+", " "):gsub("\27%[[%d;]*%a", ""):gsub("%c+", ""):gsub("\194[\128-\159]", ""):gsub("\226\128[\170-\174]", "")
    :gsub("\226\129[\166-\169]", "")
  return (text:gsub(" +", " "):gsub("^ ", ""):gsub(" $", ""))
end
local tidy = M.tidy

-- Spaces and marks that nobody sees, in other scripts than ASCII's.
local UNSEEN = { "\u{A0}", "\u{AD}", "\u{1680}", "\u{202F}", "\u{205F}", "\u{3000}", "\u{FEFF}" }
for code = 0x2000, 0x200F do UNSEEN[#UNSEEN + 1] = utf8.char(code) end
for code = 0x2060, 0x2064 do UNSEEN[#UNSEEN + 1] = utf8.char(code) end

local function seen_of(text)
  for _, mark in ipairs(UNSEEN) do text = text:gsub(mark, "") end
  return text
end

-- Words of a list, each once, in their order.
local function list_of(values)
  local list, seen = {}, {}
  for _, value in ipairs(values) do
    local tag = type(value) == "string" and tidy(value):gsub("^,+", ""):gsub(",+$", "") or ""
    if seen_of(tag):find "%S" and not seen[tag] and #list < TAGS_MOST then list[#list + 1] = tag end
    seen[tag] = true
  end
  return list
end

-- "a, b\n- c" as a list.
local function split(text)
  local parts = {}
  for part in text:gmatch "[^,\n]+" do parts[#parts + 1] = part:gsub("^%s*[%-%*]%s+", "") end
  return parts
end

--- The caption in a reply: from the JSON that was asked for, or, of servers that know no schemas, from plain text.
---@return string? text, string? why
function M.read(asked, text)
  local value = json.decode(text)
  if value == json.null then return nil, "the answer is null" end
  local is_table, found = type(value) == "table", text
  if is_table then found = value[asked.kind] or (asked.kind == "tags" and #value > 0 and value) or nil
  elseif text:find "^%s*[{%[]" and not text:find "^%s*%[trigger%]" then return nil, "the answer is JSON that breaks off"
  elseif type(value) == "string" then found = value end
  if asked.kind == "tags" then
    if type(found) == "string" then found = split(found) end
    found = table.concat(list_of(type(found) == "table" and found or {}), ", ")
  end
  -- Punctuation alone is no caption; a tag it may be: ^_^
  if type(found) ~= "string" or not seen_of(tidy(found)):find(asked.kind == "tags" and "%S" or "[^%s%p]") then
    return nil, is_table and ("the answer has no %s in it"):format(asked.kind) or "the answer has no words"
  end
  return tidy(found)
end

return M
