-- buckets.lua - the sizes that pictures are trained at, and which part of a picture that is, for those who show it.
--
--   local list = buckets.of_training(512, 8)              -- kohya's sizes around 512 x 512, as :train_lora takes them without a :bucket
--   local bucket = dataset.bucket(640, 480, list)         -- { width = 576, height = 448, scale_width = 597, ... }
--   buckets.crop(640, 480, bucket)                        --> { x = 11, y = 0, width = 617, height = 480 } of the picture's pixels
--
-- A picture is scaled to scale_width x scale_height, and the middle of that, width x height, is what the model sees.
local dataset = require "native.dataset"

local M = {}

--- The list for pictures without a bucket of their own; sides are multiples of `multiple`. nil, message, code when there can be none.
---@param resolution integer
---@param multiple integer
---@return table? list, string? message, string? code
function M.of_training(resolution, multiple)
  local step = math.max(multiple, resolution >= 512 and 64 // multiple * multiple or multiple)
  return dataset.buckets { resolution = resolution, min = math.max(step, resolution // 2 // step * step), max = resolution * 2, step = step }
end

--- The part of a picture that the model sees, in the picture's pixels, whole ones and never beyond its border.
---@param width integer of the picture
---@param height integer
---@param bucket { width: integer, height: integer, scale_width: integer, scale_height: integer, crop_x: integer, crop_y: integer }
---@return { x: integer, y: integer, width: integer, height: integer }
function M.crop(width, height, bucket)
  local function part(side, from, taken, scaled)
    local first = math.min(math.floor(from * side / scaled + 0.5), side - 1)
    return first, math.max(math.min(math.floor((from + taken) * side / scaled + 0.5), side) - first, 1)
  end
  local x, w = part(width, bucket.crop_x, bucket.width, bucket.scale_width)
  local y, h = part(height, bucket.crop_y, bucket.height, bucket.scale_height)
  return { x = x, y = y, width = w, height = h }
end

-- What trains on the pictures of a stage, where that is known: the step that follows it, or one behind others.
local function training_of(session, made)
  local stage = require "recipe.stage"
  for _, other in ipairs(session.stages) do
    local state = stage.state(other)
    if state.verb.name == "train_lora" and state.base then
      for _, step in ipairs(stage.lineage(other)) do if step == made then return state end end
    end
  end
end

--- What gives a picture its bucket as the training of this recipe does: its own of :bucket, else that of the :train_lora which follows.
---@param session table
---@param made table a stage
---@return fun(item: calotype.item): table?
function M.trained(session, made)
  local training, list = training_of(session, made), nil
  if training then list = M.of_training(training.options.resolution, require("models.sides").multiple(training.base)) end
  return function(item)
    return item.bucket or list and item.width and item.height and dataset.bucket(item.width, item.height, list) or nil
  end
end

return M
