-- theme.lua - colours and sizes, dark and light. A colour is 0xRRGGBBAA.
--
-- Every text can be read: each colour that text has, on each ground that it stands on, has a contrast of 4.5 to 1 (WCAG 2, 1.4.3), which
-- tests/test_window_review.lua counts. What stands on a picture stands on `veil`.
local M = {}

--- Heights and sizes in units of the window.
M.size = { text = 14, small = 12, title = 18, row = 26, button = 28, bar = 36, gap = 8, scrollbar = 10, radius = 5 }

M.dark = {
  name = "dark", ground = 0x191B1FFF, panel = 0x212429FF, raised = 0x2B2F36FF, hover = 0x343A43FF, line = 0x3A3F48FF, well = 0x14161AFF,
  text = 0xE8E8E6FF, faint = 0xAEB4BCFF, disabled = 0x8B919BFF, accent = 0x7FBBFFFF, selection = 0x1E3F66FF, focus = 0x6CB0FFFF,
  good = 0x83CC8AFF, warning = 0xEDBE55FF, bad = 0xFF9494FF, trigger = 0x3F4A1FFF, beyond = 0xFF9494FF, shade = 0x000000A0, picture = 0x0E0F11FF,
  bucket = 0xEDBE55FF, inverse = 0x111316FF, veil = 0x000000C8, star = 0xEDBE55FF, aside = 0xFFB0B0FF,
}

M.light = {
  name = "light", ground = 0xF3F3F0FF, panel = 0xFFFFFFFF, raised = 0xEAEAE6FF, hover = 0xDFDFDBFF, line = 0xCBCBC5FF, well = 0xFFFFFFFF,
  text = 0x1D1F22FF, faint = 0x51565CFF, disabled = 0x666B70FF, accent = 0x1453A8FF, selection = 0xCFE2FAFF, focus = 0x1B66C9FF,
  good = 0x1A6328FF, warning = 0x704A00FF, bad = 0xA11F1FFF, trigger = 0xE6EFC0FF, beyond = 0xA11F1FFF, shade = 0x00000060, picture = 0xDCDCD8FF,
  bucket = 0x8A5A00FF, inverse = 0xFFFFFFFF, veil = 0x000000C8, star = 0xEDBE55FF, aside = 0xFFB0B0FF,
}

--- The other of the two.
function M.other(theme) return theme.name == "dark" and M.light or M.dark end

return M
