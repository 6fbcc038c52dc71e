local checkpoint = require "train.checkpoint"
local device = require "native.device"
local fresh = require "train.fresh"
local fs = require "native.fs"
local graph = require "native.graph"
local hash = require "native.hash"
local layers = require "models.layers"
local optimizer = require "train.optimizer"
local rates = require "train.rate"
local safetensors = require "native.safetensors"

-- The rate ----------------------------------------------------------------------------------------------------------------

test("the rate climbs, stays, and falls along a cosine to its floor", function()
  local at = rates.new { peak = 2, steps = 100, warmup = 10, hold = 0.5, floor = 0.1 }
  check.near(at(1), 0.2, 1e-12)
  check.near(at(10), 2, 1e-12)
  check.near(at(51), 2, 1e-12)
  check.near(at(76), 2 * (0.1 + 0.9 * 0.5), 1e-12)
  check.ok(at(100) > 0.2 and at(100) < 0.21)
  check.equal({ rates.new { peak = 1 }(1), rates.new { peak = 1, warmup = 4 }(2), rates.new { peak = 1, warmup = 4 }(99) }, { 1, 0.5, 1 })
end)

-- A trained base is the same again only where every rate is, so these are compared without a tolerance.
test("the rate is to the last bit what models were trained with", function()
  for _, o in ipairs { { 1e-3, 11000, 200, 0.3, 0.02 }, { 1e-3, 9000, 50, 0.2, 0.01 }, { 7e-4, 333, 0, 0, 0 } } do
    local peak, steps, warmup, hold, floor = table.unpack(o)
    local at = rates.new { peak = peak, steps = steps, warmup = warmup, hold = hold, floor = floor }
    for step = 1, steps do
      local up, done = warmup > 0 and math.min(1, step / warmup) or 1, (step - 1) / steps
      local down = 0.5 + 0.5 * math.cos(math.pi * math.min(1, (done - hold) / (1 - hold)))
      if at(step) ~= (done <= hold and peak * up or peak * up * (floor + (1 - floor) * down)) then check.equal(at(step), nil, ("step %d"):format(step)) end
    end
  end
  local at = rates.new { peak = 1e-3, steps = 700, warmup = 10, cooldown = 233 }
  for step = 1, 700 do check.equal(at(step), 1e-3 * math.min(1, step / 10) * math.min(1, (701 - step) / 233)) end
end)

-- What is kept ------------------------------------------------------------------------------------------------------------

local opened, why = device.open()

-- y = x W' + b towards a target, with everything a training has.
local function small_training()
  local g = layers.new { fresh = function() return true end, trainable = function() return true end }
  local x, target = g.input("x", "f32", { 4, 3 }), g.input("target", "f32", { 4, 2 })
  local w = g.weights("net", {})
  local loss = g.mse(g.linear(g.silu(g.linear(x, w.first, 5)), w.second, 2), target)
  local parameters = {}
  for i, l in ipairs(g.loads) do parameters[i] = l.value end
  for i, d in ipairs(g.graph:differentiate(loss, parameters)) do g.graph:store("accumulate", g.graph:mirror(parameters[i], "gradients"), d, true) end
  g.graph:output("accumulate", loss)
  local adamw = optimizer.adamw(g.graph, { average = 0.9 })
  fresh.averages(g)
  local kept = checkpoint.of(g.graph, g.loads, { average = true })
  local plan = check.ok(opened:plan(g.graph))
  fresh.fill(plan, g.loads, { seed = 3 })
  plan:set_group("average", plan:group "parameters")
  local function step(i)
    local random = hash.random(9, i)
    plan:set(x, random:normal(12))
    plan:set(target, random:normal(8))
    check.ok(plan:run "accumulate")
    adamw.set(plan, i, 0.05)
    check.ok(plan:run "apply")
    return plan:get(loss)
  end
  local function state()
    local parts = {}
    for i, group in ipairs { "parameters", "moment_1", "moment_2", "average" } do parts[i] = plan:group(group) end
    return table.concat(parts)
  end
  return { g = g, plan = plan, kept = kept, step = step, state = state }
end

test("six steps are three, a checkpoint in another plan, and three more, bit for bit", function()
  if not opened then skip(why) end
  local a, b, c = small_training(), small_training(), small_training()
  for i = 1, 6 do a.step(i) end
  for i = 1, 3 do b.step(i) end
  local path = tmp "six.state"
  check.ok(checkpoint.save(path, b.plan, b.kept, { step = 3, loss = 0.1 }))
  check.equal(checkpoint.load(path, c.plan, c.kept), { step = 3, loss = 0.1 })
  check.equal(c.state(), b.state())
  for i = 4, 6 do c.step(i) end
  check.ok(a.state() == c.state(), "the states differ")
  check.ok(a.state() ~= b.state())
end)

test("the moving average follows the parameters, faster at first", function()
  if not opened then skip(why) end
  local t = small_training()
  local value = t.g.loads[1].value
  local before = t.plan:get(value)
  t.step(1)
  local after, average = t.plan:get(value), t.plan:get(t.g.loads[1].average)
  for i, a in ipairs(average) do check.near(a, before[i] * 2 / 11 + after[i] * 9 / 11, 1e-6) end
end)

test("a state of another model, a broken one and one that is not finite are refused", function()
  if not opened then skip(why) end
  local t = small_training()
  local fine, cut, bad = tmp "fine.state", tmp "cut.state", tmp "bad.state"
  check.ok(checkpoint.save(fine, t.plan, t.kept, { step = 1 }))
  local other = { flat = t.kept.flat, layout = "0123456789abcdef" }
  check.refused("belongs to another model: its layout is", checkpoint.load(fine, t.plan, other))
  check.refused("cannot be opened", checkpoint.load(tmp "nowhere.state", t.plan, t.kept))
  local bytes = fs.read(fine)
  local before = t.state()
  for _, size in ipairs { 0, 7, 8, 40, #bytes // 2, #bytes - 1 } do
    fs.write(cut, bytes:sub(1, size))
    check.equal(checkpoint.load(cut, t.plan, t.kept), nil)
  end
  check.ok(t.state() == before)
  t.plan:set_group("moment_1", string.pack("<f", 0 / 0):rep(#t.plan:group "moment_1" // 4))
  check.equal(checkpoint.save(bad, t.plan, t.kept, { step = 2 }), nil)
  check.equal(fs.stat(bad), nil)
end)

test("fresh weights depend on the seed and their place only, and become a file in PyTorch's layouts", function()
  if not opened then skip(why) end
  local g = layers.new { fresh = function(path) return path ~= "net.a.bias" end }
  local w = g.weights("net", {})
  local y = g.linear(g.group_norm(g.conv(g.input("x", "f32", { 1, 4, 4, 2 }), w.a, 6), w.norm, 2, 1e-5), w.b, 3)
  g.graph:output("sample", y)
  local ref = graph.reference(g.graph)
  fresh.fill(ref, g.loads, { seed = 5, small = function(path) return path == "net.b.weight" and 0 end })
  local by = {}
  for _, l in ipairs(g.loads) do by[l.name] = ref:get(l.value) end
  local one, none = { 1.0, 1.0, 1.0, 1.0, 1.0, 1.0 }, { 0.0, 0.0, 0.0, 0.0, 0.0, 0.0 }
  check.equal({ #by["a.weight"], by["norm.weight"], by["norm.bias"], by["b.bias"] }, { 108, one, none, { 0.0, 0.0, 0.0 } })
  check.equal(by["a.bias"], nil)
  local square = 0
  for _, x in ipairs(by["a.weight"]) do square = square + x * x end
  check.near((square / 108) ^ 0.5, 18 ^ -0.5, 0.05)
  for _, x in ipairs(by["b.weight"]) do check.equal(x, 0.0) end
  local path = tmp "fresh.safetensors"
  check.ok(fresh.save(path, ref, g, { root = "net", metadata = { format = "pt" } }))
  local file = safetensors.open(path)
  check.equal({ file.tensors["a.weight"].shape, file.tensors["a.weight"].dtype, file.metadata.format }, { { 6, 2, 3, 3 }, "F16", "pt" })
end)
