-- lint.lua - what is wrong with captions before anyone trains on them.
--
--   for _, finding in ipairs(lint.look(rows, { trigger = "zkr" })) do
--     print(finding.text, table.concat(finding.names, ", "), finding.why, finding.hint)
--   end
--
-- A row is { name =, text =, raw = bytes of its file as they are?, out = the text as a trainer gets it?, asked = a model wrote it?, match = what :score
-- found?, item =? }.
-- It looks at words only: no picture is opened, nobody is asked.
-- Each kind of trouble is a file in lint/ that returns fun(rows, options): finding?
local alike = require "caption.lint.alike"

local M = { alike = alike.groups, names = require "caption.lint.names" }

---@class calotype.finding
---@field kind string
---@field level "warning"|"note"
---@field text string what was found, with how many captions
---@field why string
---@field hint string what to do, as a sentence or as something to paste
---@field names string[] the pictures, in their order
---@field items calotype.item[] where rows have them

local kinds = {} -- in the order in which they are told
for i, name in ipairs { "encoding", "empty", "refusal", "opening", "markup", "match", "trigger_missing", "trigger_doubled", "long", "language", "escapes" } do
  kinds[i] = require("caption.lint." .. name)
end
kinds[#kinds + 1] = alike.find

--- Everything that is worth saying about these captions, worst first.
---@param rows { name: string, text: string?, raw: string?, item: calotype.item? }[] rows.poll: called often, may raise
---@param options? { trigger?: string, language?: string, tokenizer?: userdata, places?: integer, dressed?: boolean, count?: string }
---@return calotype.finding[]
function M.look(rows, options)
  options = options or {}
  local findings, notes = {}, {}
  for _, kind in ipairs(kinds) do
    local found = kind(rows, options)
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
