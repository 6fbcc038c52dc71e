local files = require "train.lora.files"
local fs = require "native.fs"
local html = require "recipe.html"
local json = require "native.json"
local log = require "native.log"
local pages = require "recipe.page"
local place = require "recipe.place"
local schema = require "recipe.schema"
local set = require "recipe.set"
local size_text = require "size_text"

local M = {
  name = "report", on = "lora", version = 2, sink = true,
  doc = "One HTML page that needs nothing else: the grids of its :samples, how the loss fell, the held-out pictures' loss, samples drawn on "
    .. "the way, every option, the checkpoints, what it was made from and with.",
  example = 'lora:report { to = "out/lora.html" }',
  options = pages.options,
}

function M.declare(state) pages.declare(state, "out/lora.html") end

local e = html.escape

local function option_rows(result, stage_state)
  local rows = { { "option", "value", "" } }
  for _, option in ipairs(stage_state.verb.options) do
    local value = stage_state.options[option.name]
    if value ~= nil and option.type ~= "stage" then
      if option.type == "options" then
        for _, part in ipairs(option.options) do
          if value[part.name] ~= nil then rows[#rows + 1] = { option.name .. "." .. part.name, schema.show(value[part.name]), part.unit or "" } end
        end
      else
        rows[#rows + 1] = { option.name, schema.show(value), option.unit or "" }
      end
    end
  end
  if result.held > 0 then rows[#rows + 1] = { "validate", set.count(result.held), "" } end
  return rows
end

-- The grids that this recipe's :samples make of the LoRA, wherever in the recipe they stand.
local function grids_of(session, made)
  local stage = require "recipe.stage"
  local out = {}
  for _, sink in ipairs(session.sinks) do
    local state = stage.state(sink)
    if state.verb.id == "samples" and state.inputs[1] == made then
      stage.evaluate(sink)
      out[#out + 1] = state.grid
    end
  end
  return out
end

local function drawn(path, name)
  local bytes = fs.read(path)
  return bytes and html.picture(bytes, name, path:lower():find "%.png$" and "png" or "jpeg")
end

function M.run(context, options, result)
  local session, note = context.session, result.note
  local stage = require "recipe.stage"
  local trained = stage.state(stage.state(context.stage).inputs[1])
  local grids, samples = grids_of(session, trained.self), files.samples(result.folder)
  local page = pages.new(context, options, "a LoRA", result.trigger)
  page.lead(("%s on %s in %s on %s"):format(set.count(result.step, "step"), set.count(result.count), log.duration(note.seconds or 0), result.device_name))

  if #grids > 0 then page.heading "Samples" end
  for _, grid in ipairs(grids) do
    if grid.counts then page.put(("<p>%s</p>"):format(e(grid.counts))) end
    page.put(("<div class=\"wide\">%s</div>"):format(drawn(grid.path, grid.path:match "[^/]+$") or ""))
  end

  local points, held = {}, {}
  for i, row in ipairs(note.losses or {}) do points[i] = { row.step, row.sum / row.count } end
  for _, row in ipairs(note.validation or {}) do
    if row.loss ~= json.null then held[#held + 1] = { row.step, row.loss } end
  end
  if #points > 0 then
    page.heading "Loss"
    page.put(html.curve({ { points = points, class = "kept" }, { points = held, class = "cut" } }, "loss by step"))
    if #held > 0 then
      page.put "<p class=\"faint\">The second line is the loss of held-out pictures, at fixed noise and timesteps.</p>"
      local rows = { { "step", "held-out loss" } }
      for i, row in ipairs(held) do rows[i + 1] = { row[1], ("%.5f"):format(row[2]) } end
      page.put(html.table(rows))
    end
  end
  if #samples > 0 then
    page.put "<h2>Samples on the way</h2>\n<div class=\"sheet\">"
    for _, entry in ipairs(samples) do
      local name = entry.path:match "([^/]+)%.png$"
      local picture = drawn(entry.path, name)
      if picture then page.put(("<figure>%s<figcaption>%s</figcaption></figure>"):format(picture, e(name))) end
    end
    page.put "</div>"
  end
  page.table("Options", option_rows(result, trained))
  local rows = { { "checkpoint", "size" } }
  for _, entry in ipairs(files.loras(result.folder)) do
    rows[#rows + 1] = { entry.path:match "[^/]+$", size_text(entry.size) }
  end
  page.table("Checkpoints", rows)
  local steps = { { "step", "line", "left" } }
  for _, step in ipairs(stage.lineage(stage.state(context.stage).inputs[1])) do
    local s = stage.state(step)
    if s.kind == "images" then
      steps[#steps + 1] = { require("recipe.verbs").label(s.verb, s.options), place.text(s.at) or "", #stage.evaluate(step).items }
    end
  end
  page.table("Steps of the recipe", steps)
  local made = {
    { "base", (result.model.path:match "([^/]+)/*$" or "") .. ", unet " .. result.base.unet:sub(1, 16) },
    { "dataset", result.identity.pictures:sub(1, 16) },
  }
  if #(note.resumed or {}) > 0 then made[#made + 1] = { "resumed at step", table.concat(note.resumed, ", ") } end
  page.finish(options.to, set.count(result.step, "step"), made)
end

return M
