-- sampling.lua - what verbs that draw pictures share: their options, and the sizes that a base can draw.
--
--   options = { { "prompts", ... }, sampling.negative, sampling.steps, sampling.cfg, sampling.sampler, ... }
--   sampling.check_sides(state, base)                      -- o.width and o.height are multiples of what the base needs
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

return M
