-- runs.lua - which trainings a project remembers, so that one which begins anew can say why the nearest of them is not gone on with.
--
--   local near = runs.remember(store, "/home/me/checkpoints/wtrclr", job)      -- a job of train.lora, with its identity and folder
--   runs.latest(store, "/home/me/checkpoints/wtrclr")                          --> "checkpoints/wtrclr-77aa01bc"
--   runs.remember_file(store, sum, "/home/me/checkpoints/wtrclr-77aa01bc")     -- a LoRA of these tensors (sshs_model_hash) went out of that run
--   runs.of_file(store, sum)                                                   --> that folder, wherever the file lies and whatever it is called
--   near.folder, near.causes         --> "checkpoints/wtrclr-3f2a91c0", { "rank 16 -> 32", "12 pictures instead of 5" }

local checkpoint = require "train.checkpoint"
local files = require "train.lora.files"
local fs = require "native.fs"
local hash = require "native.hash"
local json = require "native.json"

local runs = {}

local MOST = 20 -- runs of one name

local function digest(list) return hash.sha256(json.encode(json.array(list))) end

-- What an identity has as one hash, in parts that can be named.
local function about(job)
  local parts = { contents = {}, captions = {}, weights = {}, shapes = {} }
  local pictures = table.move(job.pictures, 1, #job.pictures, 1, {})
  table.sort(pictures, function(a, b)
    if a.sha256 ~= b.sha256 then return a.sha256 < b.sha256 end
    return a.caption < b.caption
  end)
  for i, p in ipairs(pictures) do
    local b = p.bucket
    parts.contents[i], parts.captions[i], parts.weights[i] = p.sha256, p.caption, p.weight
    parts.shapes[i] = json.array { b.width, b.height, b.scale_width, b.scale_height, b.crop_x, b.crop_y }
  end
  return { base = job.model.path, resolution = job.options.resolution, count = #pictures, contents = digest(parts.contents),
    captions = digest(parts.captions), weights = digest(parts.weights), shapes = digest(parts.shapes) }
end

local function causes_in_pictures(before, now, out)
  local same = #out
  local function cause(...) out[#out + 1] = (...):format(select(2, ...)) end
  if before.resolution ~= now.resolution then cause("resolution %d -> %d", before.resolution, now.resolution) end
  if before.count ~= now.count then cause("%d picture%s instead of %d", now.count, now.count == 1 and "" or "s", before.count)
  elseif before.contents ~= now.contents then cause "other pictures"
  else
    if before.captions ~= now.captions then cause "other captions" end
    if before.weights ~= now.weights then cause "other weights of pictures" end
    if before.shapes ~= now.shapes and before.resolution == now.resolution then cause "other sizes or crops of the pictures" end
  end
  if #out == same then cause "the pictures in another order" end
end

-- What is different, as a person would say it, and how far apart that makes two runs: other pictures count more than another option.
local function causes(before, now)
  local lines, names = checkpoint.differences(before.identity, now.identity)
  local out, base = {}, {}
  for i, name in ipairs(names) do
    local part = name:match "^base%.(.*)"
    if part then base[#base + 1] = part
    elseif name == "pictures" and before.about then causes_in_pictures(before.about, now.about, out)
    else out[#out + 1] = lines[i] end
  end
  if #base > 0 then
    local moved = before.about and before.about.base ~= now.about.base
    out[#out + 1] = moved and ("base %s -> %s"):format(before.about.base, now.about.base) or "the base's " .. table.concat(base, ", ")
  end
  local a, b = before.about, now.about
  return out, #out + (a and a.contents ~= b.contents and 2 or 0)
end

--- Remember a run, and give the one of the others under this key that differs least, the latest of equals; nil when there is none that could be
--- gone on with.
---@param store table
---@param key string
---@param job table of train.lora
---@return { folder: string, causes: string[] }? near
function runs.remember(store, key, job)
  local now = { identity = job.identity, folder = job.folder, about = about(job) }
  local text = store:get("training", key)
  local known = text and json.decode(text) or {}
  local list, near, nearest = {}, nil, nil
  for _, run in ipairs(known.runs or { known.folder and known or nil }) do -- before there was a list, the last one was kept
    if run.folder ~= now.folder then
      list[#list + 1] = run
      if fs.stat(files.last_state(run.folder)) then
        local found, distance = causes(run, now)
        if #found > 0 and (not near or distance <= nearest) then near, nearest = { folder = run.folder, causes = found }, distance end
      end
    end
  end
  list[#list + 1] = now
  if #list > MOST then table.remove(list, 1) end
  store:put("training", key, json.encode { runs = json.array(list) })
  return near
end

--- The folder of the run under this key that was begun or gone on with last; nil when there is none.
---@param store table
---@param key string
---@return string?
function runs.latest(store, key)
  local text = store:get("training", key)
  local known = text and json.decode(text)
  local list = type(known) == "table" and (known.runs or { known.folder and known or nil }) or {}
  local last = list[#list]
  return last and last.folder or nil
end

--- Remember from which run a LoRA's file is.
---@param store table
---@param sum string of its tensors, as its metadata have it
---@param folder string
function runs.remember_file(store, sum, folder)
  folder = fs.absolute(folder) or folder
  if store:get("trained file", sum) ~= folder then store:put("trained file", sum, folder) end
end

--- The folder of the run that it is from; nil where this project knows none.
---@param store table
---@param sum string
---@return string?
function runs.of_file(store, sum) return store:get("trained file", sum) end

return runs
