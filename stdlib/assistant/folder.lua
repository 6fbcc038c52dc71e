-- folder.lua - a folder of pictures as the assistant sees it: read and measured as `images` does, with colours and captions.
--
--   local photos <close> = folder.open { folder = "photos", recursive = false, say = print }
--   photos.items[1].look, photos.items[1].shown                      -- looks.lua; its path below the folder
--   photos:stage(function(images) return images:dedupe {} end)       -- what a recipe would make of it
local environment = require "recipe.environment"
local log = require "native.log"
local looks = require "assistant.looks"
local place = require "recipe.place"
local script = require "native.script"
local set = require "recipe.set"
local stages = require "recipe.stage"

local M = {}
local Folder = {}
Folder.__index = Folder

--- End the command.
function M.fail(message, hint, code)
  place.fail(nil, message, { hint = hint, exit = code == "DENIED" and 3 or code == "INTERRUPT" and 130 or code == "usage" and 2 or 1 })
end

--- Ctrl-C ends the command here; called wherever much is looked at.
function M.poll()
  if script.interrupted() > 0 then M.fail("stopped", "what was measured is kept: the same command goes on", "INTERRUPT") end
end

--- A path as it can be shown and be in JSON: bytes that are no UTF-8, and controls, are marks.
---@param text string
---@return string
function M.printable(text)
  while not utf8.len(text) do
    local _, bad = utf8.len(text)
    text = text:sub(1, bad - 1) .. "\u{FFFD}" .. text:sub(bad + 1)
  end
  return (text:gsub("%c", "\u{FFFD}"))
end

local function look_at(self)
  local store = self:store()
  local bar = log.progress("colours", #self.items)
  local function all()
    for i, item in ipairs(self.items) do
      item.look = looks.of(store, item)
      bar:set(i)
      if script.interrupted() > 0 then return end
    end
  end
  store:batch(all)
  bar:close()
  M.poll()
end

--- Raises as `images` does where there is no such folder or nothing in it.
---@param options { folder: string, recursive?: boolean, store?: string, say?: fun(line: string) }
---@return table
function M.open(options)
  local path = #options.folder > 1 and options.folder:gsub("/+$", "") or options.folder
  if path:find("${", 1, true) then
    M.fail(("the folder's name %s has ${, where recipes put a parameter"):format(path), "rename it, or link to it under another name", "usage")
  end
  local env, session = environment.new { mode = "live", store = options.store, say = options.say }
  local self = setmetatable({ path = path, session = session, recursive = options.recursive or false }, Folder)
  self.first = env.images({ path, recursive = self.recursive })
  local result = stages.evaluate(self.first)
  self.say, session.to = session.to, function() end -- steps that are only tried are not told
  self.items, self.rejected = {}, result.rejected
  for i, item in ipairs(result.items) do
    self.items[i] = set.with(item, { shown = M.printable(item.path:sub(1, #path + 1) == path .. "/" and item.path:sub(#path + 2) or item.path) })
  end
  for _, reject in ipairs(self.rejected) do reject.item.shown = reject.item.name end
  look_at(self)
  return self
end

function Folder:store() return self.session:store() end

--- What a chain of verbs would leave: a set. `make(first)` gets images "folder".
function Folder:stage(make) return stages.evaluate(make(self.first)) end

--- For pages and outputs: what verbs get to write with.
function Folder:context()
  local session = self.session
  return {
    session = session, at = nil, store = function() return session:store() end,
    account = function(text) self.say("  " .. text) end,
    warn = function(text) session:warn(text) end,
    fail = function(message, more) M.fail(message, more and more.hint, more and more.code) end,
  }
end

--- The caption by a model that is a picture's text: the one in force, else (a person's words were taken away) the newest; one that was
--- only asked for a comparison is nobody's text | nil.
function Folder:by_model(item)
  local now = self:store():caption_in_force(item.sha256)
  if not now or now.author == "model" then return now end
  local found
  for _, row in ipairs(self:store():captions(item.sha256)) do if row.author == "model" and not row.aside then found = row end end
  return found
end

function Folder:close() self.session:close() end
Folder.__close = Folder.close

return M
