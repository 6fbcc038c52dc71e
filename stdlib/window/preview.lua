-- preview.lua - what :preview shows: kept in the project's store, and a window on it, which notices when it is shown something else.
--
--   local kept = preview.keep(store, "hall", { title = "hall", pictures = { { path = "photos/a.jpg", caption = "a red door" }, ... } })
--   local how, message = preview.show(".calotype", store, "hall")     -- "opened", "open" (it is there and will look); nil, why there is none
--   local text = preview.text(store, "hall")                          -- for the window: JSON as in the head of source.lua
--   if preview.follow(p, now) then ... end                             -- in the window: it is shown something else
--
-- The window is another process, on its own as soon as it runs: `calotype view preview:hall`. The store's folder is guarded from recipes, and so
-- a recipe cannot write there what another shows. CALOTYPE_WINDOW=no opens none.
local hash = require "native.hash"
local json = require "native.json"
local script = require "native.script"

local M = {}

M.PREFIX = "preview:"

local LOOK = 1 -- seconds between two looks
local BEAT = 2 -- seconds between two signs of life
local GONE = 6 -- seconds without one: it is closed

--- Whose `view` is started where it is not this program's own: in tests.
---@type string?
M.program = nil

local started = {} -- name of store and preview -> the process of this session's window

--- Put it where the window finds it; false when it is what is there.
---@param store table
---@param name string
---@param view { title: string, recipe?: string, pictures: table[] }
---@return boolean changed
function M.keep(store, name, view)
  local text = json.encode { calotype = "view", version = 1, title = view.title, recipe = view.recipe, pictures = json.array(view.pictures) }
  local stamp = hash.sha256(text)
  if store:get("preview stamp", name) == stamp then return false end
  store:put("preview", name, text)
  store:put("preview stamp", name, stamp)
  return true
end

--- What it shows; nil when there is nothing of that name.
---@return string?
function M.text(store, name) return store:get("preview", name) end

--- Another text with every change of what is shown.
---@return string?
function M.stamp(store, name) return store:get("preview stamp", name) end

--- Once a second, of an open project: say that the window is there, and look whether it is shown something else by now. True when it is.
---@param p table
---@param now number seconds, rising
---@return boolean
function M.follow(p, now)
  if not p.preview or now - (p.looked or -math.huge) < LOOK then return false end
  p.looked = now
  if now - (p.told_open or -math.huge) >= BEAT then
    p.store:put("preview window", p.preview, tostring(os.time()))
    p.told_open = now
  end
  if M.stamp(p.store, p.preview) == p.stamp then return false end
  local ok, message = p:reload()
  if not ok then
    p:tell("error", message)
    p.stamp = M.stamp(p.store, p.preview) -- said once
  end
  return ok == true
end

--- The window goes.
function M.gone(p)
  if p.preview then p.store:put("preview window", p.preview, "0") end
end

local function is_open(store, folder, name)
  local process = started[folder .. "\0" .. name]
  if process then
    if process:status() == nil then return true end
    process:close()
    started[folder .. "\0" .. name] = nil
    return false
  end
  local seen = tonumber(store:get("preview window", name) or "")
  return seen ~= nil and math.abs(os.time() - seen) < GONE
end

--- The process of a window that this session started.
function M.process(folder, name) return started[folder .. "\0" .. name] end

--- Have it shown: by the window that is open on it, else by a new one. nil and a sentence when there can be none.
---@param folder string of the store
---@param store table
---@param name string
---@return "open"|"opened"|nil how, string? message, string? code
function M.show(folder, store, name)
  if script.env "CALOTYPE_WINDOW" == "no" then return nil, "CALOTYPE_WINDOW=no: no window is opened", "MISSING" end
  if is_open(store, folder, name) then return "open" end
  local there, message, code = require("native.window").display()
  if not there then return nil, message, code end
  local process = require "native.process"
  local child
  child, message, code = process.start { M.program or process.self(), "view", M.PREFIX .. name, detached = true, env = { CALOTYPE_STORE = folder } }
  if not child then return nil, "the window cannot be started: " .. message, code end
  started[folder .. "\0" .. name] = child
  return "opened"
end

return M
