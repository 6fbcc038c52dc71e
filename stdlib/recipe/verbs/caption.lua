local asking = require "recipe.asking"
local auto = require "caption.auto"
local callback = require "recipe.callback"
local dressing = require "caption.dressing"
local fallback = require "caption.fallback"
local hash = require "native.hash"
local history = require "recipe.history"
local json = require "native.json"
local providers = require "recipe.providers"
local set = require "recipe.set"
local tags = require "caption.tags"
local trigger = require "recipe.trigger"
local words = require "caption.words"

local M = {
  name = "caption", version = 2,
  doc = "Give each picture words. A caption found beside a picture was written by a person and wins; the provider is asked for the missing "
    .. "ones only, and every answer is kept in the store as it came, with who wrote it. Prefix, trigger, tags and word limits are put on "
    .. "afterwards: changing them asks nobody again. The trigger is declared here, once for the recipe.",
  example = 'photos:caption { with = template { text = "a photo of {stem}, [trigger]" }, trigger = "zkr" }',
  options = {
    { "with", "provider", several = true, doc = "who writes missing captions; auto {} when left out. Of a list each is asked for what those before it "
      .. "could not answer: down, no key, no quota" },
    { "trigger", "text", match = "^%S[^\n]*%S$", match_doc = "it needs at least two letters and no spaces around it",
      doc = "the made-up word that will call the subject; put where [trigger] stands, else in front, and exactly once" },
    { "prefix", "text", default = "", doc = "put before every caption that does not begin with it; may have [trigger]" },
    { "suffix", "text", default = "", doc = "put after every caption that does not end with it; may have [trigger]" },
    { "words_above", "integer", min = 1, max = 10000, unit = "words",
      doc = "a caption of more words (prefix, suffix and trigger count) is cut after a sentence, or where a part of one ends; of tags, the last ones go" },
    { "tags", "options", alone = "on", doc = "captions are lists of tags: small letters, spaces for underscores but in faces like ^_^, each once. "
      .. "Left out: as the provider writes them (style = \"tags\")",
      options = {
        { "on", "boolean", default = true, doc = "false leaves the provider's tags as they came" },
        { "first", "list", of = "text", default = {}, doc = "these lead, in this order, where they are there" },
        { "without", "list", of = "text", default = {}, doc = "these go" },
        { "redundant", "boolean", default = true, doc = "false drops a tag that ends another one: shirt, where there is white shirt" },
        { "count_above", "integer", min = 1, max = 1000, doc = "more tags than this are dropped, from the end; the trigger stays and is not counted" },
      } },
    { "replace", "boolean", default = false, doc = "ask for all captions, people's too (theirs stay in the history)" },
    { "append", "boolean", default = false, doc = "ask for all, and put the answer after the caption that is there: sentences after one another, tags united" },
    { "prepend", "boolean", default = false, doc = "the same, with the answer in front" },
    { "only", "callback", doc = "gets a picture, returns true for those that this :caption is about" },
  },
}

local MODES = { "replace", "append", "prepend" }

function M.label(options) return "caption " .. fallback.name(options.with) end

function M.declare(state)
  local o, session = state.options, state.session
  if o.only then callback.key(o.only, session.known, state.at) end
  if o.trigger then
    if trigger.wanted(o.trigger) then
      session:fail(state.at, "the trigger is [trigger]", { key = "trigger", value = true, hint = "write the made-up word itself" })
    end
    if state.trigger and state.trigger ~= o.trigger then
      session:fail(state.at, ("the trigger is already %q"):format(state.trigger),
        { key = "trigger", value = true, hint = "declare it once, in the first :caption" })
    end
    state.trigger = o.trigger
  end
  local mode
  for _, key in ipairs(MODES) do
    if o[key] and mode then
      session:fail(state.at, ("options '%s' and '%s' of :caption exclude each other"):format(mode, key), { key = key, hint = "leave one of them out" })
    end
    if o[key] then mode = key end
  end
  if mode and mode ~= "replace" and o.with and o.with.provider == "sidecar" then
    session:fail(state.at, ("sidecar {} writes no captions: there is nothing to %s"):format(mode), { key = mode, hint = "name who writes: with = template {}" })
  end
  for _, key in ipairs { "prefix", "suffix" } do
    if trigger.wanted(o[key]) and not state.trigger then
      session:fail(state.at, ("option '%s' of :caption has [trigger], but no trigger is declared"):format(key),
        { key = key, value = true, hint = 'add trigger = "..." to this :caption' })
    end
  end
  for _, member in ipairs(fallback.list(o.with)) do
    if member.options.text and trigger.wanted(member.options.text) and not state.trigger then
      session:fail(state.at, ("%s has [trigger], but no trigger is declared"):format(member.provider),
        { key = "with", value = true, hint = 'add trigger = "..." to this :caption' })
    end
  end
  local around = words.count(dressing.filled(o.prefix, state.trigger)) + words.count(dressing.filled(o.suffix, state.trigger))
    + (state.trigger and words.count(state.trigger) or 0)
  if state.trigger and trigger.count(dressing.filled(o.prefix, state.trigger) .. " " .. dressing.filled(o.suffix, state.trigger), state.trigger) > 1 then
    session:fail(state.at, "prefix and suffix of :caption have the trigger twice", { key = "prefix", value = true, hint = "a caption has it once" })
  end
  if o.words_above and around >= o.words_above then
    session:fail(state.at, ("option 'words_above' of :caption is %d, but trigger, prefix and suffix have %d words"):format(o.words_above, around),
      { key = "words_above", value = true, hint = "the captions need room too" })
  end
  asking.declare(state, o.with)
end

-- The caption that is there, as { text, by }; nil when there is none. What we once wrote beside the picture counts as missing, for the store
-- has the original; but a person's words that went into it are still that person's.
local function there(item)
  local by = item.caption_by
  if not item.caption then return nil end
  if by.author == "model" and by.provider == "sidecar" then
    return by.existing and { text = by.existing, by = { author = "human", provider = "sidecar", path = by.path } } or nil
  end
  return { text = item.caption, by = by }
end

-- The row of a caption that was put together, with where its parts are from; a person may have gone back from it to another text.
local function row_of(store, item, text, old, new, mode)
  local key = hash.sha256(json.encode { mode = mode, old = old.text, new = new.by.key })
  local row = store:caption(item.sha256, key)
  if row and (row.text == text or row.restores) then return row.id, row.in_force, row.text end
  local function part(from) return { author = from.by.author, provider = from.by.provider, model = from.by.model, key = from.by.key, text = from.text } end
  local id = store:add_caption { sha = item.sha256, key = key, text = text, author = "model", provider = new.by.provider, model = new.by.model or "",
    detail = json.encode { mode = mode, parts = json.array(mode == "append" and { part(old), part(new) } or { part(new), part(old) }) } }
  return id, true, text
end

function M.run(context, options, input)
  local store, word = context.store(), context.trigger
  local list, nobody = asking.members(options.with)
  local name = fallback.name(nobody and options.with or list)
  local mode = options.replace and "replace" or options.append and "append" or options.prepend and "prepend" or "missing"
  local about = {} -- which pictures this :caption is about
  for i, item in ipairs(input.items) do
    about[i] = not options.only or (callback.call(options.only, context.at, "caption", item, set.with(item, {})) and true or false)
  end

  local texts, olds, stay, missing, chosen = {}, {}, {}, {}, {}
  local count = { asked = 0, written = 0, known = 0, people = 0, joined = 0, kept = 0, without = 0, cut = 0 }
  for i, item in ipairs(input.items) do
    if about[i] then
      local old = there(item)
      if old and (mode == "missing" or name == "sidecar") then
        texts[i] = old
        if old.by.author == "human" then count.people = count.people + 1 end
        if old.by.id and not old.by.in_force then chosen[#chosen + 1] = old.by.id end
      elseif name ~= "sidecar" then
        missing[#missing + 1], stay[i] = i, old
        if mode ~= "replace" then olds[i] = old end
      end
    end
  end

  if not context.planning then history.use(store, chosen) end

  if #missing > 0 and nobody then
    context.fail(("%s of %d %s no caption, and %s"):format(#missing, #input.items, #missing == 1 and "has" or "have", nobody),
      { hint = auto.HINT, notes = { "the first is " .. input.items[missing[1]].path } })
  elseif #missing > 0 then
    local items = {}
    local aside = {} -- an answer that is joined to what is there is not the picture's text
    for n, i in ipairs(missing) do
      items[n] = input.items[i]
      if olds[i] then aside[items[n]] = true end
    end
    context.missing, context.aside = mode == "missing", next(aside) and aside or nil
    local done = context.planning and asking.plan(context, list, items) or asking.ask(context, list, items)
    for n, i in ipairs(missing) do texts[i] = done.texts[n] end
    count.known, count.written, count.asked = done.known, done.written, done.asked or 0
    if context.planning then context.planning(list[1].provider, done) end
  end

  local by_tags, tags_of = false, {} -- a provider's own words are tags
  for _, with in ipairs(list) do
    if providers.writes_tags(with) then by_tags, tags_of[with.provider] = true, true end
  end
  local function joined(item, old, new)
    local id, in_force, text = row_of(store, item, dressing.joined(old.text, new.text, mode, by_tags, old.by.provider == "wd14"), old, new, mode)
    local by = set.with(new.by, { id = id, in_force = in_force, parts = mode == "append" and { old.by, new.by } or { new.by, old.by } })
    if old.by.author == "human" then by.existing = old.text end
    count.joined = count.joined + 1
    return { text = text, by = by, tags = by_tags and tags.listed(old.text) }
  end
  local function join_all()
    chosen = {}
    for _, i in ipairs(missing) do
      if olds[i] and texts[i] then texts[i] = joined(input.items[i], olds[i], texts[i]) end
      if texts[i] and not texts[i].by.in_force then chosen[#chosen + 1] = texts[i].by.id end
    end
  end
  if next(olds) and not context.planning then
    store:batch(join_all)
    history.use(store, chosen)
  end

  local out = set.map(input, function(item, i)
    context.session:poll(context.at)
    local found = texts[i] or stay[i] -- where nothing new came, what was there stays and is dressed like the others
    if about[i] and not texts[i] then
      local kind = item.caption and "kept" or "without"
      count[kind] = count[kind] + 1
    end
    if not found then
      return word and set.with(item, { trigger = word }) or item
    end
    local listed = found.tags
    if listed == nil then listed = tags_of[found.by.provider] or false end
    if options.tags then listed = options.tags.on end
    local text, cut = dressing.dress(found.text, options, { trigger = word, tags = listed })
    if cut then count.cut = count.cut + 1 end
    return set.with(item, { caption = text, caption_by = found.by, trigger = word }, found.by ~= item.caption_by and "caption " .. name or nil)
  end)

  local parts = {}
  for _, part in ipairs { { "asked", "%d to ask for" }, { "written", "%d written" }, { "known", "%d known" }, { "people", "%d by people" },
    { "joined", mode == "append" and "%d put after what was there" or "%d put before what was there" }, { "cut", "%d cut short" },
    { "kept", "%d as they were" }, { "without", "%d without" } } do
    if count[part[1]] > 0 then parts[#parts + 1] = part[2]:format(count[part[1]]) end
  end
  if count.without > 0 and not context.planning then
    context.warn(("%s no caption%s"):format(count.without == 1 and "1 picture has" or count.without .. " pictures have",
      name ~= "sidecar" and "" or count.without == 1 and " beside it" or " beside them"))
  end
  if count.kept > 0 and not context.planning then
    context.warn(count.kept == 1 and "1 picture keeps the caption it had: no other came"
      or ("%d pictures keep the captions they had: no others came"):format(count.kept))
  end
  context.account(#parts > 0 and "captions: " .. table.concat(parts, ", ") or "nothing to caption")
  return out
end

return M
