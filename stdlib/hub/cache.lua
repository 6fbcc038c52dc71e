-- cache.lua - models where the hub's own program (huggingface_hub) keeps them: models--OWNER--NAME/snapshots/COMMIT, whose files are links to those
-- of models--OWNER--NAME/blobs.
--
--   cache.root "/home/me/.cache/huggingface/hub/models--o--n/snapshots/0123/unet"     --> "/home/me/.cache/huggingface/hub/models--o--n"
--   cache.root "models/sd15"                                                         --> "models/sd15"
--   cache.name "hub/models--Salesforce--blip-image-captioning-base/snapshots/0123"     --> "blip-image-captioning-base"
--   cache.name "models/sd15"                                                         --> "sd15"
--   cache.advice("models/x", "models/x/model.safetensors leads out of ... (a symlink?)")  --> what to do about links that lead elsewhere

local M = {}

--- The folder that has to be readable so that the files of `path` are: links lead nowhere out of it.
---@param path string
---@return string
function M.root(path) return path:match "^(.*models%-%-[^/]+)/snapshots/[^/]+" or path end

--- What a model's folder is called; where the hub keeps it, that is no name of a folder but the model's.
---@param path string
---@return string
function M.name(path)
  local kept = path:match "models%-%-([^/]+)/snapshots/[^/]+/*$"
  return kept and (kept:match "%-%-(.+)$" or kept) or path:match "([^/]+)/*$" or path
end

--- For a message of fs about a link that leads out of a model's folder; nil for any other.
---@param path string the model's folder
---@param message string
---@return string?
function M.advice(path, message)
  if not message:find("(a symlink?)", 1, true) then return nil end
  return ("links that lead out of %s are not followed; `cp -rL %s COPY` makes a folder that has the files themselves"):format(path, path)
end

return M
