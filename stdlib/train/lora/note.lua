-- note.lua - what a run's state says of the run, as JSON in its header (train/checkpoint.lua): where it stands, what was measured on the way.
--
--   local now = note.new()
--   note.add_losses(now, { 0.12, 0.11 }, 400)               -- of steps 401 and 402
--   note.set_held(now, 500, 0.104, digest)                  -- the loss of held-out pictures
--   note.has_held(now, 500, digest)                         --> true
--   note.up_to(now, 250, digest, metadata)                  -- the note as it would be of a run to that step

local json = require "native.json"
local loop = require "train.loop"

local note = {}

---@class calotype.Note
---@field step integer where the run stands
---@field updates integer steps whose update was not skipped
---@field losses { step: integer, sum: number, count: integer }[] means over `stride` steps, each with the first of them; short enough for a header
---@field stride integer
---@field validation { step: integer, loss: any, held?: string }[] held-out losses, json.null where not finite; `held` says of which pictures
---@field started integer when, in Unix seconds
---@field seconds number how long it computed
---@field resumed integer[] steps at which it went on
---@field asked? table what it was asked for besides (identity.besides)
---@field file? string sha256 of the LoRA's tensors

---@return calotype.Note
function note.new()
  return { step = 0, updates = 0, losses = {}, stride = 1, validation = {}, started = os.time(), seconds = 0, resumed = {} }
end

--- Losses of the steps behind `from`. What is not finite is no part of a mean.
---@param it calotype.Note
---@param losses number[]
---@param from integer
function note.add_losses(it, losses, from)
  for i, loss in ipairs(losses) do
    local step, last, fine = from + i, it.losses[#it.losses], loop.finite(loss)
    if fine and last and last.step // it.stride == step // it.stride then
      last.sum, last.count = last.sum + loss, last.count + 1
    elseif fine then
      it.losses[#it.losses + 1] = { step = step, sum = loss, count = 1 }
    end
  end
end

-- Whether a row was measured on these pictures; old rows do not say.
local function is_of(row, held) return not row.held or row.held == held end

--- The held-out loss of a step, in place of what was measured on the same pictures before.
---@param it calotype.Note
---@param held string digest of the pictures
function note.set_held(it, step, loss, held)
  local rows = {}
  for _, row in ipairs(it.validation) do if row.step ~= step or not is_of(row, held) then rows[#rows + 1] = row end end
  rows[#rows + 1] = { step = step, loss = loop.finite(loss) and loss or json.null, held = held }
  it.validation = rows
end

---@param it calotype.Note
---@param held string digest of the pictures
---@return boolean
function note.has_held(it, step, held)
  for _, row in ipairs(it.validation) do if row.step == step and is_of(row, held) then return true end end
  return false
end

--- What it tells of the run up to a step: it may be of a longer one.
---@param it calotype.Note
---@param step integer
---@param held? string digest of the pictures that are held out
---@param metadata table<string, string> of the step's LoRA file
---@return calotype.Note
function note.up_to(it, step, held, metadata)
  local part = {}
  for key, value in pairs(it) do part[key] = value end
  part.losses, part.validation = {}, {}
  for _, row in ipairs(it.losses or {}) do if row.step <= step then table.insert(part.losses, row) end end
  for _, row in ipairs(held and it.validation or {}) do if row.step <= step and is_of(row, held) then table.insert(part.validation, row) end end
  if it.step ~= step then
    part.step, part.seconds = step, tonumber(metadata["calotype.seconds"])
    part.resumed = json.decode(metadata["calotype.resumed_at"] or "[]")
  end
  part.file = metadata.sshs_model_hash
  return part
end

return note
