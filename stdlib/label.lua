-- label.lua - a line of text for a grid or a sheet, cut to the width it has.
--
--   picture:text(x, y, label.fitted("a very long prompt ...", 240, 12), { size = 12 })
--
-- What a width could never hold is cut off before anything is measured: a caption of a megabyte costs no more than a line of it.
local image = require "native.image"

local label = {}

local NARROWEST = 0.2 -- of the font's size: what its narrowest letter takes

-- The beginning of a text in at most so many bytes, with no letter cut through.
local function beginning(text, bytes)
  if #text <= bytes then return text end
  local last = bytes
  while last > 0 and last > bytes - 4 and (text:byte(last + 1) & 0xc0) == 0x80 do last = last - 1 end
  return text:sub(1, last)
end

-- More bytes than a width can hold; a letter is up to four.
local function most_bytes(width, size) return 4 * math.ceil(width / (NARROWEST * size)) end

--- Does it fit?
function label.fits(text, width, size)
  return #text <= most_bytes(width, size) and image.text_width(text, size) <= width
end

--- The text when it fits, else its longest beginning that does, with "..." behind it; in one line.
---@param text string
---@param width number in pixels
---@param size number of the font
---@return string
function label.fitted(text, width, size)
  local most = most_bytes(width, size)
  local head = beginning(text, most):gsub("[\r\n]+", " ")
  if #text <= most and label.fits(head, width, size) then return head end
  local fit, over = 0, #head + 1
  while over - fit > 1 do
    local middle = (fit + over) // 2
    if image.text_width(beginning(head, middle) .. "...", size) <= width then fit = middle else over = middle end
  end
  return beginning(head, fit):gsub("%s+$", "") .. "..."
end

return label
