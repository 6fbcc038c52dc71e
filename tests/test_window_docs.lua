-- docs/window.md says the keys that actions.lua has and the filter that filter.lua understands; WINDOW_DOCS=1 writes both anew.
local actions = require "window.actions"
local fs = require "native.fs"

local PATH = "docs/window.md"

local function cell(text) return (text:gsub("|", "\\|")) end

local function keys()
  local lines = { "| | keys | |", "|---|---|---|" }
  for _, group in ipairs(require("window.help").groups) do
    local first = group
    for _, row in ipairs(actions.list) do
      if row.group == group and row.keys and not row.quiet then
        local names = {}
        for _, key in ipairs(row.keys) do
          if not key:find "keypad" then names[#names + 1] = (key:find "`" and "`` %s ``" or "`%s`"):format(actions.shown_key(key)) end
        end
        lines[#lines + 1] = ("| %s | %s | %s |"):format(first, cell(row.shown and "`" .. row.shown .. "`" or table.concat(names, " ")), cell(row.said or row.title))
        first = ""
      end
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

local function filter()
  local lines = { "| filter | shows |", "|---|---|" }
  for _, row in ipairs(require("window.filter").help) do lines[#lines + 1] = ("| `%s` | %s |"):format(cell(row[1]), cell(row[2])) end
  return table.concat(lines, "\n") .. "\n"
end

for name, made in pairs { keys = keys, filter = filter } do
  test("docs/window.md has the " .. name .. " that there are", function()
    local text = check.ok(fs.read(PATH))
    local before, open, _, close, after = text:match("^(.*)(<!%-%- " .. name .. ":[^\n]*\n)(.-)(<!%-%- end %-%->\n)(.*)$")
    check.ok(before, "the place of the table is gone")
    local now = before .. open .. made() .. close .. after
    if os.getenv "WINDOW_DOCS" then check.ok(fs.write(PATH, now)) else check.ok(now == text, "the table is an old one: make window-pictures") end
  end)
end
