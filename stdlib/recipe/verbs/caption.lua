local asking = require "recipe.asking"
local auto = require "caption.auto"
local callback = require "recipe.callback"
local history = require "recipe.history"
local set = require "recipe.set"
local trigger = require "recipe.trigger"

local M = {
  name = "caption", version = 1,
  doc = "Give each picture words. A caption found beside a picture was written by a person and wins; the provider is asked for the missing "
    .. "ones only, and every answer is kept in the store with who wrote it. The trigger is declared here, once for the recipe.",
  example = 'photos:caption { with = template { text = "a photo of {stem}, [trigger]" }, trigger = "zkr" }',
  options = {
    { "with", "provider", doc = "who writes missing captions; auto {} when left out" },
    { "trigger", "text", match = "^%S[^\n]*%S$", match_doc = "it needs at least two letters and no spaces around it",
      doc = "the made-up word that will call the subject; put where [trigger] stands, else in front" },
    { "prefix", "text", default = "", doc = "put before every caption that does not begin with it; may have [trigger]" },
    { "suffix", "text", default = "", doc = "put after every caption that does not end with it; may have [trigger]" },
    { "replace", "boolean", default = false, doc = "ask for all captions, people's too (theirs stay in the history)" },
    { "only", "callback", doc = "gets a picture, returns true for those that this :caption is about" },
  },
}

function M.label(options) return "caption " .. (options.with and options.with.provider or "auto") end

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
  for _, key in ipairs { "prefix", "suffix" } do
    if trigger.wanted(o[key]) and not state.trigger then
      session:fail(state.at, ("option '%s' of :caption has [trigger], but no trigger is declared"):format(key),
        { key = key, value = true, hint = 'add trigger = "..." to this :caption' })
    end
  end
  if o.with and o.with.options.text and trigger.wanted(o.with.options.text) and not state.trigger then
    session:fail(state.at, ("%s has [trigger], but no trigger is declared"):format(o.with.provider),
      { key = "with", value = true, hint = 'add trigger = "..." to this :caption' })
  end
  local with, why = asking.resolve(o.with)
  if not with then
    session:warn(("%s; a picture without a caption beside it will stop the run"):format(why), state.at, "auto")
  end
end

-- Prefix and suffix, once: a caption that went out and came back as a sidecar has them already.
local function dressed(text, options, word)
  local prefix, suffix = options.prefix, options.suffix
  if word then prefix, suffix, text = trigger.fill(prefix, word), trigger.fill(suffix, word), trigger.fill(text, word) end
  if prefix ~= "" and text:sub(1, #prefix) ~= prefix then text = prefix .. text end
  if suffix ~= "" and text:sub(-#suffix) ~= suffix then text = text .. suffix end
  return word and trigger.ensure(text, word) or text
end

function M.run(context, options, input)
  local word = context.trigger
  local with, nobody = asking.resolve(options.with)
  local name = with and with.provider or "auto"
  local about = {} -- which pictures this :caption is about
  for i, item in ipairs(input.items) do
    about[i] = not options.only or (callback.call(options.only, context.at, "caption", item, set.with(item, {})) and true or false)
  end

  local texts, missing, chosen, people, known = {}, {}, {}, 0, 0
  for i, item in ipairs(input.items) do
    if about[i] then
      local by = item.caption_by
      -- what we once wrote beside the picture counts as missing: the store has the original
      local have = item.caption and not (by.author == "model" and by.provider == "sidecar")
      if have and (not options.replace or name == "sidecar") then
        texts[i] = { text = item.caption, by = by }
        if by.author == "human" then people = people + 1 end
        if by.id and not by.in_force then chosen[#chosen + 1] = by.id end
      elseif name ~= "sidecar" then
        missing[#missing + 1] = i
      end
    end
  end

  history.use(context.store(), chosen)

  local written = 0
  if #missing > 0 and name == "auto" then
    context.fail(("%s of %d %s no caption, and %s"):format(#missing, #input.items, #missing == 1 and "has" or "have", nobody),
      { hint = auto.HINT, notes = { "the first is " .. input.items[missing[1]].path } })
  elseif #missing > 0 then
    local items = {}
    for n, i in ipairs(missing) do items[n] = input.items[i] end
    local done = asking.ask(context, with, items)
    for n, i in ipairs(missing) do texts[i] = done.texts[n] end
    known, written = done.known, done.written
  end

  local without = 0
  local out = set.map(input, function(item, i)
    local found = texts[i]
    if not found then
      if about[i] then without = without + 1 end
      return word and set.with(item, { trigger = word }) or item
    end
    return set.with(item, { caption = dressed(found.text, options, word), caption_by = found.by, trigger = word },
      found.by ~= item.caption_by and "caption " .. name or nil)
  end)
  local parts = {}
  if written > 0 then parts[#parts + 1] = ("%d written"):format(written) end
  if known > 0 then parts[#parts + 1] = ("%d known"):format(known) end
  if people > 0 then parts[#parts + 1] = ("%d by people"):format(people) end
  if without > 0 then
    parts[#parts + 1] = ("%d without"):format(without)
    context.warn(("%s no caption beside %s"):format(without == 1 and "1 picture has" or without .. " pictures have", without == 1 and "it" or "them"))
  end
  context.account(#parts > 0 and "captions: " .. table.concat(parts, ", ") or "nothing to caption")
  return out
end

return M
