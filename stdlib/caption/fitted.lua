-- fitted.lua - pictures as a model that looks at them wants them, a batch at a time.
--
--   for numbers, floats in fitted.batches(context, items, { device = device, batch = batch, side = 384, leave = leave }) do ... end
--                                                                      -- numbers[k]: which item the kth picture is of
--
-- A picture that cannot be decoded, or is no longer the one that was looked at, is left out: leave(item, why); the others are looked at.

local image = require "native.image"
local loader = require "native.loader"
local script = require "native.script"
local sessions = require "recipe.session"

local M = {}

local WAIT = 0.002 -- seconds between looks for a picture that is not ready

-- Why the loader's answer has no picture to look at; nil: it has one.
local function trouble_of(item, answer)
  if answer.sha256 and answer.sha256 ~= item.sha256 then return "it changed since it was looked at; run again" end
  if answer.error then return (answer.error:gsub("^" .. item.path:gsub("%p", "%%%0") .. ":? ", "")) end
end

--- Batches of at most `how.batch` pictures of `how.side` x `how.side`: numbers of the items, and image.floats of their pictures. The loader's threads make
--- the next batch ready while the device works on this one; a CPU that is the device lends them one thread.
---@param how { device: table, batch: integer, side: integer, square: boolean?, leave: fun(item: table, why: string) } square: a white border first, see
---   core/dataset/loader.h
function M.batches(context, items, how)
  local pictures, message, code = loader.open(sessions.native_store(context.store()), { threads = how.device:info().cpu and 1 or 0 })
  if not pictures then context.fail(message, { code = code }) end
  if context.tick then context.tick "" end -- it is ready
  local asked, at, come = 0, 0, {}
  local function ask(last)
    while asked < math.min(last, #items) do
      asked = asked + 1
      local ok, why, status = pictures:ask(asked, { path = items[asked].path, what = "fitted", width = how.side, height = how.side, square = how.square })
      if not ok then context.fail(why, { code = status }) end
    end
  end
  local function answer_of(n)
    while true do
      if script.interrupted() > 0 then context.fail("stopped", { exit = 130, hint = "what was done so far is kept" }) end
      if come[n] then return come[n] end
      local answer = pictures:next()
      if answer then come[answer.tag] = answer else script.pause(WAIT) end
    end
  end
  local function batch()
    local numbers, list = {}, {}
    while at < #items and #numbers < how.batch do
      at = at + 1
      ask(at + how.batch)
      local answer = answer_of(at)
      come[at] = nil
      local trouble = trouble_of(items[at], answer)
      if trouble then how.leave(items[at], trouble)
      else numbers[#numbers + 1], list[#list + 1] = at, answer.image end
    end
    if #numbers == 0 then return nil end
    local floats = image.floats(list)
    for _, picture in ipairs(list) do picture:close() end
    return numbers, floats
  end
  return batch, nil, nil, pictures -- the loop closes it, however it ends
end

return M
