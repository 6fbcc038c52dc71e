local fs = require "native.fs"
local json = require "native.json"
local schedule = require "models.schedule"

local golden = json.decode(fs.read "tests/golden/tiny/schedules.json")
local sd15 = { beta_start = 0.00085, beta_end = 0.012, beta_schedule = "scaled_linear", num_train_timesteps = 1000 }

local function with(base, more)
  local out = {}
  for k, v in pairs(base) do out[k] = v end
  for k, v in pairs(more) do out[k] = v end
  return out
end

local function near_all(got, expected, relative, what)
  check.equal(#got, #expected, what)
  local largest = 0
  for _, v in ipairs(expected) do largest = math.max(largest, math.abs(v)) end
  for i, v in ipairs(expected) do check.near(got[i], v, relative * largest, ("%s, element %d"):format(what, i)) end
end

test("the cumulated signal is diffusers' for linear, scaled linear and zero terminal SNR", function()
  local function every(noise, stride)
    local list = {}
    for t = 0, noise.steps - 1, stride do list[#list + 1] = noise.abar[t] end
    return list
  end
  near_all(every(schedule.noise(sd15), 37), golden.alphas_cumprod.scaled_linear, 1e-6, "scaled_linear")
  near_all(every(schedule.noise { num_train_timesteps = 200 }, 7), golden.alphas_cumprod.linear_200, 1e-6, "linear")
  near_all(every(schedule.noise(with(sd15, { rescale_betas_zero_snr = true })), 37), golden.alphas_cumprod.zero_snr, 1e-6, "zero SNR")
end)

test("SD1.5's schedule has the published values", function()
  local noise = schedule.noise(sd15)
  for _, row in ipairs { { 0, 0.99915000, 1175.470588 }, { 1, 0.99829603, 585.864048 }, { 100, 0.89422348, 8.453894 }, { 250, 0.67379263, 2.065535 },
    { 500, 0.27633268, 0.381850 }, { 750, 0.05616985, 0.059513 }, { 999, 0.00466010, 0.004682 } } do
    check.near(noise.abar[row[1]], row[2], 5e-9)
    check.near(noise:snr(row[1]), row[3], 1e-6)
  end
  local zero = schedule.noise(with(sd15, { rescale_betas_zero_snr = true }))
  check.near(zero.abar[500], 0.24101878, 5e-9)
  check.equal(zero.abar[999], 0.0)
end)

test("noise is added and the velocity is made as diffusers does", function()
  local noise = schedule.noise(with(sd15, { prediction_type = "v_prediction" }))
  local signal, sigma = noise:mix(golden.t)
  local a, b = noise:target(golden.t)
  local added, velocity = {}, {}
  for i, x in ipairs(golden.x) do
    added[i] = signal * x + sigma * golden.noise[i]
    velocity[i] = a * golden.noise[i] + b * x
  end
  near_all(added, golden.added, 1e-6, "added")
  near_all(velocity, golden.velocity, 1e-6, "velocity")
  check.equal({ schedule.noise(sd15):target(3) }, { 1.0, 0.0 })
  check.equal({ schedule.noise(with(sd15, { prediction_type = "sample" })):target(3) }, { 0.0, 1.0 })
end)

test("timesteps count as min-SNR says for each kind of prediction, also without any signal", function()
  local function weights(kind, more)
    local noise, out = schedule.noise(with(sd15, with({ prediction_type = kind }, more or {}))), {}
    for i, t in ipairs { 0, 250, 500, 999 } do out[i] = noise:weight(t, 1) end
    return out, noise
  end
  -- With gamma 1: SNR is 1175.47, 2.0655, 0.38185 and 0.0046820 there.
  near_all(weights "epsilon", { 1 / 1175.470588, 1 / 2.065535, 1, 1 }, 1e-6, "epsilon")
  near_all(weights "v_prediction", { 1 / 1176.470588, 1 / 3.065535, 0.38185 / 1.38185, 0.004682 / 1.004682 }, 2e-6, "v")
  near_all(weights "sample", { 1, 1, 0.38185, 0.004682 }, 2e-6, "sample")
  local zero = { rescale_betas_zero_snr = true }
  for kind, expected in pairs { epsilon = 1, v_prediction = 0, sample = 0 } do check.equal(weights(kind, zero)[4], expected + 0.0, kind) end
end)

local function tanh(x)
  local e = math.exp(2 * x)
  return 1 - 2 / (e + 1)
end
local function network(x, t, prompt) return tanh(0.6 * x + 0.3 * math.sin(0.01 * t)) * 0.9 + 0.2 * prompt end

local seen = 0
for _, run in ipairs(golden.runs) do
  seen = seen + 1
  test(("%s in %d steps follows diffusers with %s %s"):format(run.sampler, run.steps, json.encode(run.options), json.encode(run.step)), function()
    local sampler = schedule[run.sampler](schedule.noise(with(sd15, run.options)), with(run.step, { steps = run.steps }))
    local timesteps = {}
    for i, row in ipairs(sampler) do timesteps[i] = row.t end
    -- Karras' timesteps are looked up along log sigma, which diffusers has in f32: its steps of 6e-8 are 1e-3 of a timestep.
    near_all(timesteps, run.timesteps, run.options.use_karras_sigmas and 5e-6 or 0, "timesteps")
    check.near(sampler.start, run.init_noise_sigma, 2e-6 * run.init_noise_sigma)
    if run.sigmas then near_all(sampler.sigmas, run.sigmas, 2e-6, "sigmas") end
    local x = {}
    for k, value in ipairs(golden.x) do x[k] = value * sampler.start end
    local kept = {}
    for i, row in ipairs(sampler) do
      for k in ipairs(x) do
        local input = x[k] * row.input
        local out = schedule.guide(network(input, row.t, 0), network(input, row.t, 1), 3)
        x[k] = schedule.step(row, x[k], out, row.prev_noise ~= 0 and golden.z[i][k] or nil)
      end
      for _, at in ipairs { 1, #sampler // 2 + 1, #sampler } do if i == at then kept[#kept + 1] = table.move(x, 1, #x, 1, {}) end end
    end
    for i, expected in ipairs(run.path) do near_all(kept[i], expected, 1e-5, "path " .. i) end
  end)
end

test("all recorded trajectories were followed", function() check.equal(seen, 48) end)

test("what cannot be done is said, with what can", function()
  local noise = schedule.noise(sd15)
  check.fails("beta_schedule is \"sigmoid\"; calotype knows linear, scaled_linear", schedule.noise, { beta_schedule = "sigmoid" })
  check.fails("prediction_type is \"flow\"", schedule.noise, { prediction_type = "flow" })
  check.fails("num_train_timesteps is 0", schedule.noise, { num_train_timesteps = 0 })
  check.fails("num_train_timesteps is 1; a whole number from 2", schedule.noise, { num_train_timesteps = 1, rescale_betas_zero_snr = true })
  check.fails("clip_sample_range is 0", schedule.noise, { clip_sample_range = 0 })
  check.fails("sigma_max is -1", schedule.noise, { sigma_max = -1 })
  check.fails("num_train_timesteps is 1.5", schedule.noise, { num_train_timesteps = 1.5 })
  check.fails('beta_start is "x"; a number from', schedule.noise, { beta_start = "x" })
  check.fails("beta_start is 0.5, more than its beta_end, 0.1", schedule.noise, { beta_start = 0.5, beta_end = 0.1 })
  check.fails("trained_betas", schedule.noise, { trained_betas = { 1 } })
  check.fails("'thresholding'", schedule.ddim, noise, { steps = 4, thresholding = true })
  check.fails("'use_beta_sigmas'", schedule.euler, noise, { steps = 4, use_beta_sigmas = true })
  check.fails("timestep_spacing is \"even\"; calotype knows leading, trailing, linspace", schedule.ddim, noise, { steps = 4, timestep_spacing = "even" })
  check.fails("timestep_type is \"continuous\"", schedule.euler, noise, { steps = 4, timestep_type = "continuous" })
  for _, steps in ipairs { 0, 1001, 2.5, "x" } do check.fails("1 to 1000 are possible", schedule.ddim, noise, { steps = steps }) end
  check.fails("1 to 1000 are possible", schedule.euler, noise, {})
  check.fails("timestep 1000; they are 0 to 999", noise.mix, noise, 1000)
end)

test("null for what is no number means what its absence means: the files that diffusers writes have trained_betas = null", function()
  local null = require("native.json").null
  local with_null = with(sd15, { trained_betas = null, sigma_min = null, use_karras_sigmas = null, rescale_betas_zero_snr = null, timestep_spacing = null })
  local noise = schedule.noise(with_null)
  check.equal(noise.abar, schedule.noise(sd15).abar)
  check.equal(schedule.euler(noise, { steps = 4 }), schedule.euler(schedule.noise(with(with_null, { timestep_spacing = "linspace" })), { steps = 4 }))
  check.fails("beta_start is null", schedule.noise, { beta_start = null })
end)

test("a single step goes from noise to a picture", function()
  for _, kind in ipairs { "ddim", "euler" } do
    for _, spacing in ipairs { "leading", "trailing", "linspace" } do
      local sampler = schedule[kind](schedule.noise(sd15), { steps = 1, timestep_spacing = spacing })
      check.equal(#sampler, 1)
      check.ok(schedule.step(sampler[1], 1.0, 0.5) == schedule.step(sampler[1], 1.0, 0.5))
    end
  end
end)
