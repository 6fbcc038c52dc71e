-- lint.lua - what is wrong with captions before anyone trains on them.
--
--   for _, finding in ipairs(lint.look(rows, { trigger = "zkr" })) do
--     print(finding.text, table.concat(finding.names, ", "), finding.why, finding.hint)
--   end
--
-- A row is { name =, text =, raw = bytes of its file as they are?, out = the text as a trainer gets it?, asked = a model wrote it?, item =? }.
-- It looks at words only: no picture is opened, nobody is asked.
local language = require "caption.language"
local phrases = require "caption.phrases"
local set = require "recipe.set"
local tags = require "caption.tags"
local text_of = require "native.text"
local trigger = require "recipe.trigger"
local words = require "caption.words"

local M = {}

---@class calotype.finding
---@field kind string
---@field level "warning"|"note"
---@field text string what was found, with how many captions
---@field why string
---@field hint string what to do, as a sentence or as something to paste
---@field names string[] the pictures, in their order
---@field items calotype.item[] where rows have them

M.CLIP = 75        -- pieces of words that CLIP reads, without begin and end
M.ALIKE = 0.8      -- share of three-word pieces from which on two captions say nearly the same
local SHORTEST = 8 -- words that a caption needs for that

local function plural(n, one, many) return n == 1 and one or many end

-- Collects rows of one kind. `text` has %s for "3 captions".
local function finding(kind, level, rows, text, why, hint)
  local names, items = {}, {}
  for i, row in ipairs(rows) do names[i], items[i] = row.name, row.item end
  return { kind = kind, level = level, names = names, items = items, text = text, why = why, hint = hint }
end

-- The rows; rows.poll is asked at each, so that Ctrl-C ends a look at tens of thousands.
local function each(rows)
  local i = 0
  return function()
    i = i + 1
    if rows.poll and rows[i] then rows.poll() end
    return rows[i] and i, rows[i]
  end
end

local function pick(rows, test)
  local found = {}
  for _, row in each(rows) do if test(row) then found[#found + 1] = row end end
  return found
end

-- `only = function ...` for these pictures, to be pasted into a :caption.
local function only(rows)
  if #rows > 3 then return nil end
  local parts = {}
  for i, row in ipairs(rows) do parts[i] = ("p.name == %q"):format(row.name) end
  return ("only = function(p) return %s end"):format(table.concat(parts, " or "))
end

local function has_text(row) return row.text ~= nil and row.text:find "%S" ~= nil end

-- --- One kind of trouble each: fun(rows, options) -> finding? ------------------------------------------------------------------------------

local kinds = {}

function kinds.empty(rows)
  local found = pick(rows, function(row) return row.text ~= nil and not has_text(row) end)
  if #found == 0 then return end
  return finding("empty", "warning", found, ("%s %s empty"):format(set.count(#found, "caption"), plural(#found, "is", "are")),
    "kohya stops at an empty caption file, other trainers learn the picture without words",
    "here they count as missing: :caption asks for them")
end

function kinds.encoding(rows)
  local found, what, seen = {}, {}, {}
  local function note(row, name)
    if found[#found] ~= row then found[#found + 1] = row end
    if not seen[name] then
      seen[name] = true
      what[#what + 1] = name
    end
  end
  local broken = false
  for _, row in each(rows) do
    local s = row.raw or row.text or ""
    if s:find "^\255\254" or s:find "^\254\255" then note(row, "UTF-16")
    elseif s:find("\0", 1, true) then note(row, "zero bytes")
    elseif not utf8.len(s) then note(row, "bytes that are no UTF-8")
    end
    broken = broken or found[#found] == row
    if s:find("\u{FFFD}", 1, true) then note(row, "U+FFFD, the mark of lost letters") end
    if s:find "^\u{FEFF}" then note(row, "a byte-order mark") end
    if s:find("\r", 1, true) then note(row, "line ends of Windows") end
    if s:find "[\1-\8\11\12\14-\31\127]" then note(row, "control characters") end
  end
  if #found == 0 then return end
  return finding("encoding", broken and "warning" or "note", found,
    ("%s %s %s"):format(set.count(#found, "caption file"), plural(#found, "has", "have"), table.concat(what, ", ")),
    broken and "kohya stops there and so does this recipe" or "marks and line ends become part of the caption in some trainers; calotype takes them off",
    broken and "save them as UTF-8: iconv -f WINDOWS-1252 -t UTF-8 old.txt > new.txt"
      or "in copies that :export writes they are gone; lost letters must be typed again")
end

function kinds.trigger_missing(rows, options)
  local word = options.trigger
  if not word then return end
  local found = pick(rows, function(row) return has_text(row) and not row.asked and trigger.count(trigger.fill(row.text, word), word) == 0 end)
  if #found == 0 then return end
  local filled = options.dressed and "" or "; it will be put in front"
  return finding("trigger_missing", "warning", found, ("%d of %s %s the trigger%s"):format(#found, options.count or set.count(#rows, "caption"),
    plural(#found, "lacks", "lack"), filled), "what a caption does not name is learned without the trigger, and is drawn without being called",
    ("write %s where it belongs in the sentence, or [trigger]"):format(word))
end

function kinds.trigger_doubled(rows, options)
  local word = options.trigger
  if not word then return end
  local found = pick(rows, function(row) return has_text(row) and trigger.count(trigger.fill(row.text, word), word) > 1 end)
  if #found == 0 then return end
  return finding("trigger_doubled", "note", found, ("%s %s the trigger more than once"):format(set.count(#found, "caption"), plural(#found, "has", "have")),
    "a doubled trigger weighs more in these captions than in the others", ":caption and :export leave the first one")
end

-- Without what a model says before it comes to the point.
local function beginning(s)
  s = text_of.lower(s):gsub("’", "'"):gsub("^[%s\"'*#>`]+", ""):gsub("^“", "")
  return s
end

local function starts(s, list)
  for _, phrase in ipairs(list) do
    if s:sub(1, #phrase) == phrase then
      local code = s:sub(#phrase + 1) ~= "" and select(3, words.characters(s:sub(#phrase + 1))())
      if not code or words.class(code) ~= "word" or words.class(utf8.codepoint(phrase, utf8.offset(phrase, -1))) ~= "word" then return phrase end
    end
  end
end

local function without_trigger(s, options)
  if not options.trigger or not utf8.len(s) then return s end
  return (trigger.none(trigger.fill(s, options.trigger), options.trigger):gsub("^[%s,.:]+", ""))
end

-- The words of a row without the trigger, found once.
local function words_of(row, options)
  row.words = row.words or words.list(without_trigger(row.text, options))
  return row.words
end

local function refuses(s, options)
  s = beginning(without_trigger(s, options))
  local phrase = starts(s, phrases.refusals)
  for _, inside in ipairs(phrase and {} or phrases.refusals_inside) do
    if s:find(inside, 1, true) then return inside end
  end
  return phrase
end

function kinds.refusal(rows, options)
  local first
  local found = pick(rows, function(row)
    local phrase = has_text(row) and refuses(row.text, options)
    first = first or phrase
    return phrase
  end)
  if #found == 0 then return end
  local one = only(found)
  return finding("refusal", "warning", found, ("%s %s an excuse or an error, no caption (\"%s ...\")"):format(set.count(#found, "caption"),
    plural(#found, "is", "are"), first), "the words would be learned as a description of the picture",
    ("write a caption beside the picture, or ask another model: :caption { with = ..., replace = true%s }"):format(one and ", " .. one or ""))
end

function kinds.opening(rows, options)
  local first, found = nil, {}
  for _, row in each(rows) do
    if has_text(row) and not refuses(row.text, options) then
      local bare = without_trigger(row.text, options)
      local phrase = starts(beginning(bare), phrases.openings)
      if phrase then
        bare = bare:gsub("^[%s\"'*#>`]+", ""):gsub("^“", "")
        found[#found + 1], first = row, first or bare:sub(1, (utf8.offset(bare, utf8.len(phrase) + 1) or #bare + 1) - 1) -- as it is written there
      end
    end
  end
  if #found == 0 then return end
  return finding("opening", "warning", found, ("%s %s with words about the picture (\"%s ...\")"):format(set.count(#found, "caption"),
    plural(#found, "begins", "begin"), first), "every such word takes room in the text encoder and ties the subject to a phrase nobody prompts with",
    (":edit(function(p) p.caption = p.caption and p.caption:gsub(\"%s%%s*\", \"\", 1) return p end)"):format((first:gsub("%p", "%%%0"))))
end

function kinds.markup(rows)
  local first
  local found = pick(rows, function(row)
    for _, mark in ipairs(row.text and phrases.markup or {}) do
      if row.text:find(mark, 1, true) then
        first = first or mark
        return true
      end
    end
  end)
  if #found == 0 then return end
  return finding("markup", "warning", found, ("%s %s marks of a markup (%s)"):format(set.count(#found, "caption"), plural(#found, "has", "have"), first),
    "they are read as words", ":edit(function(p) p.caption = p.caption and p.caption:gsub(\"[*`]+\", \"\") return p end)")
end

function kinds.escapes(rows)
  local found = pick(rows, function(row) return row.text and tags.escapes(row.raw or row.text) == "mixed" end)
  if #found == 0 then return end
  return finding("escapes", "warning", found,
    ("%s %s brackets with and without backslashes"):format(set.count(#found, "caption"), plural(#found, "has", "have")),
    "they are kept as they are: to a trainer a backslash is a letter, to a prompt a bare bracket is a weight",
    "write all brackets of a caption in one way; :export { escape = true } puts backslashes before all of them")
end

-- How many places of the text encoder a caption takes; false when that is an estimate.
local function places(s, tokenizer)
  if tokenizer then
    local ids = tokenizer:tokens(s)
    if ids then return #ids, true end
  end
  local count = 0
  for _, word in ipairs(words.list(s)) do
    count = count + (word[1]:find "[\128-\255]" and (#word[1] + 1) // 2 or 1 + (#word[1] - 1) // 9)
  end
  for _ in s:gmatch "[,.;:!?()\"]" do count = count + 1 end
  return count, false
end

function kinds.long(rows, options)
  local most, longest, exact = options.places or M.CLIP, 0, false
  local found = pick(rows, function(row)
    local s = row.out or row.text
    if not has_text(row) or not utf8.len(s) or #s < most then return false end -- a place holds a letter at least
    local count
    count, exact = places(s, options.tokenizer)
    if count > most then longest = math.max(longest, count) end
    return count > most
  end)
  if #found == 0 then return end
  return finding("long", "warning", found, ("%s %s longer than the %d places that %s reads: the longest takes %s%d"):format(set.count(#found, "caption"),
    plural(#found, "is", "are"), most, options.tokenizer and "this base" or "CLIP", exact and "" or "about ", longest),
    (exact and "" or "an estimate: the recipe names no base. ") .. "what stands behind is not seen in training",
    (":caption { words_above = %d }"):format(math.max(1, math.floor(most * 0.7))))
end

function kinds.language(rows, options)
  local by, told = {}, {}
  for _, row in each(rows) do
    local code = has_text(row) and utf8.len(row.text) and language.of(without_trigger(row.text, options), words_of(row, options)) or nil
    if code then by[code], told[row] = (by[code] or 0) + 1, code end
  end
  local wanted = options.language
  if not wanted then -- the one that most captions are in
    for code, count in pairs(by) do if not wanted or count > by[wanted] or (count == by[wanted] and code < wanted) then wanted = code end end
  end
  if not wanted or not phrases.names[wanted] then return end
  local found, other = {}, nil
  for _, row in each(rows) do
    if told[row] and told[row] ~= wanted then
      found[#found + 1], other = row, other or told[row]
    end
  end
  if #found == 0 then return end
  local one = only(found)
  return finding("language", options.language and "warning" or "note", found, ("%s %s %s, %s %s"):format(set.count(#found, "caption"),
    plural(#found, "reads as", "read as"), language.name(other), options.language and "asked was" or "most are", language.name(wanted)),
    "two languages teach two sets of words. Told by letters and small words: short captions and lists of tags are not judged",
    ("ask again: :caption { with = ... { language = %q }, replace = true%s }"):format(wanted, one and ", " .. one or ""))
end

-- --- Captions that say the same -----------------------------------------------------------------------------------------------------------

local HASHES = 8 -- of pairs at 0.8, three in a million have none of these in common and are missed

local function joined(list)
  local parts = {}
  for i, word in ipairs(list) do parts[i] = word[1] end
  return table.concat(parts, " ")
end

local function shingles(list)
  local out = {}
  for i = 1, #list - 2 do out[list[i][1] .. " " .. list[i + 1][1] .. " " .. list[i + 2][1]] = true end
  return out
end

local function share(a, b)
  local both, all = 0, 0
  for piece in pairs(a) do
    all = all + 1
    if b[piece] then both = both + 1 end
  end
  for piece in pairs(b) do if not a[piece] then all = all + 1 end end
  return all > 0 and both / all or 0
end

--- Groups of rows that say the same or nearly so, each in its order: equal words, or M.ALIKE of their three-word pieces shared (Jaccard; found
--- by MinHash). The trigger is not looked at.
---@return table[][] groups, boolean all_equal
function M.alike(rows, options)
  local ids, next_id = {}, 0
  local groups, group_of, equal, bands = {}, {}, {}, {}
  local first_of, pieces_of = {}, {}
  local function join(row, with)
    local group = group_of[with]
    if not group then
      group = { with }
      groups[#groups + 1], group_of[with] = group, group
    end
    group[#group + 1], group_of[row] = row, group
  end
  local kinds_of_words = 0
  for _, row in each(rows) do
    if has_text(row) and utf8.len(row.text) then
      local list = words_of(row, options or {})
      local plain = joined(list)
      if equal[plain] then
        join(row, equal[plain])
      elseif plain ~= "" then
        equal[plain], kinds_of_words = row, kinds_of_words + 1
        if #list >= SHORTEST then
          local pieces = shingles(list)
          local least = {}
          for piece in pairs(pieces) do
            local id = ids[piece]
            if not id then
              next_id = next_id + 1
              id, ids[piece] = next_id, next_id
            end
            for k = 1, HASHES do -- multiplied and mixed: another order of the same pieces for each k
              local h = id * (0x9E3779B97F4A7C15 + 2 * k * 0x632BE59BD9B4E019)
              h = (h ~ (h >> 29)) * 0x1B873593CC9E2D51 >> 1
              if not least[k] or h < least[k] then least[k] = h end
            end
          end
          pieces_of[row] = pieces
          for k = 1, HASHES do
            local key = k .. " " .. least[k]
            local other = bands[key]
            if not other then bands[key] = row
            elseif not group_of[row] and other ~= row and share(pieces, pieces_of[other]) >= M.ALIKE then join(row, other)
            end
          end
        end
      end
      first_of[#first_of + 1] = row
    end
  end
  return groups, kinds_of_words == 1 and #first_of > 1
end

function kinds.alike(rows, options)
  local groups, all_equal = M.alike(rows, options)
  if #groups == 0 then return end
  local found = {}
  for _, group in ipairs(groups) do table.move(group, 1, #group, #found + 1, found) end
  local text = all_equal and ("all %s say the same"):format(set.count(#found, "caption"))
    or ("%s say the same or nearly so, in %s"):format(set.count(#found, "caption"), set.count(#groups, "group"))
  return finding("alike", "note", found, text,
    ("they share all words, or %d %% of their pieces of three words. What differs between such pictures has no word that calls it"):format(M.ALIKE * 100),
    all_equal and "fine for a single subject; for more, let a model or a person say what each picture shows"
      or "say in each what sets it apart, or :dedupe the pictures")
end

-- --- Names ----------------------------------------------------------------------------------------------------------------------------------

--- Pictures whose caption files other programs would mix up. `paths` are all pictures.
---@param paths string[]
---@return calotype.finding?
function M.names(paths)
  local by, found, seen = {}, {}, {}
  for _, path in ipairs(paths) do
    local stem = text_of.lower((path:gsub("%.[^./]*$", "")))
    local other = by[stem]
    if other then
      for _, one in ipairs { other, path } do
        if not seen[one] then found[#found + 1], seen[one] = { name = one:match "[^/]*$" }, true end
      end
    end
    by[stem] = other or path
  end
  if #found == 0 then return end
  return finding("names", "note", found, ("%s share a name but for the ending or capitals"):format(set.count(#found)),
    "trainers look for name.txt: such pictures get one caption for both", "rename one of each; in what :export writes to a folder or a zip they have numbers")
end

local ORDER = { "encoding", "empty", "refusal", "opening", "markup", "trigger_missing", "trigger_doubled", "long", "language", "escapes", "alike" }

--- Everything that is worth saying about these captions, worst first.
---@param rows { name: string, text: string?, raw: string?, item: calotype.item? }[] rows.poll: called often, may raise
---@param options? { trigger?: string, language?: string, tokenizer?: userdata, places?: integer, dressed?: boolean, count?: string }
---@return calotype.finding[]
function M.look(rows, options)
  options = options or {}
  local findings, notes = {}, {}
  for _, kind in ipairs(ORDER) do
    local found = kinds[kind](rows, options)
    if found then table.insert(found.level == "warning" and findings or notes, found) end
  end
  return table.move(notes, 1, #notes, #findings + 1, findings)
end

--- "p1.png, p2.png and 3 more"
---@param names string[]
---@param most? integer
---@return string
function M.some(names, most)
  most = most or 3
  if #names <= most + 1 then return table.concat(names, ", ") end
  return ("%s and %d more"):format(table.concat(names, ", ", 1, most), #names - most)
end

return M
