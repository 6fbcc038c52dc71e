-- base.lua - the base that a recipe names: opened with all that training and drawing need of it, or what is wrong with it.
--
--   state.base = bases.of(state)              -- option 'base' of a verb; refused where the recipe says it
--   local model = bases.open("models/sd15", function(message, hint, code) error(message) end)
--   bases.parts "models/sd15"                 --> { "unet", "vae" }, { "text_encoder", "tokenizer", "scheduler" }: those there and those not
--
-- Models are loaded when a base is opened: the prompt does not wait for them.

local fs = require "native.fs"

local M = {}

local PARTS = { "unet", "vae", "text_encoder", "tokenizer", "scheduler" }
local A_BASE = "a base is a folder as diffusers keeps it, with unet, vae, text_encoder, tokenizer and scheduler"
local AGAIN = "get the whole folder again from where it came from"

---@param path string
---@return string[] there
---@return string[] lacking
function M.parts(path)
  local there, lacking = {}, {}
  for _, name in ipairs(PARTS) do
    local list = fs.stat(path .. "/" .. name) and there or lacking
    list[#list + 1] = name
  end
  return there, lacking
end

-- A folder without any part: the base may lie above it or inside it, or it is a model of another kind.
local function refuse_none(path, fail)
  local above, name = path:match "^(.-)/*([^/]+)/*$"
  for _, part in ipairs(PARTS) do
    if name == part then fail(("%s is a part of a base"):format(path), ("name the base itself: %s"):format(above == "" and "." or above), "NOTFOUND") end
  end
  for _, entry in ipairs(fs.list(path) or {}) do
    if entry.kind == "folder" and fs.stat(entry.path .. "/unet") and fs.stat(entry.path .. "/vae") then
      fail(("%s is no base"):format(path), ("%s inside it is one"):format(entry.path), "NOTFOUND")
    end
  end
  local it = require("models.kind").of(path)
  fail(it and ("%s is %s, no base"):format(path, it.text) or ("%s is no base"):format(path), it and it.use and ("%s reads it; %s"):format(it.use, A_BASE)
    or A_BASE, "NOTFOUND")
end

local function look_at_folder(path, fail)
  local info = fs.stat(path)
  if not info then
    local near = fs.nearest(path)
    fail(("there is no base %s"):format(path), near and ("did you mean %q?"):format(near) or A_BASE, "NOTFOUND")
  end
  if info.kind ~= "folder" then
    fail(("the base %s is a file"):format(path), "a single checkpoint file is not read yet: convert it to a diffusers folder", "FORMAT")
  end
  local there, lacking = M.parts(path)
  if #there == 0 then refuse_none(path, fail) end
  if #lacking > 0 then fail(("the base %s lacks %s"):format(path, table.concat(lacking, ", ")), AGAIN, "NOTFOUND") end
end

--- Open a base. Configs and shapes are compared here, so that a wrong one is told before anything is computed.
---@param path string
---@param fail fun(message: string, hint?: string, code?: string) does not come back
---@return table model as models.folder opens it
function M.open(path, fail)
  local folder, schedule, sides = require "models.folder", require "models.schedule", require "models.sides"
  look_at_folder(path, fail)
  local ok, model, message, code = pcall(folder.open, path)
  if not ok then fail(tostring(model), nil, "FORMAT") end
  if not model then
    local links = require("hub.cache").advice(path, message)
    fail(message, links or code == "FORMAT" and not require("models.part").advises(message) and AGAIN or nil, code)
  end
  if not model.scheduler then fail(("%s: no scheduler_config.json"):format(path .. "/scheduler"), nil, "NOTFOUND") end
  for _, read in ipairs { function() return sides.multiple(model) end, function() return schedule.noise(model.scheduler) end } do
    local fine, problem = pcall(read)
    if not fine then fail(("%s: %s"):format(path, problem), AGAIN, "FORMAT") end
  end
  local fits
  fits, message, code = folder.fits(model)
  if not fits then fail(message, AGAIN, code) end
  return model
end

--- That of a verb's option 'base'.
---@param state table of a stage
---@return table model
function M.of(state)
  return M.open(state.options.base, function(message, hint, code)
    state.session:fail(state.at, message, { key = "base", value = true, hint = hint, code = code, world = true })
  end)
end

return M
