-- files.lua - what the files of a run are called, and which of them there are.
--
--   checkpoints/wtrclr-3f2a91c0/step-000250.safetensors  LoRA files, usable as they are
--   checkpoints/wtrclr-3f2a91c0/last.state               parameters and moments in f32 of the last of them (train/checkpoint.lua)
--   checkpoints/wtrclr-3f2a91c0/until-000200.state       the same of a run to fewer steps than last.state stands at
--   checkpoints/wtrclr-3f2a91c0/samples/step-000250.png
--   checkpoints/wtrclr-3f2a91c0/run.json                 where it stands, for those who watch (train/live.lua)
--
--   files.lora("checkpoints/wtrclr-3f2a91c0", 250)       --> the first of these
--   files.loras "checkpoints/wtrclr-3f2a91c0"            --> { { step = 250, path =, size =, mtime_ns = }, ... }

local fs = require "native.fs"

local files = {}

---@param folder string of the run
---@param step integer
---@return string path
function files.lora(folder, step) return ("%s/step-%06d.safetensors"):format(folder, step) end

---@return string folder
function files.samples_folder(folder) return folder .. "/samples" end

---@return string path
function files.sample(folder, step) return ("%s/step-%06d.png"):format(files.samples_folder(folder), step) end

--- The state that a run goes on from.
---@return string path
function files.last_state(folder) return folder .. "/last.state" end

--- That of a run which ends at fewer steps.
---@return string path
function files.state_until(folder, steps) return ("%s/until-%06d.state"):format(folder, steps) end

local function by_step(folder, pattern)
  local out = {}
  for _, entry in ipairs(fs.stat(folder) and fs.list(folder) or {}) do
    local step = entry.kind == "file" and entry.path:match(pattern)
    if step then out[#out + 1] = { step = tonumber(step), path = entry.path, size = entry.size, mtime_ns = entry.mtime_ns } end
  end
  table.sort(out, function(a, b) return a.step < b.step end)
  return out
end

--- The LoRA files that are kept, by their steps.
---@return { step: integer, path: string, size: integer, mtime_ns: integer }[]
function files.loras(folder) return by_step(folder, "/step%-(%d+)%.safetensors$") end

--- The sheets of samples, by their steps.
---@return { step: integer, path: string, size: integer, mtime_ns: integer }[]
function files.samples(folder) return by_step(files.samples_folder(folder), "/step%-(%d+)%.png$") end

---@return string[] paths of its states
function files.states(folder)
  local out = {}
  for _, entry in ipairs(fs.stat(folder) and fs.list(folder) or {}) do if entry.path:find "%.state$" then out[#out + 1] = entry.path end end
  return out
end

return files
