local device = require "native.device"
local graph = require "native.graph"

local opened, why = device.open()

local function on_device(name, fn)
  test(name, function()
    if not opened then skip(why) end
    fn(opened)
  end)
end

local function descent()
  local g = graph.new()
  local p, x = g:state("p", "f32", { 3 }, "parameters"), g:input("x", "f32", { 3 })
  local loss = ((p - x) * (p - x)):sum():reshape {}
  g:store("accumulate", g:mirror(p, "gradients"), g:differentiate(loss, { p })[1], true)
  g:output("accumulate", loss)
  local all, slope = g:flat "parameters", g:flat "gradients"
  g:store("apply", all, all - slope * 0.25)
  g:store("apply", slope, g:number(0):expand(slope:shape()))
  return g, p, x, loss
end

on_device("a device tells what it is", function(d)
  local info = d:info()
  for _, key in ipairs { "name", "vendor", "version", "driver", "platform" } do check.equal(type(info[key]), "string", key) end
  check.ok(info.units >= 1 and info.memory > 0 and info.largest_buffer > 0)
  check.contains(tostring(d), info.name)
end)

on_device("a plan runs the segments of a graph", function(d)
  local g, p, x, loss = descent()
  local plan = check.ok(d:plan(g))
  plan:set(p, { 1, 2, 3 })
  plan:set(x, string.pack("<fff", 0, 0, 0))
  for _ = 1, 2 do
    check.ok(plan:run "accumulate")
    check.ok(plan:run "apply")
  end
  check.equal(plan:get(p), { 0.25, 0.5, 0.75 })
  check.equal(plan:get(loss), 3.5)
  check.equal(plan:bytes(p), string.pack("<fff", 0.25, 0.5, 0.75))
  check.contains(tostring(plan), "plan (")
  local sizes = plan:sizes()
  check.ok(sizes.steps.accumulate >= 1 and sizes.enqueues.apply >= 1 and sizes.states > 0)
end)

on_device("what a plan will take is known without taking it", function(d)
  local g = descent()
  local before = check.ok(d:sizes(g))
  local plan = check.ok(d:plan(g))
  local after = plan:sizes()
  for _, key in ipairs { "arena", "weights", "states", "inputs", "constants" } do check.equal(before[key], after[key], key) end
  check.equal(before.scratch, 0)
  check.ok(d:sizes(g, { fusion = false }).arena >= before.arena)
  check.fails("graph", d.sizes, d, 3)
  local other = check.ok(device.open())
  other:close()
  check.fails("closed", other.sizes, other, g)
end)

on_device("a second plan like the first sees what the first has learned", function(d)
  local g, p, x = descent()
  local plan = check.ok(d:plan(g))
  local h = graph.new()
  local q = h:state("p", "f32", { 3 }, "parameters")
  local twice = q * 2
  h:output("sample", twice)
  local sampler = check.ok(d:plan(h, { like = plan }))
  plan:set(p, { 1, 2, 3 })
  plan:set(x, { 0, 0, 0 })
  check.ok(plan:run "accumulate")
  check.ok(plan:run "apply")
  check.ok(sampler:run "sample")
  check.equal(sampler:get(twice), { 1.0, 2.0, 3.0 })
  check.fails("like: an open plan is expected", d.plan, d, h, { like = "plan" })
end)

on_device("a group's bytes put back are the state it was taken in", function(d)
  local g, p, x = descent()
  local plan = check.ok(d:plan(g))
  plan:set(p, { 1, 2, 3 })
  plan:set(x, { 0, 0, 0 })
  local before = plan:group "parameters"
  check.equal(#before, 64 * 4)
  plan:run "accumulate"
  plan:run "apply"
  check.ok(plan:group "parameters" ~= before)
  plan:set_group("parameters", before)
  check.equal(plan:get(p), { 1.0, 2.0, 3.0 })
  check.fails("3 bytes for a group of 64 numbers", plan.set_group, plan, "parameters", "abc")
end)

on_device("the same graph gives the same with every candidate and without fusion", function(d)
  local g = graph.new()
  local x, w = g:input("x", "f32", { 6, 5 }), g:weight("w", "f32", { 4, 5 })
  local y = graph.silu(graph.linear(x, w)):softmax()
  g:output("sample", y)
  local numbers, weights = {}, {}
  for i = 1, 30 do numbers[i] = math.sin(i) end
  for i = 1, 20 do weights[i] = math.cos(i) end
  local ref = graph.reference(g, "double")
  ref:set(x, numbers)
  ref:set(w, weights)
  ref:run "sample"
  for _, options in ipairs { {}, { candidate = "portable" }, { fusion = false, wait_each = true } } do
    local plan = check.ok(d:plan(g, options))
    plan:set(x, numbers)
    plan:set(w, weights)
    plan:run "sample"
    for i, expected in ipairs(ref:get(y)) do check.near(plan:get(y)[i], expected, 1e-6) end
  end
end)

on_device("what a plan cannot do is refused or raised with the reason", function(d)
  local g, p, x = descent()
  local plan = check.ok(d:plan(g))
  check.fails("2 numbers for 3 elements", plan.set, plan, x, { 1, 2 })
  check.fails("apply", plan.run, plan, "aply")
  local other = graph.new()
  check.fails("belongs to another graph", plan.set, plan, other:input("y", "f32", { 3 }), { 1, 2, 3 })
  check.refused("", plan:get(p - x)) -- computed by nobody
  plan:close()
  check.fails("this plan is closed", plan.run, plan, "apply")
end)

on_device("a graph with a mistake in it makes no plan", function(d)
  local g = graph.new()
  pcall(function() return g:input("a", "f32", { 2 }) + g:input("b", "f32", { 3 }) end)
  check.refused("2", d:plan(g))
end)

test("a wish that no device fulfils is refused with what there is", function()
  if not opened then skip(why) end
  check.equal(check.refused("no such device", device.open { wish = "no such device" }), "NOTFOUND")
end)

on_device("a device that is closed goes with its last plan", function()
  local d = check.ok(device.open())
  local g, p = descent()
  local plan = check.ok(d:plan(g))
  d:close()
  check.fails("this device is closed", d.plan, d, g)
  plan:set(p, { 1, 2, 3 })
  check.equal(plan:get(p), { 1.0, 2.0, 3.0 })
  plan:close()
  check.equal(tostring(d), "device (closed)")
end)

on_device("a plan that waits after each step tells what each of them took", function(d)
  local g, p, x = descent()
  local plan = check.ok(d:plan(g, { wait_each = true }))
  plan:set(p, { 1, 2, 3 })
  plan:set(x, { 0, 0, 0 })
  check.ok(plan:run "accumulate")
  plan:get(p)
  local times = plan:times "accumulate"
  check.equal(#times, plan:sizes().steps.accumulate)
  for _, step in ipairs(times) do
    check.ok(#step.op > 0 and #step.candidate > 0 and step.path and step.seconds > 0)
  end
  check.equal(plan:times "sample", {})
end)

on_device("of each step it tells what it computes and moves; what is repeated moves once", function(d)
  local g = graph.new()
  local x, w = g:input("x", "f32", { 6, 5 }), g:input("w", "f32", { 4, 5 })
  local y = graph.linear(x, w)
  local z = y + g:input("b", "f32", { 1, 4 }):expand { 6, 4 }
  g:output("sample", y)
  g:output("sample", z)
  local plan <close> = check.ok(d:plan(g, { wait_each = true }))
  check.ok(plan:run "sample")
  plan:bytes(z)
  local by = {}
  for _, step in ipairs(plan:times "sample") do by[step.op] = { step.flops, step.bytes } end
  check.equal(by.matmul, { 2 * 6 * 5 * 4, 4 * (6 * 5 + 4 * 5 + 6 * 4) })
  check.equal(by.elementwise, { 6 * 4, 4 * (6 * 4 + 4 + 6 * 4) })
end)
