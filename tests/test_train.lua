local checkpoint = require "train.checkpoint"
local device = require "native.device"
local fs = require "native.fs"
local graph = require "native.graph"
local hash = require "native.hash"
local image = require "native.image"
local loop = require "train.loop"
local optimizer = require "train.optimizer"

local opened, why = device.open()

-- The loop --------------------------------------------------------------------------------------------------------------

test("a loop runs its steps, saves now and then and at the end", function()
  local steps, saved, looked, lines = {}, {}, {}, {}
  local ended, account = loop.run {
    label = "x", steps = 7, step = function(i) steps[#steps + 1] = i return 1 / i, 1 end,
    save = function(step) saved[#saved + 1] = step return true end, save_every = 3,
    each = { { every = 2, run = function(step) looked[#looked + 1] = step end } },
    every = 5, say = function(line) lines[#lines + 1] = line end,
  }
  check.equal(ended, "done")
  check.equal(steps, { 1, 2, 3, 4, 5, 6, 7 })
  check.equal(saved, { 3, 6, 7 })
  check.equal(looked, { 2, 4, 6 })
  check.equal(#lines, 2)
  check.contains(lines[1], "x step 5 of 7: loss 0.45667")
  check.equal({ account.done, account.saved, account.skipped, #account.losses }, { 7, 7, 0, 7 })
end)

test("a loop that goes on begins behind what is done, and has nothing to do when all is", function()
  local steps = {}
  local job = { label = "x", from = 4, steps = 6, step = function(i) steps[#steps + 1] = i return 1 end }
  check.equal(select(2, loop.run(job)).losses, { 1, 1 })
  check.equal(steps, { 5, 6 })
  job.from = 6
  check.equal((loop.run(job)), "done")
  check.equal(#steps, 2)
end)

test("three updates in a row that are not finite end the loop; two do not", function()
  local said, saved
  local function run(bad)
    said, saved = {}, {}
    return loop.run {
      label = "x", steps = 10, save_every = 2, save = function(step) saved[#saved + 1] = step return true end, warn = function(text) said[#said + 1] = text end,
      step = function(i) return 0.5, bad[i] or 1 end,
    }
  end
  local ended, account = run { [3] = 1 / 0, [4] = 0 / 0, [6] = 0 / 0 }
  check.equal({ ended, account.skipped }, { "done", 3 })
  check.equal(saved, { 2, 8, 10 }) -- what is saved right after a skipped step could not be told from a good one
  check.contains(said[1], "step 3: the gradients are not finite; its update was skipped")
  check.equal(check.refused("3 steps in a row were not finite, up to step 7; the checkpoint of step 4 is kept", run { [5] = 0 / 0, [6] = 0 / 0, [7] = 0 / 0 }), "NUMBER")
  check.equal(saved, { 2, 4 })
end)

test("the last step, and the one that Ctrl-C ends, are kept also when their updates were skipped", function()
  local saved, level
  local function run(bad, pressed)
    saved, level = {}, 0
    return loop.run {
      label = "x", steps = 10, save_every = 4, save = function(step) saved[#saved + 1] = step return true end, stopped = function() return level end,
      step = function(i)
        if i == pressed then level = 1 end
        return bad[i] or 1, 1
      end,
    }
  end
  check.equal((run { [9] = 0 / 0, [10] = 0 / 0 }), "done")
  check.equal(saved, { 4, 8, 10 })
  local ended, account = run({ [6] = 0 / 0 }, 6)
  check.equal({ ended, account.saved }, { "interrupted", 6 })
  check.equal(saved, { 4, 6 })
  check.equal(check.refused("the checkpoint of step 4 is kept", run({ [5] = 0 / 0, [6] = 0 / 0, [7] = 0 / 0 }, 7)), "NUMBER")
end)

test("the first Ctrl-C ends the loop behind its step with a checkpoint, the second without", function()
  local level, saved
  local function run(pressed)
    level, saved = 0, {}
    return loop.run {
      label = "x", steps = 10, save = function(step) saved[#saved + 1] = step return true end, stopped = function() return level end,
      step = function(i)
        if i == 4 then level = pressed end
        return 1, 1
      end,
    }
  end
  check.equal((run(1)), "interrupted")
  check.equal(saved, { 4 })
  check.equal(check.refused("stopped in step 4; the checkpoint of step 0 is kept", run(2)), "INTERRUPT")
  check.equal(saved, {})
  check.refused("out of memory", loop.run { label = "x", steps = 3, step = function() return nil, "out of memory", "MEMORY" end })
  check.refused("disk full", loop.run { label = "x", steps = 3, step = function() return 1 end, save = function() return nil, "disk full", "FULL" end })
end)

-- Checkpoints -----------------------------------------------------------------------------------------------------------

local GROUPS = { "parameters", "moment_1", "moment_2" }

local function descent(size)
  local g = graph.new()
  local p, x = g:state("p", "f32", { size }, "parameters"), g:input("x", "f32", { size })
  local loss = ((p - x) * (p - x)):sum():reshape {}
  g:store("accumulate", g:mirror(p, "gradients"), g:differentiate(loss, { p })[1], true)
  g:output("accumulate", loss)
  local adamw = optimizer.adamw(g, { clip = 1 })
  local plan = check.ok(opened:plan(g))
  return {
    plan = plan, p = p, kept = checkpoint.of(g, { { name = "p", value = p } }),
    run = function(from, to)
      for i = from, to do
        plan:set(x, hash.random(3, i):normal(size))
        check.ok(plan:run "accumulate")
        adamw.set(plan, i, 0.1)
        check.ok(plan:run "apply")
      end
    end,
  }
end

test("a checkpoint goes on bit for bit", function()
  if not opened then skip(why) end
  local path = tmp "a.state"
  local whole, first, second = descent(50), descent(50), descent(50)
  whole.run(1, 9)
  first.run(1, 4)
  check.ok(checkpoint.save(path, first.plan, first.kept, { step = 4, options = { rank = 16 } }))
  check.equal(checkpoint.note(path), { step = 4, options = { rank = 16 } })
  check.equal(checkpoint.load(path, second.plan, second.kept).step, 4)
  second.run(5, 9)
  check.ok(second.plan:bytes(second.p) == whole.plan:bytes(whole.p))
  for _, group in ipairs(GROUPS) do check.ok(second.plan:group(group) == whole.plan:group(group), group) end
end)

test("a checkpoint of another size, another kind and a cut one are refused and change nothing", function()
  if not opened then skip(why) end
  local path = tmp "a.state"
  local job, other = descent(50), descent(500)
  job.run(1, 2)
  check.ok(checkpoint.save(path, job.plan, job.kept, { step = 2 }))
  local before = other.plan:group "parameters"
  check.refused("belongs to another model", checkpoint.load(path, other.plan, other.kept))
  check.ok(other.plan:group "parameters" == before)
  check.refused("no checkpoint of calotype", checkpoint.note "tests/golden/tiny/unet/lora.safetensors")
  local bytes = fs.read(path)
  for size = 0, #bytes - 1, 61 do
    check.ok(fs.write(path, bytes:sub(1, size)))
    check.refused("a.state", checkpoint.load(path, job.plan, job.kept))
  end
  check.refused("no checkpoint", checkpoint.load("tests/golden/tiny/unet/lora.safetensors", job.plan, job.kept))
end)

test("what changed between two trainings is told in words", function()
  local lines, names = checkpoint.differences({ rank = 16, lr = { unet = 1e-4 }, seed = 1 }, { rank = 32, lr = { unet = 1e-4, text = 5e-5 }, seed = 1 })
  check.equal(lines, { "lr.text (none) -> 5e-05", "rank 16 -> 32" })
  check.equal(names, { "lr.text", "rank" })
  check.equal(checkpoint.differences({ a = { 1, 2 } }, { a = { 1, 2 } }), {})
end)

test("numbers become bytes and come back, and the first that is not finite is found", function()
  local floats = require "train.floats"
  check.equal(floats.numbers(floats.bytes { 1, -0.5, 3 }), { 1.0, -0.5, 3.0 })
  check.equal(floats.not_finite(floats.bytes { 1, -0.5, 3.4e38 }), nil)
  for _, bad in ipairs { 0 / 0, math.huge, -math.huge } do check.equal(floats.not_finite(floats.bytes { 1, bad, 0, bad }), 2) end
end)

-- Pictures as numbers ---------------------------------------------------------------------------------------------------

test("a picture becomes numbers from -1 to 1 and comes back; gray is repeated, alpha laid over white", function()
  local picture = image.new(2, 1, { 0, 127, 255 })
  picture:set(1, 0, { 255, 1, 2 })
  local bytes = image.floats { picture, picture }
  check.equal(#bytes, 2 * 2 * 3 * 4)
  check.near((string.unpack("<f", bytes, 1)), -1, 0)
  check.near((string.unpack("<f", bytes, 9)), 1, 0)
  local back = image.of_floats(bytes, 2, 1)
  check.equal(#back, 2)
  check.equal({ back[2]:get(0, 0) }, { 0, 127, 255, 255 })
  check.equal({ back[2]:get(1, 0) }, { 255, 1, 2, 255 })
  check.equal({ image.of_floats(string.pack("<fff", -7, 0, 3), 1, 1)[1]:get(0, 0) }, { 0, 128, 255, 255 })
  check.equal(#image.floats { picture:gray() }, 24)
  check.near((string.unpack("<f", image.floats { image.new(1, 1, { 0, 0, 0, 0 }) })), 1, 0)
  check.fails("no whole number of such pictures", image.of_floats, "abc", 2, 1)
  for _, bad in ipairs { 0 / 0, math.huge, -math.huge } do
    check.equal(check.refused("green of the pixel at 1, 2 is ", image.of_floats(string.pack("<" .. ("f"):rep(18), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      bad, 0), 2, 3)), "FORMAT")
  end
  check.fails("picture 2 is 3 x 1, the first is 2 x 1", image.floats, { picture, image.new(3, 1) })
end)
