-- tags.lua - lists of tags mended: what a tagger or a hurried person leaves behind. How tags are split, compared and put in order is that of
-- caption/tags.lua.
--
--   tags.mend("Long_Hair, a Tree, trees, backround, long hair, best quality", { quality = "first" })
--       --> "best quality, long hair, trees, background", { { kind = "spelling", from = "backround", to = "background" }, ... }
local caption_tags = require "caption.tags"
local consult = require "assistant.consult"
local folder = require "assistant.folder"
local fs = require "native.fs"
local hash = require "native.hash"
local history = require "recipe.history"
local misspelt = require "data.misspelt"
local script = require "native.script"
local settings = require "assistant.settings"
local suggest = require "recipe.suggest"
local tag_judge = require "assistant.tag_judge"

local M = {}

M.settings = settings.define("tags", consult.with({
  { "write", "boolean", default = false, doc = "write the new texts; without it they are only shown" },
  { "people", "boolean", default = false, doc = "also those of people: a .txt that a program of someone else wrote counts as a person's" },
  { "quality", "choice", choices = { "first", "keep", "drop" }, default = "first",
    doc = "words like masterpiece or best quality: in front, where they are, away" },
  { "trigger", "text", default = "", doc = "the made-up word: it stays as it is" },
  { "without", "text", default = "", doc = "tags that go, with commas between" },
  { "recursive", "boolean", default = false, doc = "read the folders below it too" },
  { "most", "integer", min = 0, max = 1000000, default = 20, doc = "how many pictures are shown" },
  { "accept", "text", default = "", doc = "which of the model's suggestions are taken: wrong, missing, better, with commas between, or all" },
  { "except", "text", default = "", doc = "tags whose suggestions are not taken, with commas between" },
}, "also ask a model which tags are wrong, missing or better written otherwise"))

-- What boorus, taggers and models say of quality, good before bad.
local QUALITY = {
  "score 9", "score 8 up", "score 7 up", "score 6 up", "score 5 up", "score 4 up", "masterpiece", "best quality", "amazing quality",
  "great quality", "high quality", "good quality", "very aesthetic", "aesthetic", "highres", "absurdres", "incredibly absurdres",
  "normal quality", "average quality",
  "displeasing", "very displeasing", "lowres", "low quality", "bad quality", "worst quality",
}
local BAD = { ["lowres"] = true, ["low quality"] = true, ["bad quality"] = true, ["worst quality"] = true, ["displeasing"] = true, ["very displeasing"] = true }
local GOOD = { ["masterpiece"] = true, ["best quality"] = true, ["amazing quality"] = true, ["great quality"] = true, ["high quality"] = true }

local BY = "calotype tags" -- as the history tells it

-- One and many are different things.
local OWN_PLURAL = {}
for word in ("short tight brief glass jean sport good boxer legging pant new"):gmatch "%a+" do OWN_PLURAL[word] = true end

local function spelled(tag, changes)
  return (tag:gsub("[%w']+", function(word)
    local right = misspelt[word:lower()]
    if not right then return nil end
    changes[#changes + 1] = { kind = "spelling", from = word, to = right }
    return word:find "^%u" and right:sub(1, 1):upper() .. right:sub(2) or right
  end))
end

-- Full stops and articles do not belong to tags: "a tree." is tree.
local function bare(tag, changes)
  local short = tag:gsub("^[Aa]n? +(%a)", "%1"):gsub("^[Tt]he +(%a)", "%1")
  if not short:find "%.%a*%.$" then short = short:gsub("([%w%)])%.$", "%1") end
  if short ~= tag then changes[#changes + 1] = { kind = "grammar", from = tag, to = short } end
  return short
end

-- tree, where there is trees.
local function without_singulars(list, changes)
  local there, out = {}, {}
  for _, tag in ipairs(list) do there[caption_tags.plain(tag)] = true end
  for _, tag in ipairs(list) do
    local plain = caption_tags.plain(tag)
    if there[plain .. "s"] and not OWN_PLURAL[plain:match "[^ ]*$"] then changes[#changes + 1] = { kind = "plural", from = tag, to = plain .. "s" }
    else out[#out + 1] = tag end
  end
  return out
end

local function note_the_rest(before, after, changes)
  local now, count = {}, {}
  for _, tag in ipairs(caption_tags.split(after)) do now[caption_tags.plain(tag)] = true end
  for _, tag in ipairs(before) do
    local plain = caption_tags.plain(tag)
    count[plain] = (count[plain] or 0) + 1
    if count[plain] == 2 then changes[#changes + 1] = { kind = "double", from = tag } end
    if not now[plain] then changes[#changes + 1] = { kind = "redundant", from = tag }
    elseif tag:find "_" and plain ~= tag:lower() and not plain:find "^score %d" then changes[#changes + 1] = { kind = "underscores", from = tag, to = plain }
    elseif plain ~= tag and plain == tag:lower() then changes[#changes + 1] = { kind = "capitals", from = tag, to = plain } end
  end
end

--- A list of tags as it should be, and what was changed: kinds are spelling, grammar, plural, double, redundant, underscores, capitals, order.
---@param text string
---@param options? { quality?: "first"|"keep"|"drop", trigger?: string, without?: string[] }
---@return string new, table[] changes, string? odd says good and bad quality at once
function M.mend(text, options)
  options = options or {}
  local changes, list, word = {}, {}, options.trigger ~= "" and options.trigger or nil
  for _, tag in ipairs(caption_tags.split(caption_tags.meant(text))) do
    list[#list + 1] = word and caption_tags.plain(tag) == caption_tags.plain(word) and tag or bare(spelled(tag, changes), changes)
  end
  list = without_singulars(list, changes)
  local without = table.move(options.without or {}, 1, #(options.without or {}), 1, {})
  if options.quality == "drop" then table.move(QUALITY, 1, #QUALITY, #without + 1, without) end
  local new = caption_tags.tidy(caption_tags.join(list), { first = (options.quality or "first") == "first" and QUALITY or nil, without = without,
    redundant = false }, word)
  new = (new .. ","):gsub("score (%d+) up,", "score_%1_up,"):gsub("score (%d+),", "score_%1,"):gsub(",$", "") -- models know these with their underscores
  note_the_rest(list, new, changes)
  local good, bad = false, false
  for _, tag in ipairs(caption_tags.split(new)) do
    good, bad = good or GOOD[tag] or false, bad or BAD[tag] or false
  end
  if #changes == 0 and new ~= text then changes[1] = { kind = "order" } end
  return new, changes, good and bad and "good and bad quality at once" or nil
end

local IS_QUALITY = {}
for _, tag in ipairs(QUALITY) do IS_QUALITY[caption_tags.plain(tag)] = true end

--- What accept= and except= say: sets of kinds and of plain tags. The command ends for what they cannot say.
---@return table<string, boolean> kinds, table<string, boolean> except
function M.accepted(options)
  local kinds, except, any = {}, {}, false
  local names = table.move(tag_judge.KINDS, 1, #tag_judge.KINDS, 1, {})
  names[#names + 1] = "all"
  for name in (options.accept or ""):gmatch "[^,%s]+" do
    local known = false
    for _, kind in ipairs(tag_judge.KINDS) do
      if name == "all" or name == kind then kinds[kind], known, any = true, true, true end
    end
    if not known then
      local near = suggest.closest(name, names)
      folder.fail(("accept=%s: a model has no such suggestions"):format(name), near and ("did you mean '%s'?"):format(near) or "there are "
        .. table.concat(names, ", "), "usage")
    end
  end
  for _, tag in ipairs(caption_tags.split(options.except or "")) do except[caption_tags.plain(tag)] = true end
  if next(except) and not any then folder.fail("except= without accept=: nothing would be taken anyway", "accept=all except=TAG,TAG", "usage") end
  if any and not options.judge then
    folder.fail("accept= takes suggestions of a model, and none is asked", "judge=yes asks; what was answered before is kept and costs nothing", "usage")
  end
  return kinds, except
end

-- The text of a picture now: what stands beside it, or what a model wrote, with its row.
local function now(photos, item)
  local row = photos:store():caption_in_force(item.sha256)
  if item.caption then
    local by = item.caption_by
    return { text = item.caption, author = by.author, path = by.path, row = by.author == "model" and row and row.author == "model" and row or nil }
  end
  if row and row.author == "model" then return { text = row.text, author = "model", row = row } end
end

-- A mended text with the model's suggestions that are accepted, mended again.
local function with_doubts(text, changes, item, kinds, except, mending)
  if not item.doubts then return text, changes, nil end
  local taken, more = tag_judge.take(text, item.doubts, kinds, except)
  if #more == 0 then return text, changes, nil end
  local new, rest = M.mend(taken, mending)
  changes = table.move(more, 1, #more, #changes + 1, table.move(changes, 1, #changes, 1, {}))
  for _, change in ipairs(rest) do if change.kind ~= "order" then changes[#changes + 1] = change end end
  return new, changes, item.doubts.by
end

--- Which texts would change, and with `judge` what a model says of their tags. Nothing is written but to the store.
---@param options { folder: string, recursive?: boolean, quality?: string, trigger?: string, without?: string, store?: string, say?: function } and
--- those of consult.lua, accept, except
---@return table found: photos, list of { item, old, new, changes, author }, told (those that change or have suggestions), counts, fault
function M.run(options)
  local kinds, except = M.accepted(options)
  local photos = folder.open(options)
  local found = { photos = photos, folder = photos.path, list = {}, told = {}, odd = {}, sentences = 0, fine = 0, without = 0,
    suggestions = 0 }
  local mending = { quality = options.quality, trigger = options.trigger, without = caption_tags.split(options.without or "") }
  local rows, items = {}, {}
  local untouched = setmetatable({ ["[trigger]"] = true, [caption_tags.plain(options.trigger or "")] = true }, { __index = IS_QUALITY })
  for i, item in ipairs(photos.items) do
    if i % 64 == 0 then folder.poll() end
    local it = now(photos, item)
    if not it then found.without = found.without + 1
    elseif not caption_tags.listed(it.text) then found.sentences = found.sentences + 1
    else
      local new, changes, odd = M.mend(it.text, mending)
      if odd then found.odd[#found.odd + 1] = { item = item, text = odd } end
      item.tagged, item.untouched = tag_judge.subject(new, untouched), untouched
      if #item.tagged > 0 then items[#items + 1] = item end
      rows[#rows + 1] = { item = item, old = it.text, new = new, changes = changes, author = it.author, path = it.path, row = it.row }
    end
  end
  if options.judge and #items > 0 then
    local ok, result = script.call(tag_judge.ask, photos, items, options)
    found.judged = ok and result or nil
    found.fault = not ok and result or nil
  end
  for _, row in ipairs(rows) do
    local item, by = row.item
    row.new, row.changes, by = with_doubts(row.new, row.changes, item, kinds, except, mending)
    row.by = by and ("%s with %s"):format(BY, by) or BY
    function row.change(text) return (with_doubts(M.mend(text, mending), {}, item, kinds, except, mending)) end
    local changes = row.new ~= row.old and row.new ~= ""
    if changes then found.list[#found.list + 1] = row else found.fine = found.fine + 1 end
    local doubts = item.doubts and tag_judge.count(item.doubts) or 0
    found.suggestions = found.suggestions + doubts
    if changes or doubts > 0 then
      row.changed = changes
      found.told[#found.told + 1] = row
    end
  end
  function found.keep(row) -- the answer holds for what it made of the tags, too
    if found.judged and row.item.doubted then
      row.item.tagged = tag_judge.subject(row.new, untouched)
      if #row.item.tagged > 0 then found.judged.keep(row.item, row.item.doubted) end
    end
  end
  return found
end

-- One text: the history first, so that the old words are never only in the file.
local function write(photos, row)
  local store, sha = photos:store(), row.item.sha256
  local path = row.path
  if path then
    photos.session:permit(path, "write", nil, "write", false)
    local info = fs.stat(path)
    if not info then folder.fail(("%s is gone since it was looked at"):format(path), "run it again") end
  end
  if row.author == "human" then
    if not history.of_person(store, sha, row.old) then store:add_caption(history.row_of_person(sha, row.old)) end
  elseif path then
    store:put("sidecar", sha .. ":" .. hash.sha256(row.new), "1")
  end
  if path then
    local ok, message, code = fs.write(path, row.new .. "\n")
    if not ok then folder.fail(("%s was not written"):format(path), message, code) end
  end
  if row.author == "human" then store:add_caption(history.row_of_person(sha, row.new, row.by))
  elseif row.row then
    local r = row.row
    local new = r.text == row.old and row.new or row.change(r.text)
    store:add_caption { sha = sha, key = r.key, text = new, author = "model", provider = r.provider, model = r.model,
      detail = history.mended(r.detail, row.by), prompt = r.prompt }
  end
end

--- Write what changed: those of models, and with `people` all.
---@return integer written
function M.write(found, people)
  local count = 0
  for _, row in ipairs(found.list) do
    if require("native.script").interrupted() > 0 then
      folder.fail("stopped", ("%d are written; the same command goes on"):format(count), "INTERRUPT")
    end
    if row.author == "model" or people then
      found.keep(row)
      write(found.photos, row)
      count = count + 1
    end
  end
  return count
end

return M
