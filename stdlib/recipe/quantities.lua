-- quantities.lua - the measured numbers of a picture that recipes can cut by. A new one is a row here.
local M = {}

-- brightness arrives as the percentiles { p1, p5, p50, p95, p99 } of cleanvision's formula, in [0, 1].
M.list = {
  { name = "side", unit = "px", title = "shorter side", digits = 0,
    of = function(item) return math.min(item.width, item.height) end },
  { name = "aspect", unit = "", title = "longer side by shorter side", digits = 2,
    of = function(item) return math.max(item.width, item.height) / math.min(item.width, item.height) end },
  { name = "sharpness", unit = "", title = "sharpness (variance of the Laplacian, 512 px, sharpest tile)", digits = 1,
    of = function(item) return item.sharpness end },
  { name = "highlights", unit = "", title = "brightness that 99% of the pixels stay below", digits = 2,
    of = function(item) return item.brightness and item.brightness.p99 end },
  { name = "shadows", unit = "", title = "brightness that 95% of the pixels exceed", digits = 2,
    of = function(item) return item.brightness and item.brightness.p5 end },
  { name = "entropy", unit = "bits", title = "information", digits = 1,
    of = function(item) return item.entropy end },
  { name = "noise", unit = "", title = "noise (standard deviation in gray levels of 255, calm tiles)", digits = 1,
    of = function(item) return item.noise end },
  { name = "blocking", unit = "", title = "steps at the borders of JPEG's squares; 1 none", digits = 2,
    of = function(item) return item.blocking end },
  { name = "match", unit = "", title = "probability that the caption belongs to the picture (:score)", digits = 3,
    of = function(item) return item.match end },
}

M.by_name = {}
for _, quantity in ipairs(M.list) do M.by_name[quantity.name] = quantity end

--- A value of a quantity as people read it: no digits that mean nothing.
---@param quantity table
---@param value number
---@return string
function M.text(quantity, value)
  local text = ("%." .. quantity.digits .. "f"):format(value)
  if quantity.digits > 0 then text = text:gsub("%.?0+$", "") end
  return text .. (quantity.unit ~= "" and " " .. quantity.unit or "")
end

return M
