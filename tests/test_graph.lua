local graph = require "native.graph"

local function computed(g, values, set)
  local ref = graph.reference(g, "double")
  if set then set(ref) end
  ref:compute(values)
  return ref
end

local function pair()
  local g = graph.new()
  return g, g:input("a", "f32", { 2, 2 }), g:input("b", "f32", { 2, 2 })
end
local function fill(a, b)
  return function(ref)
    ref:set(a, { 1, 2, 3, 4 })
    ref:set(b, { 5, 6, 7, 8 })
  end
end

test("values take operators with values and with numbers on either side", function()
  local g, a, b = pair()
  local list = { a + b, a - b, a * b, a / b, a + 1, 1 + a, a - 1, 1 - a, a * 2, 2 * a, a / 2, 2 / a, -a }
  local expected = { 6, -4, 5, 1 / 5, 2, 2, 0, 0, 2, 2, 0.5, 2, -1 }
  local ref = computed(g, list, fill(a, b))
  for i, v in ipairs(list) do check.near(ref:get(v)[1], expected[i], 1e-12, "operator " .. i) end
  check.near(ref:get(1 - a)[4], -3, 0)
  check.near(ref:get(2 / a)[4], 0.5, 0)
end)

test("views count axes and places from 1, negative axes from the end", function()
  local g = graph.new()
  local x = g:constant("f32", { 2, 3 }, { 1, 2, 3, 4, 5, 6 })
  local list = { x:permute { 2, 1 }, x:slice(2, 2, 2), x:slice(-1, 3, 1), x:reshape { 3, -1 }, x:reshape { 1, 2, 3 }:expand { 2, 2, 3 }, graph.concat({ x, x }, 2),
    x:pad(1, 1, 0), x:sum(1), x:sum(-1), x:sum(), x:mean(), x:cast "f16" }
  local ref = computed(g, list)
  check.equal(ref:get(list[1]), { 1.0, 4.0, 2.0, 5.0, 3.0, 6.0 })
  check.equal(ref:get(list[2]), { 2.0, 3.0, 5.0, 6.0 })
  check.equal(ref:get(list[3]), { 3.0, 6.0 })
  check.equal(list[4]:shape(), { 3, 2 })
  check.equal(ref:get(list[5]), { 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0 })
  check.equal(ref:get(list[6]), { 1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 4.0, 5.0, 6.0 })
  check.equal(ref:get(list[7]), { 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0 })
  check.equal(ref:get(list[8]), { 5.0, 7.0, 9.0 })
  check.equal(ref:get(list[9]), { 6.0, 15.0 })
  check.equal(list[10]:shape(), { 1, 1 })
  check.equal(ref:get(list[11]), 3.5)
  check.equal({ list[12]:dtype(), x:dtype() }, { "f16", "f32" })
end)

test("rows of the elementwise table are functions of the module", function()
  local g, a, b = pair()
  local list = { graph.max(a, b), graph.silu(a), graph.power(a, 2), graph.select(a - 2, a, b) }
  local ref = computed(g, list, fill(a, b))
  check.equal(ref:get(list[1]), { 5.0, 6.0, 7.0, 8.0 })
  check.near(ref:get(list[2])[1], 1 / (1 + math.exp(-1)), 1e-12)
  check.equal(ref:get(list[3]), { 1.0, 4.0, 9.0, 16.0 })
  check.equal(ref:get(list[4]), { 5.0, 6.0, 3.0, 4.0 })
  check.equal(graph["silu.da"], nil)
end)

test("products, convolutions, norms and attention have the shapes they promise", function()
  local g = graph.new()
  local x, w = g:input("x", "f32", { 2, 6, 8, 4 }), g:weight("w", "f32", { 5, 3, 3, 4 })
  check.equal(graph.conv2d(x, w, { pad = 1 }):shape(), { 2, 6, 8, 5 })
  check.equal(graph.conv2d(x, w, { stride = 2, bottom = 1, right = 1 }):shape(), { 2, 3, 4, 5 })
  check.equal(graph.upsample(x):shape(), { 2, 12, 16, 4 })
  check.equal(graph.norm(x, 2, 1e-5):shape(), { 2, 6, 8, 4 })
  check.equal(graph.layer_norm(x, 1e-5):shape(), { 2, 6, 8, 4 })
  local q = g:input("q", "f32", { 2, 7, 3, 4 })
  check.equal(graph.attention(q, q, q, 0.5, true):shape(), { 2, 7, 3, 4 })
  check.equal(graph.matmul(g:input("m", "f32", { 2, 3 }), g:input("n", "f32", { 4, 3 }), { transpose_b = true }):shape(), { 2, 4 })
  check.equal(graph.embedding(g:weight("t", "f32", { 9, 5 }), g:input("ids", "i32", { 2, 3 })):shape(), { 2, 3, 5 })
end)

test("gradients, parameters and stores: a step of descent", function()
  local g = graph.new()
  local p = g:state("p", "f32", { 3 }, "parameters")
  local x = g:input("x", "f32", { 3 })
  local loss = ((p - x) * (p - x)):sum():reshape {}
  local d = g:differentiate(loss, { p })[1]
  g:output("accumulate", loss)
  g:store("accumulate", g:mirror(p, "gradients"), d, true)
  local all, slope = g:flat "parameters", g:flat "gradients"
  g:store("apply", all, all - slope * 0.25)
  g:store("apply", slope, g:number(0):expand(slope:shape()))
  local ref = graph.reference(g, "double")
  ref:set(p, { 1, 2, 3 })
  ref:set(x, { 0, 0, 0 })
  for _ = 1, 2 do
    ref:run "accumulate"
    ref:run "apply"
  end
  check.equal(ref:get(p), { 0.25, 0.5, 0.75 })
  check.equal(ref:get(loss), 3.5)
end)

test("bytes go in and come out in the dtype of the value", function()
  local g = graph.new()
  local x, n = g:input("x", "f16", { 2 }), g:input("n", "i32", { 2 })
  local ref = graph.reference(g)
  ref:set(x, "\0\60\0\192")
  check.equal(ref:get(x), { 1.0, -2.0 })
  check.equal(ref:bytes(x), "\0\60\0\192")
  ref:set(n, string.pack("<i4i4", -7, 9))
  check.equal(ref:get(n), { -7.0, 9.0 })
  check.equal(g:constant("f32", { 2 }, string.pack("<ff", 1, 2)):shape(), { 2 })
end)

test("equal nodes are one value, and values of two graphs are never mixed", function()
  local g, a, b = pair()
  check.ok(a + b == a + b)
  check.ok(a ~= b)
  local _, c = pair()
  check.fails("belongs to another graph", function() return a + c end)
  check.fails("element 2 is no value of this graph", graph.concat, { a, c }, 1)
  check.fails("belongs to another graph", g.output, g, "sample", c)
end)

test("what cannot be built raises with the path", function()
  local g, a = pair()
  g:enter "unet"
  g:enter "conv_in"
  check.fails("unet.conv_in", function() return a + g:input("c", "f32", { 3, 7 }) end)
  check.fails("unet.conv_in", function() return a + a end) -- the first error stays
end)

test("misuse names the argument", function()
  local g, a = pair()
  check.fails("at most 5 sizes", g.input, g, "x", "f32", { 1, 1, 1, 1, 1, 1 })
  check.fails("size 2 is no size", g.input, g, "x", "f32", { 1, 1.5 })
  check.fails("f64", g.input, g, "x", "f64", { 1 })
  check.fails("there are 2 axes", a.slice, a, 3, 1, 1)
  check.fails("there are 2 axes", a.sum, a, 0)
  check.fails("every axis is named once", a.permute, a, { 1, 1 })
  check.fails("every axis is named once", a.permute, a, { 1 })
  check.fails("calotype.value expected", function() return a + "x" end)
  check.fails("calotype.value expected", graph.silu, 3)
  check.fails("3 numbers do not fill a constant of 4", g.constant, g, "f32", { 2, 2 }, { 1, 2, 3 })
  check.fails("3 bytes do not fill", g.constant, g, "f32", { 2, 2 }, "abc")
  check.fails("a list of values is expected", graph.concat, {}, 1)
  local ref = graph.reference(g)
  check.fails("3 numbers for 4 elements", ref.set, ref, a, { 1, 2, 3 })
  check.fails("one number is for a value of one element", ref.set, ref, a, 1)
  check.fails("a", ref.get, ref, a)
  check.fails("triple", graph.reference, g, "triple")
end)

test("a closed graph is not used any more", function()
  local g, a = pair()
  local ref = graph.reference(g)
  g:close()
  check.fails("closed", function() return a + a end)
  check.fails("closed", function() return g:number(1) end)
  check.fails("closed", ref.run, ref, "sample")
  check.equal(tostring(a), "value (closed)")
end)

test("attention is one node for heads up to the size asked for, composed for wider ones and without asking", function()
  local function nodes(widest, size, causal)
    local g = graph.new()
    if widest then g:fuse_attention(widest) end
    local q, k = g:input("q", "f32", { 2, 5, 3, size }), g:input("k", "f32", { 2, 7, 3, size })
    graph.attention(q, k, k, 0.5, causal)
    return (g:counts())
  end
  check.equal({ nodes(8, 8), nodes(8, 7, true), nodes(8, 1) }, { 1, 1, 1 })
  for _, widest in ipairs { 0, 7, false } do check.ok(nodes(widest, 8) > 4) end
  local g = graph.new()
  g:fuse_attention(8)
  g:fuse_attention(0)
  local q = g:input("q", "f32", { 1, 4, 1, 8 })
  graph.attention(q, q, q, 1)
  check.ok(g:counts() > 4)
  check.fails("0 or more is wanted", function() g:fuse_attention(-1) end)
  check.fails("number expected", function() g:fuse_attention(true) end)
  check.fails("[B, tokens, heads, size] is wanted of each", function()
    local one = graph.new()
    one:fuse_attention(8)
    local x = one:input("x", "f32", { 2, 5, 3 })
    graph.attention(x, x, x, 1)
  end)
end)
