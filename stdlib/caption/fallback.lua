-- fallback.lua - several providers in a list: each is asked for the pictures that those before it could not answer.
--
--   local complaint, hint = fallback.check { gemini, openai, template }     -- as `with = { gemini {}, openai {}, template {} }` names them
--   fallback.name(list)                                                     -- "gemini, openai, template"
--   fallback.told(detail, { "gemini: it has no room" }, question)           -- what is kept with a caption: who could not answer it
--
-- Which reasons hand a picture on is exchange.lua's to say; the going from one to the next is recipe/asking.lua's.
local json = require "native.json"
local telling = require "caption.telling"

local M = {}

local function providers() return require("recipe.providers").by_name end

--- Those that are named: a provider alone is a list of one, nothing is auto {}.
---@param with? table
---@return table[]
function M.list(with)
  if not with then return { { provider = "auto", options = {} } } end
  return with.provider and { with } or with
end

--- "gemini, openai, template"
---@param with? table
---@return string
function M.name(with)
  local names = {}
  for i, member in ipairs(M.list(with)) do names[i] = member.provider end
  return table.concat(names, ", ")
end

--- What no list may say. complaint, hint.
---@param list table[]
---@return string? complaint, string? hint
function M.check(list)
  if #list < 2 then return end
  local tags, sentences
  for i, member in ipairs(list) do
    local name = member.provider
    if name == "ensemble" or name == "sidecar" then
      return ("has %s {} in its list"):format(name), name == "sidecar" and "captions beside the pictures are used first anyway"
        or "an ensemble asks all of its members; a list asks one after another"
    end
    local asks = providers()[name].remote or name == "auto"
    if i < #list and not asks then
      return ("has %s {} before %s {}, which would never be asked"):format(name, list[i + 1].provider),
        ("%s {} asks no service that could be down or out of quota: put it last"):format(name)
    end
    for j = 1, i - 1 do
      if list[j].provider == name and json.encode(list[j].options) == json.encode(member.options) then
        return ("has %s {} twice in its list"):format(name), "name another model"
      end
    end
    if asks or not providers()[name].instant then
      if require("recipe.providers").writes_tags(member) then tags = name else sentences = name end
    end
  end
  if tags and sentences then
    return ("has %s {}, which writes tags, and %s {}, which writes sentences"):format(tags, sentences),
      'all of them write tags (style = "tags", or wd14 {}), or none does'
  end
end

--- A caption's detail with what was tried before. Where its provider told nothing, what was asked stands for it.
---@param detail table
---@param tried? string[]
---@param question string JSON
---@return table
function M.told(detail, tried, question)
  if not tried then return detail end
  local out = {}
  for key, value in pairs(next(detail) and detail or json.decode(question)) do out[key] = value end
  local lines = table.move(tried, 1, #tried, 1, {})
  out.fallback = json.array(table.move(detail.fallback or {}, 1, #(detail.fallback or {}), #lines + 1, lines))
  return out
end

--- "gemini: it has no room", for those after it.
---@return string
function M.line(name, why) return telling.about(name, "%s: %s", why) end

--- "gemini does not accept the key; openai is asked for 3 pictures": what a run says when it goes on to the next.
---@param name string who could not answer
---@param why table<integer, string> the reasons, by picture
---@param order integer[] the pictures
---@param next_name string
---@param count string "3 pictures"
---@return string
function M.sentence(name, why, order, next_name, count)
  local seen, reasons = {}, {}
  for _, i in ipairs(order) do
    if not seen[why[i]] then reasons[#reasons + 1] = why[i] end
    seen[why[i]] = true
  end
  local more = #reasons > 1 and (" (and %d more)"):format(#reasons - 1) or ""
  return ("%s%s; %s is asked for %s"):format(M.line(name, reasons[1]), more, next_name, count)
end

return M
