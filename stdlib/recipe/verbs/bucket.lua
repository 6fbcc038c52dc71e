local dataset = require "native.dataset"
local set = require "recipe.set"

local M = {
  name = "bucket", version = 1,
  doc = "Give each picture the training size whose shape is nearest to its own, by kohya's algorithm. Pictures are not changed here.",
  example = "photos:bucket { resolution = 512 }",
  options = {
    { "resolution", "integer", min = 64, max = 4096, unit = "px", default = 512, doc = "side of the square whose area no bucket exceeds" },
    { "min", "integer", min = 32, max = 4096, unit = "px", default = 256, doc = "shortest side of a bucket" },
    { "max", "integer", min = 32, max = 8192, unit = "px", default = 1024, doc = "longest side of a bucket; with resolution 1024 take 2048" },
    { "step", "integer", min = 8, max = 256, unit = "px", default = 64, doc = "sides are multiples of this" },
    { "upscale", "boolean", default = true, doc = "enlarge small pictures to their bucket; false: their bucket shrinks instead" },
  },
}

function M.declare(state)
  local o = state.options
  if o.min > o.max then
    state.session:fail(state.at, (":bucket has min %d above max %d"):format(o.min, o.max), { key = "min", value = true, hint = "swap them" })
  end
  if o.max < o.resolution then
    state.session:fail(state.at, (":bucket has max %d below resolution %d"):format(o.max, o.resolution),
      { key = "max", value = true, hint = ("max = %d allows two to one"):format(o.resolution * 2) })
  end
end

function M.run(context, options, input)
  local how, message, code
  if options.upscale then
    how, message, code = dataset.buckets { resolution = options.resolution, min = options.min, max = options.max, step = options.step }
    if not how then context.fail(message, { code = code }) end
  else
    how = { resolution = options.resolution, min = options.min, max = options.max, step = options.step, upscale = false }
  end
  local sizes, count, enlarged = {}, 0, 0
  local out = set.map(input, function(item)
    local bucket, problem, problem_code = dataset.bucket(item.width, item.height, how)
    if not bucket then context.fail(("%s: %s"):format(item.path, problem), { code = problem_code }) end
    local name = ("%dx%d"):format(bucket.width, bucket.height)
    if not sizes[name] then sizes[name], count = true, count + 1 end
    if bucket.scale_width > item.width then enlarged = enlarged + 1 end
    return set.with(item, { bucket = bucket })
  end)
  context.account(("%s in %s%s"):format(set.count(#out.items), set.count(count, "bucket"), enlarged > 0 and (", %d enlarged"):format(enlarged) or ""))
  return out
end

return M
