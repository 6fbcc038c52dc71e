-- run.lua - a training as its files tell: the curve, where it stands, checkpoints, and the samples as a table. Without pixels.
--
--   local r = run.new { folder = "checkpoints/wtrclr-3f2a91c0" }        -- or { file = "x.safetensors" }, or { key = ..., recipe = "hall.lua" }
--   if r:look(store, now) then ... end                                  -- once a second: true when something is another; finds the run of a file
--   r.state, r.step, r.steps, r.left                                    -- "training"; done, all; seconds that are left, nil: nobody knows
--   r.losses, r.smooth, r.held                                          -- { { step, loss }, ... }
--   r.checkpoints                                                       -- { { step, path, size }, ... }
--   r.prompts, r.rows                                                   -- the table: r.rows[i].title, r.rows[i][n] is a cell of prompt n
--   r.facts                                                             -- { { "base", "sd15" }, ... }: of the run, or of the file's metadata
--
-- A cell: { path, mtime_ns, width, height, part = { x, y, width, height, sheet_width, sheet_height }, index, name, facts }, a picture that lies in
-- a larger one. A run that another process works on is read as it is written (train/live.lua); what is older has its last.state only.
local checkpoint = require "train.checkpoint"
local files = require "train.lora.files"
local fs = require "native.fs"
local live = require "train.live"
local log = require "native.log"
local runs = require "train.runs"
local safetensors = require "native.safetensors"

local M = {}

local Run = {}
Run.__index = Run

local EVERY = 1 -- seconds between two looks
local SMOOTH = 0.06 -- share of a point in the smoothed one
local SILENT = 60 -- seconds without news, and more than SLOW steps: nobody works on it
local SLOW = 10
local POINTS = 4096 -- of a curve: no window is as wide; a training writes fewer
local SHEETS = 1000 -- of samples, the last of them
local NAMED = 20 -- steps at which it went on

--- Whether a folder is that of a run.
---@param folder string
---@return boolean
function M.is_folder(folder) return fs.stat(folder .. "/" .. live.NAME) ~= nil or fs.stat(files.last_state(folder)) ~= nil end

---@param about { folder?: string, file?: string, key?: string, recipe?: string }
function M.new(about)
  return setmetatable({ folder = about.folder, file = about.file, key = about.key, recipe = about.recipe, losses = {}, smooth = {}, held = {}, checkpoints = {},
    prompts = {}, rows = {}, facts = {}, version = 0, state = "none", step = 0 }, Run)
end

-- --- reading --------------------------------------------------------------------------------------------------------------------------------

local function pair(row)
  return type(row) == "table" and math.type(row[1]) == "integer" and type(row[2]) == "number" and row[2] == row[2] and math.abs(row[2]) < math.huge
end

local function pairs_of(list)
  local out = {}
  for _, row in ipairs(type(list) == "table" and list or {}) do if pair(row) then out[#out + 1] = row end end
  table.sort(out, function(a, b) return a[1] < b[1] end)
  local stride = math.ceil(#out / POINTS)
  if stride < 2 then return out end
  local thin = {}
  for i = 1, #out, stride do -- each the mean of so many
    local last, sum = math.min(i + stride - 1, #out), 0
    for k = i, last do sum = sum + out[k][2] / (last - i + 1) end
    thin[#thin + 1] = { out[i][1], sum }
  end
  return thin
end

-- A curve through the noise: what each step draws is chance, what many draw is learned.
local function smoothed(points)
  local out, value = {}, nil
  for i, point in ipairs(points) do
    value = value and value + math.max(SMOOTH, 1 / i) * (point[2] - value) or point[2]
    out[i] = { point[1], value }
  end
  return out
end

local function number(value) return type(value) == "number" and value == value and math.abs(value) < math.huge and value or nil end
local function whole(value) return math.type(value) == "integer" and value >= 0 and value or nil end
local function text(value) return type(value) == "string" and value or nil end

-- What the state of a run says that has no file for watchers.
local function of_state(folder)
  local path = files.last_state(folder)
  local note = fs.stat(path) and checkpoint.note(path)
  if not note then return nil end
  local losses, held = {}, {}
  for _, row in ipairs(note.losses or {}) do losses[#losses + 1] = { row.step, row.sum / row.count } end
  for _, row in ipairs(note.validation or {}) do held[#held + 1] = { row.step, row.loss } end
  return { state = "kept", step = note.step, losses = losses, held = held, samples = {}, grids = {}, seconds = note.seconds }
end

local SHOWN = { -- of a LoRA's metadata, in this order
  { "title", "modelspec.title" }, { "trigger", "modelspec.trigger_phrase" }, { "base", "ss_sd_model_name" }, { "kind", "modelspec.architecture" },
  { "steps", "ss_steps" }, { "of", "ss_max_train_steps" }, { "rank", "ss_network_dim" }, { "alpha", "ss_network_alpha" },
  { "lr", "ss_unet_lr" }, { "lr, text", "ss_text_encoder_lr" }, { "optimizer", "ss_optimizer" }, { "batch", "ss_total_batch_size" },
  { "resolution", "ss_resolution" }, { "pictures", "ss_num_train_images" }, { "held out", "ss_num_validation_images" }, { "seed", "ss_seed" },
  { "captions by", "calotype.captions_by" }, { "device", "calotype.device" }, { "date", "modelspec.date" }, { "author", "modelspec.author" },
  { "license", "modelspec.license" }, { "calotype", "calotype.version" },
}

local function facts_of(path)
  local file, message = safetensors.open(path)
  if not file then return nil, message end
  local out, metadata, count = {}, file.metadata or {}, 0
  for _, row in ipairs(SHOWN) do
    local value = metadata[row[2]]
    if value and value ~= "" and value ~= "None" then out[#out + 1] = { row[1], value } end
  end
  for _ in pairs(file.tensors or {}) do count = count + 1 end
  out[#out + 1] = { "tensors", tostring(count) }
  return out
end

-- --- the table of samples ---------------------------------------------------------------------------------------------------------------------

local function place_of(cell)
  if type(cell) ~= "table" or #cell < 4 then return nil end
  for i = 1, 4 do if not whole(cell[i]) then return nil end end
  if cell[3] < 1 or cell[4] < 1 then return nil end
  return { x = cell[1], y = cell[2], width = cell[3], height = cell[4] }
end

-- A sheet's pictures into rows: one for each strength and seed, a cell for each prompt.
local function lay(self, sheet, by)
  if type(sheet) ~= "table" or not (whole(sheet.step) and text(sheet.path) and whole(sheet.width) and whole(sheet.height)) then return end
  local path = files.samples_folder(self.folder) .. "/" .. sheet.path:match "[^/]*$" -- the folder may lie elsewhere by now
  local info = fs.stat(path)
  if not info then
    path = sheet.path
    fs.grant(path:match "^(.*)/[^/]*$" or ".", "read")
    info = fs.stat(path)
  end
  if not info or info.kind ~= "file" then return end
  local seeds = type(sheet.seeds) == "table" and sheet.seeds or {}
  for _, row in ipairs(type(sheet.rows) == "table" and sheet.rows or {}) do
    local prompt, strength = type(row) == "table" and text(row.prompt), type(row) == "table" and number(row.strength) or 1
    for i, cell in ipairs(prompt and type(row.cells) == "table" and row.cells or {}) do
      local place, seed = place_of(cell), seeds[i] or i
      if place and place.x + place.width <= sheet.width and place.y + place.height <= sheet.height then
        local key = ("%d|%g|%s"):format(sheet.step, strength, tostring(seed))
        local line = by[key]
        if not line then
          line = { step = sheet.step, strength = strength, seed = seed }
          by[key], self.rows[#self.rows + 1] = line, line
        end
        local n = by.prompts[prompt]
        if not n then
          n = #self.prompts + 1
          self.prompts[n], by.prompts[prompt] = prompt, n
        end
        place.sheet_width, place.sheet_height = sheet.width, sheet.height
        line[n] = { path = path, mtime_ns = info.mtime_ns, width = place.width, height = place.height, part = place, prompt = prompt }
      end
    end
  end
end

local function title_of(row, several_strengths, several_seeds)
  local title = row.strength == 0 and "without" or ("step %d"):format(row.step)
  if several_strengths and row.strength ~= 0 then title = ("%s at %g"):format(title, row.strength) end
  return title, several_seeds and ("seed %s"):format(tostring(row.seed)) or ""
end

-- All sheets; newest below, as a run goes on. Sheets that no file for watchers knows are one cell each.
local function lay_table(self, now, sheets)
  self.prompts, self.rows = {}, {}
  local by = { prompts = {} }
  for _, list in ipairs { now.samples or {}, now.grids or {} } do
    for i = type(list) == "table" and math.max(#list - SHEETS, 0) + 1 or 1, type(list) == "table" and #list or 0 do lay(self, list[i], by) end
  end
  if #self.rows == 0 and #sheets > 0 then
    self.prompts[1] = "samples"
    for i, sheet in ipairs(sheets) do
      self.rows[i] = { step = sheet.step, strength = 1, seed = 0, { path = sheet.path, mtime_ns = sheet.mtime_ns, prompt = "samples" } }
    end
  end
  table.sort(self.rows, function(a, b)
    if a.step ~= b.step then return a.step < b.step end
    if a.strength ~= b.strength then return a.strength < b.strength end
    return tostring(a.seed) < tostring(b.seed)
  end)
  local strengths, seeds = {}, {}
  for _, row in ipairs(self.rows) do strengths[row.strength], seeds[row.seed] = true, true end
  local several_strengths, several_seeds = next(strengths, next(strengths)) ~= nil, next(seeds, next(seeds)) ~= nil
  local index = 0
  for _, row in ipairs(self.rows) do
    row.title, row.second = title_of(row, several_strengths, several_seeds)
    for n = 1, #self.prompts do
      local cell = row[n]
      if cell then
        index = index + 1
        cell.index, cell.name, cell.caption, cell.star = "sample " .. index, row.title, "", 0
        cell.facts = row.second
      end
    end
  end
end

-- --- looking --------------------------------------------------------------------------------------------------------------------------------

local function fact(self, name, value)
  if value ~= nil and value ~= "" then self.facts[#self.facts + 1] = { name, tostring(value) } end
end

local function take(self, now, checkpoints, sheets)
  self.state, self.step, self.steps, self.lr = text(now.state) or "kept", whole(now.step) or 0, whole(now.steps), number(now.lr)
  self.message, self.title = text(now.message), text(now.title) or text(now.name)
  self.losses, self.held = pairs_of(now.losses), pairs_of(now.held)
  self.smooth = smoothed(self.losses)
  self.loss = self.smooth[#self.smooth] and self.smooth[#self.smooth][2]
  self.per_step, self.updated = number(now.seconds_per_step), whole(now.updated)
  self.checkpoints = checkpoints
  lay_table(self, now, sheets)
  self.facts = {}
  if #checkpoints > 0 and not now.base then
    self.facts = facts_of(checkpoints[#checkpoints].path) or {}
  else
    fact(self, "trigger", text(now.trigger))
    fact(self, "base", text(now.base))
    fact(self, "rank", whole(now.rank))
    fact(self, "pictures", whole(now.pictures))
    fact(self, "device", text(now.device))
    if whole(now.started) then fact(self, "began", os.date("%Y-%m-%d %H:%M", now.started)) end
    local resumed = {}
    for i, step in ipairs(type(now.resumed) == "table" and now.resumed or {}) do
      if i <= NAMED and whole(step) then resumed[#resumed + 1] = step end
    end
    if #resumed > 0 then fact(self, "went on at", table.concat(resumed, ", ")) end
  end
end

-- What does not need a new reading: whether somebody works on it, and how long that will take.
local function tell_time(self)
  local before = self.left and math.floor(self.left) or self.silent
  self.left, self.silent = nil, nil
  if self.state == "training" then
    local quiet = self.updated and os.time() - self.updated or 0
    if quiet > math.max(SILENT, SLOW * (self.per_step or 0)) then self.silent = quiet
    elseif self.per_step and self.steps then self.left = math.max((self.steps - self.step) * self.per_step - quiet, 0) end
  end
  return before ~= (self.left and math.floor(self.left) or self.silent)
end

-- One text for what the files are now: nothing is read while it is the same.
local function stamp(self)
  local parts = {}
  for i, path in ipairs { self.file or "", self.folder and self.folder .. "/" .. live.NAME or "", self.folder and files.last_state(self.folder) or "",
    self.folder or "", self.folder and files.samples_folder(self.folder) or "" } do
    local info = path ~= "" and fs.stat(path)
    parts[i] = info and ("%d %d"):format(info.size or 0, info.mtime_ns or 0) or ""
  end
  return (self.folder or "") .. "|" .. table.concat(parts, "|")
end

-- A LoRA that lies elsewhere: the run that it went out of, when this project made it.
local function seek(self, store)
  self.sought = true
  local file = safetensors.open(self.file)
  local sum = file and file.metadata and file.metadata.sshs_model_hash
  local folder = sum and runs.of_file(store, sum)
  if folder and fs.grant(folder, "read") and M.is_folder(folder) then self.folder = folder end
end

--- Look at the files when it is time.
---@param store table
---@param now number seconds, rising
---@return boolean changed
function Run:look(store, now)
  if self.looked and now - self.looked < EVERY then return false end
  self.looked = now
  if self.key then
    self.folder = runs.latest(store, self.key) or self.folder
    if self.folder and not fs.stat(self.folder) then fs.grant(self.folder, "read") end -- until it is there
  end
  if self.file and not self.folder and not self.sought then seek(self, store) end
  local is = stamp(self)
  if is == self.stamp then return tell_time(self) end
  self.stamp, self.version = is, self.version + 1
  local found, message, code
  if self.folder and fs.stat(self.folder) then
    found, message, code = live.read(self.folder)
    found = found or of_state(self.folder)
    local checkpoints, sheets = files.loras(self.folder), files.samples(self.folder)
    take(self, found or { state = #checkpoints > 0 and "kept" or "none" }, checkpoints, sheets)
  else
    self.state = "none"
  end
  self.trouble = message and code ~= "NOTFOUND" and message or nil
  if self.file then
    local facts
    facts, message = facts_of(self.file)
    if facts then self.facts = facts else self.trouble = message end
  end
  tell_time(self)
  return true
end

--- Where it stands, in a line.
---@return string
function Run:told()
  local parts = {}
  if self.state == "none" then return self.recipe and "not trained yet" or "no training is known of this file" end
  if self.steps then parts[1] = ("step %d of %d"):format(self.step, self.steps) else parts[1] = ("step %d"):format(self.step) end
  if self.state == "training" then
    if self.silent then parts[#parts + 1] = ("no news for %s: it was ended, or its machine sleeps"):format(log.duration(self.silent))
    elseif self.left then parts[#parts + 1] = log.duration(self.left) .. " left" end
  elseif self.state == "done" then parts[#parts + 1] = "done"
  elseif self.state == "interrupted" then parts[#parts + 1] = "stopped; it can go on"
  elseif self.state == "failed" then parts[#parts + 1] = "failed" .. (self.message and ": " .. self.message or "") end
  return table.concat(parts, "  \u{B7}  ")
end


return M
