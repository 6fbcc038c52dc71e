-- schedule.lua - how noise is added in training and taken away in sampling, equal to diffusers' DDPM, DDIM and Euler.
--
--   local noise = schedule.noise(config)             -- scheduler_config.json of a model folder, as a table
--   local signal, sigma = noise:mix(t)               -- x_t = signal * x0 + sigma * eps
--   local sampler = schedule.ddim(noise, { steps = 20 })
--   local x = start * sampler.start
--   for i = 1, #sampler do
--     local row = sampler[i]
--     x = schedule.step(row, x, schedule.guide(network(x * row.input, row.t, ""), network(x * row.input, row.t, prompt), 7.5))
--   end
--
-- Timesteps are the field's: 0 is the least noise, 999 the most. Options have diffusers' names and defaults, because they are
-- read from its files. A sampler is a list of rows of plain numbers; a row is all that a step needs, so the same row drives a
-- loop over numbers, small tensors at the prompt, or the scalar inputs of a compiled plan.

local layers = require "models.layers"

local schedule = {}

local function float(x) return (string.unpack("<f", string.pack("<f", x))) end

-- numpy rounds halves to the even neighbour.
local function round(x)
  local low = math.floor(x)
  local rest = x - low
  if rest > 0.5 or (rest == 0.5 and low % 2 == 1) then low = low + 1 end
  return math.tointeger(low)
end

local function linspace(first, last, count)
  local list = {}
  local step = count > 1 and (last - first) / (count - 1) or 0
  for i = 1, count do list[i] = first + (i - 1) * step end
  if count > 1 then list[count] = last end
  return list
end

local function reversed(list)
  local out = {}
  for i = #list, 1, -1 do out[#out + 1] = list[i] end
  return out
end

local function choose(config, key, default, legal) return layers.word("schedule", config, key, default, legal) end

local function number(config, key, default, least, most) return layers.number("schedule", config, key, default, least, most) end

local function refuse(config, keys)
  for _, key in ipairs(keys) do
    if config[key] then error(("schedule: calotype cannot do '%s' yet"):format(key), 0) end
  end
end

-- What a network was trained against ----------------------------------------------------------------------------------

---@class calotype.Noise
---@field steps integer
---@field abar table<integer, number> cumulated product of 1 - beta, by timestep 0 .. steps - 1
---@field prediction "epsilon" | "v_prediction" | "sample"
---@field config table
local Noise = {}
Noise.__index = Noise

--- The noise schedule of a model folder's scheduler_config.json (any scheduler class: the noise is the same).
---@param config table
---@return calotype.Noise
function schedule.noise(config)
  local given = config -- null for one of these three numbers is refused, as diffusers does; elsewhere it means what its absence means
  config = layers.plain(config)
  local shifted = config.rescale_betas_zero_snr -- which takes a last step that is not the first
  local steps = layers.whole("schedule", given, "num_train_timesteps", 1000, shifted and 2 or 1, 100000)
  local first, last = number(given, "beta_start", 0.0001, 1e-9, 0.999999), number(given, "beta_end", 0.02, 1e-9, 0.999999)
  local kind = choose(config, "beta_schedule", "linear", { "linear", "scaled_linear" })
  refuse(config, { "trained_betas" })
  if first > last then error(("schedule: the config's beta_start is %s, more than its beta_end, %s"):format(first, last), 0) end
  layers.whole("schedule", config, "steps_offset", 0, 0, steps - 1)
  number(config, "clip_sample_range", 1.0, 1e-6, 1000000)
  for _, key in ipairs { "sigma_min", "sigma_max" } do number(config, key, 1.0, 1e-6, 1000000) end
  local scaled = kind == "scaled_linear"
  local betas = scaled and linspace(first ^ 0.5, last ^ 0.5, steps) or linspace(first, last, steps)
  local abar, product = {}, 1.0
  for t = 0, steps - 1 do
    product = product * (1 - (scaled and betas[t + 1] ^ 2 or betas[t + 1]))
    abar[t] = product
  end
  if shifted then
    -- Lin et al. 2023, algorithm 1: shift sqrt(abar) so that the last is 0, scale it so that the first stays.
    local s0, s1 = abar[0] ^ 0.5, abar[steps - 1] ^ 0.5
    for t = 0, steps - 1 do abar[t] = ((abar[t] ^ 0.5 - s1) * s0 / (s0 - s1)) ^ 2 end
  end
  local prediction = choose(config, "prediction_type", "epsilon", { "epsilon", "v_prediction", "sample" })
  return setmetatable({ steps = steps, abar = abar, prediction = prediction, config = config }, Noise)
end

function Noise:at(t)
  local abar = self.abar[t]
  if not abar then error(("schedule: timestep %s; they are 0 to %d"):format(tostring(t), self.steps - 1), 3) end
  return abar
end

--- x_t = signal * x0 + sigma * eps
---@return number signal, number sigma
function Noise:mix(t)
  local abar = self:at(t)
  return abar ^ 0.5, (1 - abar) ^ 0.5
end

--- What the network is asked for is a * eps + b * x0.
---@return number a, number b
function Noise:target(t)
  if self.prediction == "epsilon" then return 1.0, 0.0 end
  if self.prediction == "sample" then return 0.0, 1.0 end
  local signal, sigma = self:mix(t)
  return signal, -sigma
end

--- Signal to noise, abar / (1 - abar).
function Noise:snr(t)
  local abar = self:at(t)
  return abar / (1 - abar)
end

--- How much a timestep counts in training: the loss of x0 times min(SNR, gamma), in terms of what the network is asked for (min-SNR, Hang et
--- al. 2023, section 3.4; diffusers' training scripts). Without any signal, which zero terminal SNR has at its last step, noise counts whole
--- and a picture nothing.
---@param t integer
---@param gamma number
---@return number
function Noise:weight(t, gamma)
  local snr = self:snr(t)
  local most = math.min(snr, gamma)
  if self.prediction == "sample" then return most end
  if self.prediction == "v_prediction" then return most / (snr + 1) end
  return snr > 0 and most / snr or 1.0
end

-- Samplers ------------------------------------------------------------------------------------------------------------

---@class calotype.SamplerRow one step; see schedule.step for what the numbers mean
---@field t number timestep given to the network
---@field input number the network sees x * input
---@field clip number |x0| is held below it; 1e30 where nothing is clipped
---@field x0_x number
---@field x0_out number
---@field eps_x number
---@field eps_x0 number
---@field eps_out number
---@field prev_x number
---@field prev_x0 number
---@field prev_eps number
---@field prev_noise number

local NO_CLIP = 1e30

-- Which timesteps are visited, from the most noise to the least. The three spacings of table 2 in Lin et al. 2023.
local function spaced(config, steps, count, spacing, whole)
  local list = {}
  if spacing == "linspace" then
    list = reversed(linspace(0, steps - 1, count))
    for i, t in ipairs(list) do list[i] = whole and round(t) or float(t) end
  elseif spacing == "leading" then
    local offset = layers.whole("schedule", config, "steps_offset", 0, 0, steps - 1)
    for i = count - 1, 0, -1 do list[#list + 1] = i * (steps // count) + offset end
  else
    local ratio = steps / count
    local delta = (steps - ratio) - steps -- as numpy's arange adds it up
    for i = 0, math.ceil(steps / ratio) - 1 do list[#list + 1] = round(steps + i * delta) - 1 end
  end
  return list
end

local function merged(noise, options)
  local config = {}
  for key, value in pairs(noise.config) do config[key] = value end
  for key, value in pairs(options) do config[key] = value end
  local count = math.tointeger(options.steps)
  if not count or count < 1 or count > noise.steps then
    error(("schedule: steps is %s; 1 to %d are possible"):format(tostring(options.steps), noise.steps), 3)
  end
  return config, count
end

--- DDIM (Song et al. 2020, formulas 12 and 16). Options: steps, eta (0), use_clipped_model_output, and diffusers' timestep_spacing
--- ("leading"), steps_offset, set_alpha_to_one (true), clip_sample (true), clip_sample_range (1).
---@param noise calotype.Noise
---@param options table
---@return table sampler a list of rows; sampler.start is the standard deviation of the first x
function schedule.ddim(noise, options)
  local config, count = merged(noise, options)
  refuse(config, { "thresholding" })
  local spacing = choose(config, "timestep_spacing", "leading", { "leading", "trailing", "linspace" })
  local clip = config.clip_sample ~= false and number(config, "clip_sample_range", 1.0, 1e-6, 1000000) or NO_CLIP
  local last = config.set_alpha_to_one ~= false and 1.0 or noise.abar[0]
  local eta = number(options, "eta", 0.0, 0, 1)
  local sampler = { start = 1.0 }
  for i, t in ipairs(spaced(config, noise.steps, count, spacing, true)) do
    local before = t - noise.steps // count
    local a, b = noise:at(t), before >= 0 and noise:at(before) or last
    local signal, sigma = a ^ 0.5, (1 - a) ^ 0.5
    local row = { t = t, input = 1.0, clip = clip, x0_x = 0.0, x0_out = 0.0, eps_x = 0.0, eps_x0 = 0.0, eps_out = 0.0, prev_x = 0.0 }
    if noise.prediction == "epsilon" then
      row.x0_x, row.x0_out, row.eps_out = 1 / signal, -sigma / signal, 1.0
    elseif noise.prediction == "v_prediction" then
      row.x0_x, row.x0_out = signal, -sigma
      row.eps_x, row.eps_out = sigma, signal
    else
      row.x0_out = 1.0
    end
    if options.use_clipped_model_output or noise.prediction == "sample" then
      -- From the clipped x0, or for "sample" from the network's own: then x0 is what came out, before it is clipped.
      row.eps_x, row.eps_out = 1 / sigma, 0.0
      row[options.use_clipped_model_output and "eps_x0" or "eps_out"] = -signal / sigma
    end
    local variance = (1 - b) / (1 - a) * (1 - a / b)
    local deviation = eta * variance ^ 0.5
    row.prev_x0, row.prev_eps, row.prev_noise = b ^ 0.5, math.max(0, 1 - b - deviation ^ 2) ^ 0.5, deviation
    sampler[i] = row
  end
  return sampler
end

local function interpolate(list, at) -- list from index 0
  local low = math.floor(at)
  if low < 0 then return list[0] end
  if low >= #list then return list[#list] end
  return list[low] + (list[low + 1] - list[low]) * (at - low)
end

-- The (fractional) timestep whose sigma this is, along the logarithm.
local function timestep_of(sigma, sigmas)
  local wanted, low = math.log(math.max(sigma, 1e-10)), 0
  for t = 0, #sigmas do if math.log(sigmas[t]) <= wanted then low = t end end
  low = math.min(low, #sigmas - 1)
  local a, b = math.log(sigmas[low]), math.log(sigmas[low + 1])
  local share = math.min(1, math.max(0, (a - wanted) / (a - b)))
  return (1 - share) * low + share * (low + 1)
end

--- Euler's method along sigma (Karras et al. 2022, algorithm 2 without churn). Options: steps, and diffusers' timestep_spacing ("linspace"),
--- steps_offset, use_karras_sigmas, sigma_min, sigma_max, interpolation_type ("linear"), final_sigmas_type ("zero").
---@param noise calotype.Noise
---@param options table
---@return table sampler
function schedule.euler(noise, options)
  local config, count = merged(noise, options)
  refuse(config, { "use_exponential_sigmas", "use_beta_sigmas" })
  choose(config, "timestep_type", "discrete", { "discrete" })
  local spacing = choose(config, "timestep_spacing", "linspace", { "linspace", "leading", "trailing" })
  local interpolation = choose(config, "interpolation_type", "linear", { "linear", "log_linear" })
  local final = choose(config, "final_sigmas_type", "zero", { "zero", "sigma_min" })
  local all = {}
  for t = 0, noise.steps - 1 do
    local abar = noise.abar[t]
    if t == noise.steps - 1 and config.rescale_betas_zero_snr then abar = 2.0 ^ -24 end -- so that no sigma is infinite
    all[t] = ((1 - abar) / abar) ^ 0.5
  end
  local timesteps, sigmas = spaced(config, noise.steps, count, spacing, false), {}
  if interpolation == "linear" then
    for i, t in ipairs(timesteps) do sigmas[i] = interpolate(all, t) end
  else
    for i, s in ipairs(linspace(math.log(all[#all]), math.log(all[0]), count + 1)) do sigmas[i] = math.exp(s) end
  end
  if config.use_karras_sigmas then
    local low, high = (config.sigma_min or sigmas[#sigmas]) ^ (1 / 7), (config.sigma_max or sigmas[1]) ^ (1 / 7)
    sigmas = {}
    for i, at in ipairs(linspace(0, 1, count)) do
      sigmas[i] = (high + at * (low - high)) ^ 7
      timesteps[i] = timestep_of(sigmas[i], all)
    end
  end
  sigmas[#sigmas + 1] = final == "zero" and 0.0 or all[0]
  local most = math.max(table.unpack(sigmas))
  local sampler = { start = spacing == "leading" and (most ^ 2 + 1) ^ 0.5 or most, sigmas = sigmas }
  for i, t in ipairs(timesteps) do
    local sigma, by = sigmas[i], sigmas[i + 1] - sigmas[i]
    local scale = (sigma ^ 2 + 1) ^ 0.5
    local row = { t = t, input = 1 / scale, clip = NO_CLIP, x0_x = 0.0, x0_out = 1.0 }
    row.eps_x, row.eps_x0, row.eps_out, row.prev_eps, row.prev_noise = 0.0, 0.0, 0.0, 0.0, 0.0 -- the direction goes by x and x0
    if noise.prediction == "epsilon" then
      row.x0_x, row.x0_out = 1.0, -sigma
    elseif noise.prediction == "v_prediction" then
      row.x0_x, row.x0_out = 1 / (sigma ^ 2 + 1), -sigma / scale
    end
    row.prev_x, row.prev_x0 = 1 + by / sigma, -by / sigma
    sampler[i] = row
  end
  return sampler
end

local function clamp_number(x, limit) return math.max(-limit, math.min(limit, x)) end

--- One step: from x and what the network said to the x before it. Works on numbers, and on whatever else has + and * once `clamp`
--- (x, limit) is given; `noise` is only needed where row.prev_noise is not 0.
---@param row calotype.SamplerRow
function schedule.step(row, x, out, noise, clamp)
  local x0 = (clamp or clamp_number)(x * row.x0_x + out * row.x0_out, row.clip)
  local eps = x * row.eps_x + x0 * row.eps_x0 + out * row.eps_out
  local before = x * row.prev_x + x0 * row.prev_x0 + eps * row.prev_eps
  return noise and before + noise * row.prev_noise or before, x0
end

--- Classifier-free guidance: 1 follows the prompt as trained, more follows it harder.
function schedule.guide(without, given, scale)
  return without + (given - without) * scale
end

return schedule
