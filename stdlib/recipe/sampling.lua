-- sampling.lua - what verbs that draw pictures share: their options, and the sizes and steps that a base can draw with.
--
--   options = { { "prompts", ... }, sampling.negative, sampling.steps, sampling.cfg, sampling.sampler, ... }
--   sampling.check_sides(state, base)                      -- o.width and o.height are multiples of what the base needs
--   sampling.check_steps(state, base)                      -- o.steps are no more than its scheduler has, and o.sampler can take them
local M = {}

M.negative = { "negative", "text", default = "", doc = "what guidance leads away from" }
M.steps = { "steps", "integer", min = 1, max = 1000, default = 20, doc = "of the sampler" }
M.cfg = { "cfg", "number", min = 0, max = 100, default = 7.5, doc = "guidance; 1 follows the prompt as trained" }
M.sampler = { "sampler", "choice", choices = { "ddim", "euler" }, default = "ddim", doc = "how noise is taken away" }

--- A width or height that this base cannot draw is told where it stands.
function M.check_sides(state, base)
  local multiple = require("models.sides").multiple(base)
  for _, key in ipairs { "width", "height" } do
    local side = state.options[key]
    if side and side % multiple ~= 0 then
      state.session:fail(state.at, ("%s %d: with this base sides are multiples of %d"):format(key, side, multiple), { key = key, value = true })
    end
  end
end

local TRIES = 8 -- how many numbers of steps below the asked one are tried: with steps_offset it is the next, and what no step mends fails in all

--- More steps than the base's scheduler has timesteps for, and whatever else there the sampler cannot do, are told where they stand. `inside`: the
--- option whose table has steps and sampler, for a verb that draws on the way.
function M.check_steps(state, base, inside)
  local schedule, session = require "models.schedule", state.session
  local o = inside and state.options[inside] or state.options
  local noise = schedule.noise(base.scheduler)
  local function try(steps, sampler) return pcall(schedule[sampler or o.sampler], noise, { steps = steps }) end
  local fine, problem = try(o.steps)
  if fine then return end
  local file, most = base.path .. "/scheduler/scheduler_config.json", math.min(o.steps - 1, noise.steps)
  for steps = most, math.max(1, most - TRIES), -1 do
    if try(steps) then
      session:fail(state.at, ("steps %d: sampler %q can take %d of this base's %d timesteps"):format(o.steps, o.sampler, steps, noise.steps),
        { key = "steps", inside = inside, value = true, hint = ("take %d, or less; the timesteps are those of %s"):format(steps, file) })
    end
  end
  problem = tostring(problem):gsub("^.-schedule: ", ""):gsub("^the config's ", "")
  local other = o.sampler == "ddim" and "euler" or "ddim"
  session:fail(state.at, ("%s: %s"):format(file, problem), { key = "base", value = true, world = true,
    hint = try(o.steps, other) and ('sampler = "%s" takes it'):format(other) or "take another base, or that out of the file" })
end

return M
