-- Booru tags by SmilingWolf's WD14 taggers on this machine's device.
local looking = require "caption.looking"
local tagger = require "models.tagger"
local tags = require "caption.tags"
local wordless = require "caption.wordless"

local M = {
  name = "wd14", version = 1, author = "model", finishes = true,
  doc = "Booru tags by SmilingWolf's WD14 tagger on this machine: nothing is sent, nothing costs. Of the hub's models SmilingWolf/wd-vit-tagger-v3 (0.4 GB) "
    .. "and wd-vit-large-tagger-v3 (1.3 GB): `calotype get hf:NAME`. A comma in a tag becomes a space: commas part tags.",
  example = 'photos:caption { with = wd14 { threshold = 0.35 }, tags = { first = { "1girl", "solo" } } }',
  options = {
    { "model", "path", default = "models/wd-vit-tagger-v3", doc = "its folder, as the Hugging Face hub or its cache has it" },
    { "threshold", "number", min = 0.01, max = 1, default = 0.35, elsewhere = { "general_threshold", "thresh" }, doc = "how sure it must be of a tag" },
    { "character_threshold", "number", min = 0.01, max = 1, default = 0.75, doc = "how sure of who somebody is; 1 names nobody" },
    { "rating", "boolean", default = false, doc = "begin with how it rates the picture: general, sensitive, questionable, explicit" },
    { "without", "list", of = "text", default = {}, elsewhere = { "undesired_tags", "exclude_tags" }, doc = "these tags are never given" },
    table.unpack(looking.options),
  },
}

function M.declare(options, state)
  local model = looking.declare(options, state, "tagger")
  local rates = not options.rating
  for _, tag in ipairs(model.tags) do rates = rates or tag.category == "rating" end
  if not rates then
    state.session:fail(state.at, ("this tagger does not rate pictures: no line of %s/selected_tags.csv has category 9"):format(options.model),
      { key = "rating", value = true, hint = "leave rating out", code = "FORMAT", world = true })
  end
end
function M.depends(_, options, context) return looking.depends(options, context, "tagger") end

M.wordless = wordless.known

function M.question(options)
  local kept = looking.question(options)
  kept.style = "tags"
  return kept
end

-- The tags of one picture, surest first, characters after what is seen.
local function chosen(model, sure, options, without)
  local lists, best = { general = {}, character = {} }, nil
  for i, tag in ipairs(model.tags) do
    local p = sure[i]
    if tag.category == "rating" then
      if not best or p > best.p then best = { name = tag.name, p = p, i = i } end
    elseif p >= (tag.category == "character" and options.character_threshold or options.threshold) and not without[tags.one(tag.name)]
      and (tag.category ~= "character" or options.character_threshold < 1) then
      table.insert(lists[tag.category], { name = tag.name, p = p, i = i })
    end
  end
  local list, said = {}, {}
  if options.rating and best then list[1] = best.name end
  for _, category in ipairs { "general", "character" } do
    table.sort(lists[category], function(a, b) if a.p ~= b.p then return a.p > b.p end return a.i < b.i end)
    for _, tag in ipairs(lists[category]) do
      local name = tags.one(tag.name)
      if not said[name] then list[#list + 1] = name end -- a list may have a tag twice, or with other underscores
      said[name] = true
    end
  end
  return list
end

local ADVICE = "a lower threshold gives more"

function M.ask(asked, options, emit, context)
  local items, at = wordless.open(context, asked, ADVICE)
  local without = {}
  for _, tag in ipairs(options.without) do without[tags.one(tag)] = true end
  local about = { kind = "tagger", key = "with", square = true, open = tagger.open, rest = wordless.log, leave = wordless.leaver(context, items, at) }
  function about.look(it, floats, numbers) return it:look(floats, #numbers) end
  function about.take(n, sure, told, left, model)
    local list = chosen(model, sure, options, without)
    if #list > 0 then emit(at[n], tags.join(list), told)
    else about.leave(n, ("no tag is as sure as %g; %s"):format(options.threshold, ADVICE), told, left) end
  end
  looking.at(items, options, context, about)
end

return M
