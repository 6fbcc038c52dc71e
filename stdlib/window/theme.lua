-- theme.lua - colours and sizes, dark and light. A colour is 0xRRGGBBAA.
local M = {}

--- Heights and sizes in units of the window.
M.size = { text = 14, small = 12, title = 18, row = 26, button = 28, bar = 36, gap = 8, scrollbar = 10, radius = 5 }

M.dark = {
  name = "dark", ground = 0x191B1FFF, panel = 0x212429FF, raised = 0x2E323AFF, hover = 0x3A404AFF, line = 0x3A3F48FF, well = 0x14161AFF,
  text = 0xE8E8E6FF, faint = 0x9DA3ACFF, disabled = 0x666C76FF, accent = 0x6CB0FFFF, selection = 0x2C527FFF, focus = 0x6CB0FFFF,
  good = 0x83CC8AFF, warning = 0xEDBE55FF, bad = 0xF27C7CFF, trigger = 0x3F4A1FFF, beyond = 0xF27C7CFF, shade = 0x000000A0, picture = 0x0E0F11FF,
  bucket = 0xEDBE55FF, inverse = 0x111316FF,
}

M.light = {
  name = "light", ground = 0xF3F3F0FF, panel = 0xFFFFFFFF, raised = 0xE7E7E3FF, hover = 0xDADAD5FF, line = 0xCBCBC5FF, well = 0xFFFFFFFF,
  text = 0x1D1F22FF, faint = 0x62676EFF, disabled = 0xA2A6ABFF, accent = 0x1B66C9FF, selection = 0xBBD6F7FF, focus = 0x1B66C9FF,
  good = 0x217A32FF, warning = 0x8A5B00FF, bad = 0xB92A2AFF, trigger = 0xE6EFC0FF, beyond = 0xB92A2AFF, shade = 0x00000060, picture = 0xDCDCD8FF,
  bucket = 0xB27400FF, inverse = 0xFFFFFFFF,
}

--- The other of the two.
function M.other(theme) return theme.name == "dark" and M.light or M.dark end

return M
