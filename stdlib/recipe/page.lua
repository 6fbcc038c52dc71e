-- page.lua - what report pages share: where they go, how they begin, what they were made with, how they end.
--
--   local page = pages.new(context, options, "calotype report")
--   page.lead(("%d kept"):format(3))
--   page.table("Steps", rows)                                    -- a heading and a table
--   page.put "<p>anything else</p>"
--   page.finish(options.to, "3 pictures")                        -- what it was made with; written when anything changed but the date
local hash = require "native.hash"
local html = require "recipe.html"
local log = require "native.log"
local outputs = require "recipe.outputs"
local script = require "native.script"

local M = {}

M.options = {
  { "to", "path", required = true, doc = "the page to write; may have [trigger]" },
  { "title", "text", doc = "the recipe's name when left out" },
}

--- A report's declare: the target must be a page. `example` is one.
function M.declare(state, example)
  local path = state.options.to
  if not path:lower():find "%.html?$" then
    state.session:fail(state.at, ("the report %s is not .html"):format(path),
      { key = "to", value = true, hint = ('for example to = "%s"'):format(example) })
  end
  outputs.declare(state, "to")
end

---@param context table
---@param options { title?: string }
---@param otherwise string the title of a recipe without a name
---@param trigger? string
---@return table page
function M.new(context, options, otherwise, trigger)
  local session, page, out, e = context.session, {}, {}, html.escape
  local title, header = options.title or session.name or otherwise, session.header or {}
  local dated -- where the date stands

  function page.put(text) out[#out + 1] = text end
  function page.heading(text) page.put(("<h2>%s</h2>"):format(e(text))) end
  function page.table(heading, rows)
    page.heading(heading)
    page.put(html.table(rows))
  end
  --- The first line, with today's date; then the trigger.
  function page.lead(text)
    page.put(("<p>%s."):format(e(text)))
    page.put(("%s</p>"):format(e(log.date())))
    dated = #out
    if trigger then page.put(("<p>The trigger is <code>%s</code>.</p>"):format(e(trigger))) end
  end

  --- The versions, `more` rows, the end. What is on the page is the key: nothing that it shows can be stale.
  function page.finish(path, note, more)
    local versions, names = script.versions(), {}
    for name in pairs(versions) do names[#names + 1] = name end
    table.sort(names)
    local rows = { { "made with", "" } }
    for _, name in ipairs(names) do rows[#rows + 1] = { name, versions[name] } end
    if header.version then rows[#rows + 1] = { "recipe", header.version } end
    table.move(more or {}, 1, #(more or {}), #rows + 1, rows)
    page.table("Made with", rows)
    page.put "</body>\n</html>\n"
    local text = table.concat(out, "\n")
    out[dated] = ""
    local key = hash.sha256(table.concat(out, "\n"))
    if outputs.unchanged(context, path, key) then return end
    outputs.write(context, path, text)
    outputs.record(context, path, key, { path }, note)
  end

  page.put(html.head(title))
  page.put(("<h1>%s</h1>"):format(e(title)))
  if header.about then page.put(("<p class=\"lead\">%s</p>"):format(e(header.about))) end
  return page
end

return M
