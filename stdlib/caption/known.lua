-- known.lua - the captions that a recipe's pictures have before it runs, and what the linter says of them: for `calotype check` and the report.
--
-- `check` reads files beside the pictures and the store, and of a large folder only a part: it says so. No picture is opened, nobody is asked.
local asking = require "recipe.asking"
local dressing = require "caption.dressing"
local fs = require "native.fs"
local lint = require "caption.lint"
local matched = require "caption.matched"
local providers = require "recipe.providers"
local set = require "recipe.set"
local stage = require "recipe.stage"
local stores = require "native.store"
local tags = require "caption.tags"
local trim = require "caption.trim"

local M = {}

local MOST = 200      -- pictures whose captions are read, so that check stays quick
local LONGEST = 65536 -- bytes of a caption file; a longer one is none

-- The :caption that speaks last for a stage, the base that it is trained on in this recipe, and the language that was asked for.
local function about(self, session)
  local caption, options = nil, {}
  for _, step in ipairs(stage.lineage(self)) do
    local state = stage.state(step)
    if state.verb.name == "caption" then caption = state end
  end
  for _, made in ipairs(session.stages) do
    local base = stage.state(made).verb.name == "train_lora" and stage.state(made).base
    if base then options.tokenizer, options.places = base.tokenizer, base.length - 2 end
  end
  local with = caption and asking.members(caption.options.with)[1]
  local asked = with and with.options or {}
  if asked.language and not (asked.style == "tags" and asked.tag_language == "en") then options.language = asked.language end
  return caption, options, with and providers.writes_tags(with) or false
end

--- What is worth saying about the captions of these pictures as they are now.
---@param self table stage
---@param items calotype.item[]
---@return calotype.finding[]
function M.look(self, items)
  local state = stage.state(self)
  local _, options = about(self, state.session)
  local rows = {}
  for i, item in ipairs(items) do rows[i] = { name = item.name, text = item.caption, match = item.match, item = item } end
  function rows.poll() state.session:poll(state.at) end
  options.trigger, options.dressed = state.trigger, true
  return lint.look(rows, options)
end

-- The text of a caption file as images will read it; nil where it is no text.
local function text_of(raw)
  local s = trim.right(raw:gsub("^\u{FEFF}", ""):gsub("\r\n?", "\n"), "\n")
  if not utf8.len(s) or s:find("\0", 1, true) then return nil end
  return tags.meant(s)
end

-- The caption of a picture: beside it, else what the store has in force.
local function row_of(path, store)
  local base, name = path:gsub("%.[^./]*$", ""), path:match "[^/]*$"
  for _, ending in ipairs { ".txt", ".caption" } do
    local raw = fs.read(base .. ending, LONGEST)
    if raw then return { name = name, raw = raw, text = text_of(raw) } end
  end
  local sha = store and store:seen(path)
  local kept = sha and store:caption_in_force(sha)
  return kept and { name = name, text = kept.text, asked = kept.author ~= "human" } or nil
end

-- Evenly over the whole list.
local function some(list, most)
  if #list <= most then return list end
  local out = {}
  for i = 1, most do out[i] = list[(i - 1) * #list // most + 1] end
  return out
end

-- The captions of a stage's pictures; a large folder is not read whole. Also the paths of all, and what `about` says.
local function rows_of(session, self, store)
  local state, paths = stage.state(self), {}
  for _, step in ipairs(stage.lineage(self)) do
    local found = stage.state(step).pictures or {}
    table.move(found, 1, #found, #paths + 1, paths)
  end
  local caption, options, by_tags = about(self, session)
  local rows = { read = some(paths, MOST) }
  function rows.poll() session:poll(state.at) end
  for _, path in ipairs(rows.read) do
    local row = row_of(path, caption and store)
    if row and caption and row.text then
      local listed = by_tags and row.asked
      if caption.options.tags then listed = caption.options.tags.on end
      row.out = dressing.dress(row.text, caption.options, { trigger = state.trigger, tags = listed })
    end
    if row then
      row.sha256 = store and store:seen(path)
      row.asks = matched.text(row.out or row.text, state.trigger)
      row.match = row.sha256 and row.asks and matched.last(store, row.sha256, row.asks)
    end
    rows[#rows + 1] = row
  end
  return rows, paths, options
end

local function check_stage(session, self, store)
  local state = stage.state(self)
  local rows, paths, options = rows_of(session, self, store)
  local beside, read = 0, rows.read
  for _, row in ipairs(rows) do if not row.asked and row.text and row.text:find "%S" then beside = beside + 1 end end
  options.trigger, options.count = state.trigger, set.count(beside, "caption") .. " beside the pictures"
  local findings = lint.look(rows, options)
  findings[#findings + 1] = lint.names(paths)
  for _, finding in ipairs(findings) do
    local text = ("%s: %s; %s"):format(finding.text, lint.some(finding.names), finding.hint)
    if finding.level == "warning" then session:warn(text, state.at, "captions") else session:note(text) end
  end
  if #read < #paths and #rows > 0 then session:note(("captions were looked at for %d of %s"):format(#read, set.count(#paths))) end
end

-- How many numbers of a :score are there, and how many a run would compute. What :edit will make of a caption is not known here.
local function check_score(session, self, store)
  local state = stage.state(self)
  for _, step in ipairs(stage.lineage(self)) do if stage.state(step).verb.name == "edit" then return end end
  local rows, paths = rows_of(session, self, store)
  local asked, words = {}, 0
  for _, row in ipairs(rows) do
    if row.asks then words = words + 1 end
    if row.asks and row.sha256 then asked[#asked + 1] = { item = row, text = row.asks } end
  end
  if words == 0 and #rows.read == #paths then
    local writes = false
    for _, step in ipairs(stage.lineage(self)) do writes = writes or stage.state(step).verb.name == "caption" end
    if writes then return session:note ":score finds no caption yet; it computes the match of those that the run brings" end
    return session:warn("no picture has a caption that :score could look at; a :caption before it writes them", state.at, "captions")
  end
  local known = store and #asked > 0 and require("caption.matching").known(store, state.options, asked) or 0
  session:note((":score knows the match of %d of %s%s; the others are computed when it runs"):format(known, set.count(words, "caption"),
    #rows.read < #paths and (" (of %d pictures that were looked at)"):format(#rows.read) or ""))
end

--- Look at the captions that are there already. What is found becomes warnings and notes of the session.
function M.check(session)
  local store = stores.open(session.store_folder, { existing = true })
  local seen, last = {}, {}
  for _, made in ipairs(session.stages) do
    local state = stage.state(made)
    if state.verb.name == "caption" or state.verb.name == "images" then last[#last + 1] = made end
  end
  for i = #last, 1, -1 do -- the last :caption of each source; `images` alone where none follows
    local new = false
    for _, step in ipairs(stage.lineage(last[i])) do
      if stage.state(step).verb.name == "images" and not seen[step] then new, seen[step] = true, true end
    end
    if new then check_stage(session, last[i], store) end
  end
  for _, made in ipairs(session.stages) do if stage.state(made).verb.name == "score" then check_score(session, made, store) end end
  if store then store:close() end
end

return M
