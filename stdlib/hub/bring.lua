-- bring.lua - what brings a model's folder that is not there, or not whole.
--
--   bring.absent "models/wd-vit-tagger-v3"     --> "there is no model ...", "`calotype get hf:SmilingWolf/wd-vit-tagger-v3` brings it"; nil: it is there
--   bring.hint "models/blip-image-captioning-base"     --> "get the whole folder again: `calotype get ...`"

local fs = require "native.fs"
local source = require "hub.source"

local M = {}

-- Who has the models that local captions were made for.
local OWNERS = { ["blip-image-captioning-base"] = "Salesforce", ["blip-image-captioning-large"] = "Salesforce", ["blip-itm-base-coco"] = "Salesforce",
  ["blip-itm-large-coco"] = "Salesforce", ["wd-vit-tagger-v3"] = "SmilingWolf", ["wd-vit-large-tagger-v3"] = "SmilingWolf" }

--- What to do about a folder that lacks something, or all of it: the command that brings it, or what the path may have meant.
---@param path string as the recipe has it
---@return string
function M.hint(path)
  if path:find "^~/" and not fs.stat(path) then return "~ is no folder in a recipe: write the whole path" end
  local name = path:match "([^/:]+)/*$" or path
  local here, owner = "models/" .. name, path:match "^hf:([%w%-_.]+)/" or OWNERS[name]
  -- A folder that the recipe does not name has no stat here, but what lies near a name may be told.
  if not fs.stat(path) and path ~= here and fs.nearest(here .. "~") == here then return ("did you mean %q?"):format(here) end
  if not fs.stat(path) and owner then
    local named = path ~= here and (not path:find "/" or path:find "^hf:" or path == owner .. "/" .. name) -- as the hub names it
    return ("`calotype get hf:%s/%s%s` brings it"):format(owner, name, (path == here or named) and "" or " to=" .. path)
      .. (named and (", for model = %q"):format(here) or "")
  end
  local near = not fs.stat(path) and fs.nearest(path)
  if near then return ("did you mean %q?"):format(near) end
  local noted = source.read(path)
  local from = noted and noted.from or owner and ("hf:%s/%s"):format(owner, name)
  return fs.stat(path) and "get the whole folder again" .. (from and (": `calotype get %s%s`"):format(from, path == here and "" or " to=" .. path)
    or " from where it came from")
    or "`calotype get hf:OWNER/NAME` brings the whole folder; `calotype help blip` (wd14, score) says which models of the hub there are"
end

--- What to say where a model's folder is not there, or may not be looked at by who asks; nil: it is, whatever is in it.
---@return string? message, string? hint, string? code
function M.absent(path)
  local there, why, code = fs.stat(path)
  if there then return nil end
  if code == "DENIED" and why:find "Permission denied$" then return why, ("`ls -ld %s` and the folders above it: whose are they?"):format(path), code end
  return ("there is no model %s"):format(path), M.hint(path)
end

return M
