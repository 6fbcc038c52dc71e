-- telling.lua - who, when and for how much, in words; what the commands about captions share.
local json = require "native.json"
local money = require "caption.money"

local M = {}

--- "gemini gemini-3.8-flash", "a person", "a person, mended by calotype tags".
function M.who(row)
  local detail = row.detail and row.detail:find '"mended"' and json.decode(row.detail)
  local mended = type(detail) == "table" and type(detail.mended) == "string" and ", mended by " .. detail.mended or ""
  if row.author == "human" then return "a person" .. mended end
  return (row.provider or "a model") .. ((row.model or "") ~= "" and " " .. row.model or "") .. mended
end

--- "2026-11-21 10:02:11", in UTC as the store has it.
function M.when(row) return (row.time:gsub("T", " "):gsub("Z$", "")) end

--- What was paid; unknown is not nothing.
---@param cost? number
function M.money(cost)
  if not cost then return "price unknown" end
  return cost == 0 and "free" or money.text(cost)
end

--- A sum of spending: "$0.12", and what is unknown besides.
---@param cost number
---@param unknown integer requests
function M.sum(cost, unknown)
  if unknown == 0 then return M.money(cost) end
  local text = ("%d of unknown price"):format(unknown)
  return cost > 0 and M.money(cost) .. " and " .. text or text
end

--- A text of several lines below its first one.
function M.indented(text, by) return (text:gsub("\n", "\n" .. (" "):rep(by))) end

--- A picture as a line begins: its path, else its content.
function M.title(picture) return picture.path or "content " .. picture.sha:sub(1, 12) end

return M
