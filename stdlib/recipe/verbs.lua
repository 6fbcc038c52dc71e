-- verbs.lua - the verbs of the language, each from its own file. A new verb is a file and its name here.
local schema = require "recipe.schema"

local M = { by_name = {}, list = {}, methods = {} }

for _, name in ipairs {
  "images", "join", "orient", "reject", "dedupe", "caption", "edit", "keep_if", "take", "split", "weight", "bucket",
  "sheet", "export", "report", "expect",
} do
  local verb = schema.define(require("recipe.verbs." .. name))
  verb.method = verb.name ~= "images" and verb.name ~= "join"
  M.by_name[name] = verb
  M.list[#M.list + 1] = verb
  if verb.method then M.methods[#M.methods + 1] = name end
end

--- How a step is called in accounts: "images photos", "caption template", "reject".
---@param verb calotype.schema
---@param options table
---@return string
function M.label(verb, options) return verb.label and verb.label(options) or verb.name end

return M
