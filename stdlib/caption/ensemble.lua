-- Several providers about the same picture: tags by vote, sentences by a stated rule. Each member's answers are kept as its own, so that
-- another member costs only itself.
local agreement = require "caption.agreement"
local json = require "native.json"
local tag_words = require "caption.tags"
local text_words = require "caption.words"

local M = {
  name = "ensemble", version = 1, author = "model", remote = true, finishes = true, positional = "members",
  doc = "Several providers asked about the same pictures. Tags are united by vote: those that at least `votes` members have, most votes first. "
    .. "Of sentences one is chosen, or all are joined, by `rule`. What each member wrote is kept too, so nothing is paid twice.",
  example = 'photos:caption { with = ensemble { gemini { style = "tags" }, openai { style = "tags" } }, trigger = "zkr" }',
  options = {
    { "members", "list", of = "provider", required = true, doc = "two providers or more, all with tags or all with sentences" },
    { "votes", "integer", min = 1, doc = "how many members must have a tag; more than half of those that answered when left out" },
    { "rule", "choice", choices = { "agreement", "first", "longest", "join" }, default = "agreement",
      doc = "of sentences: the caption that has most words in common with the others; the first member's; the longest; all sentences, each once" },
  },
}

local function providers() return require("recipe.providers").by_name end

-- What a member is asked, without how: as fast, to what ceiling, on which recording.
local function question_of(member)
  local provider = providers()[member.provider]
  return provider.question and provider.question(member.options) or member.options
end

local function tags_of(member) return question_of(member).style == "tags" end -- wd14 {} writes nothing else

-- Where the model of a member lies that looks here; a service's has a name, which its question holds.
local function folder_of(member)
  local model = member.options.model
  return type(model) == "string" and model or ""
end

-- What a member is called beside its captions.
local function name_of(member)
  local model = member.options.model
  if type(model) == "string" then model = { model:match "([^/]+)/*$" } end
  return member.provider .. (model and " " .. table.concat(model, "/") or "")
end

function M.check(options)
  local members = options.members
  if #members < 2 then return "has fewer than two members", "ensemble { gemini {}, openai {} }", "members" end
  local tags = 0
  for _, member in ipairs(members) do
    if member.provider == "ensemble" or member.provider == "auto" or member.provider == "sidecar" then
      return ("has %s {} as a member"):format(member.provider), "members are providers that write captions themselves", "members"
    end
    if tags_of(member) then tags = tags + 1 end
  end
  if tags > 0 and tags < #members then
    return "has members that write tags and members that write sentences",
      "tags are voted on, of sentences one is chosen: all members write the one or the other", "members"
  end
  if options.votes and tags == 0 then return "has votes, but its members write sentences", 'tags are voted on: style = "tags"', "votes" end
  if options.votes and options.votes > #members then return ("wants %d votes of %d members"):format(options.votes, #members), nil, "votes" end
  for i, one in ipairs(members) do
    for j = i + 1, #members do
      local other = members[j]
      if one.provider == other.provider and json.encode { question_of(one), folder_of(one) } == json.encode { question_of(other), folder_of(other) } then
        return "has the same member twice", "name another model, or ask it something else", "members"
      end
    end
  end
end

function M.declare(options, state)
  for _, member in ipairs(options.members) do
    local provider = providers()[member.provider]
    if provider.declare then provider.declare(member.options, state) end
  end
end

function M.question(options)
  local members = {}
  for i, member in ipairs(options.members) do
    local provider = providers()[member.provider]
    members[i] = { provider = member.provider, version = provider.version, options = question_of(member) }
  end
  return { members = json.array(members), votes = options.votes, rule = options.rule }
end

function M.depends(item, options, context)
  local parts = {}
  for i, member in ipairs(options.members) do
    local provider = providers()[member.provider]
    parts[i] = provider.depends and provider.depends(item, member.options, context) or ""
  end
  return table.concat(parts, "\n")
end

--- Tags by vote. The order: most votes, then the mean place among those who have it.
---@param lists string[] "a, b, c" of each member that answered
---@param votes? integer
---@return string
function M.vote(lists, votes)
  votes = math.min(votes or #lists // 2 + 1, #lists)
  local rows, list = {}, {}
  for _, text in ipairs(lists) do
    local seen, place = {}, 0
    for _, tag in ipairs(tag_words.split(text)) do
      local key = tag_words.plain(tag)
      if not seen[key] then
        seen[key], place = true, place + 1
        if not rows[key] then
          rows[key] = { tag = tag, votes = 0, places = 0, first = #list }
          list[#list + 1] = rows[key]
        end
        rows[key].votes, rows[key].places = rows[key].votes + 1, rows[key].places + place
      end
    end
  end
  table.sort(list, function(a, b)
    if a.votes ~= b.votes then return a.votes > b.votes end
    local left, right = a.places / a.votes, b.places / b.votes
    if left ~= right then return left < right end
    return a.first < b.first
  end)
  local kept = {}
  for _, row in ipairs(list) do if row.votes >= votes then kept[#kept + 1] = row.tag end end
  return tag_words.join(kept)
end

--- One caption of several.
---@param texts string[] of each member that answered, in their order
---@param rule string
---@return string
function M.choose(texts, rule)
  if rule == "first" or #texts == 1 then return texts[1] end
  if rule == "join" then
    local joined = texts[1]
    for i = 2, #texts do joined = text_words.join(joined, texts[i]) end
    return joined
  end
  local best, most = 1, -1
  for i, text in ipairs(texts) do
    local value = 0
    if rule == "longest" then value = utf8.len(text) or #text
    else for j, other in ipairs(texts) do if j ~= i then value = value + (agreement.of(text, other) or 0) end end end
    if value > most then best, most = i, value end
  end
  return texts[best]
end

function M.ask(items, options, emit, context)
  local asking = require "recipe.asking"
  local answers, names = {}, {}
  local aside = setmetatable({ aside = true }, { __index = context }) -- what a member wrote is not the picture's caption
  for m, member in ipairs(options.members) do
    answers[m] = asking.ask(aside, member, items).texts
    names[m] = name_of(member)
  end
  local tags = tags_of(options.members[1])
  for i in ipairs(items) do
    local texts, from = {}, {}
    for m in ipairs(options.members) do
      if answers[m][i] then
        texts[#texts + 1] = answers[m][i].text
        from[#from + 1] = { provider = options.members[m].provider, model = answers[m][i].by.model, key = answers[m][i].by.key }
      end
    end
    if #texts > 0 then
      local text = tags and M.vote(texts, options.votes) or M.choose(texts, options.rule)
      if text ~= "" then
        emit(i, text, { model = table.concat(names, " + "), cost = 0, from = json.array(from), rule = tags and "vote" or options.rule })
      else
        context.warn(("%s: the members agree on no tag"):format(items[i].name))
      end
    end
  end
end

function M.estimate(items, options, context)
  local asking, parts = require "recipe.asking", {}
  for i, member in ipairs(options.members) do
    local plan = asking.plan(context, member, items)
    parts[i] = { provider = member.provider, known = plan.known, asked = plan.asked, estimate = plan.estimate }
  end
  return { members = parts }
end

return M
