-- verbs.lua - the verbs of the language, each from its own file. A new verb is a file and its name here.
--
-- A verb works on pictures unless it says on = "lora", and makes pictures unless it says gives = "lora". Those of a LoRA may have the
-- names of verbs of pictures: by_name.export is for pictures, by_name["lora.export"] for a LoRA, of.lora.export the same.
local schema = require "recipe.schema"

local M = { by_name = {}, list = {}, methods = {}, of = {}, kinds = { "images", "lora" } }

for _, kind in ipairs(M.kinds) do M.of[kind] = { by_name = {}, methods = {} } end

for _, file in ipairs {
  "images", "join", "drawn", "orient", "reject", "dedupe", "caption", "edit", "score", "keep_if", "take", "split", "weight", "bucket",
  "sheet", "preview", "export", "report", "expect", "train_lora", "samples", "lora_export", "lora_report",
} do
  local verb = require("recipe.verbs." .. file)
  verb.on, verb.id = verb.on or "images", file
  if verb.on ~= "images" then verb.title = verb.on .. ":" .. verb.name end
  schema.define(verb)
  verb.method = verb.name ~= "images" and not (verb.title or ""):find "^images%."
  verb.topic = M.by_name[verb.name] and verb.on .. "." .. verb.name or verb.name
  M.by_name[verb.topic] = verb
  M.list[#M.list + 1] = verb
  if verb.method then
    local of = M.of[verb.on]
    of.by_name[verb.name] = verb
    of.methods[#of.methods + 1] = verb.name
    if verb.on == "images" then M.methods[#M.methods + 1] = verb.name end
  end
end

--- How a step is called in accounts: "images photos", "caption template", "reject".
---@param verb calotype.schema
---@param options table
---@return string
function M.label(verb, options) return verb.label and verb.label(options) or verb.name end

return M
