local buckets = require "recipe.buckets"
local export = require "export.pictures"
local preview = require "window.preview"
local set = require "recipe.set"
local trigger = require "recipe.trigger"

local M = {
  name = "preview", version = 1, sink = true,
  doc = "Look at the pictures in a window while the run goes on: captions as they go out, what the trainer sees of each picture, the rejected "
    .. "ones with their reason. Shown again, the window that is open follows. At the prompt also preview(photos). Without a display the run says "
    .. "so and goes on.",
  example = "photos:preview {}",
  options = {
    { "rejected", "boolean", default = true, doc = "show the rejected ones too" },
    { "title", "text", doc = "of the window; the recipe's name when left out" },
  },
}

function M.declare(state)
  local session = state.session
  session.previews = (session.previews or 0) + 1
  state.number = session.previews
end

function M.planned() return "would be shown in a window" end

-- By what a window is found again: the recipe and which of its previews it is; at the prompt what is looked at.
local function name_of(context, state)
  local stage = require "recipe.stage"
  if context.session.live then return "prompt " .. stage.key(state.inputs[1]):sub(1, 12) end
  return (context.session.file or "recipe.lua"):gsub("%.lua$", "") .. (state.number > 1 and " " .. state.number or "")
end

-- A caption as it goes out, as far as it has come.
local function caption_of(item)
  if not item.caption then return nil end
  local text = export.one_line(item.caption)
  return item.trigger and text ~= "" and trigger.once(text, item.trigger) or text
end

local function row_of(item, bucket)
  local row = { path = item.path, sha256 = item.sha256, width = item.width, height = item.height, caption = caption_of(item), trigger = item.trigger }
  if bucket then
    row.bucket = { width = bucket.width, height = bucket.height }
    row.crop = buckets.crop(item.width, item.height, bucket)
  end
  return row
end

function M.run(context, options, input)
  local stage, session = require "recipe.stage", context.session
  local state = stage.state(context.stage)
  local bucket_of, rows = buckets.trained(session, state.inputs[1]), {}
  for i, item in ipairs(input.items) do rows[i] = row_of(item, bucket_of(item)) end
  local kept = #rows
  for _, reject in ipairs(options.rejected and input.rejected or {}) do
    local row = row_of(reject.item)
    row.rejected, row.verb = reject.reason, reject.verb
    rows[#rows + 1] = row
  end
  local name = name_of(context, state)
  local title = options.title or session.name or session.live and stage.describe(state.inputs[1]) or session.file or "recipe"
  preview.keep(context.store(), name, { title = title, recipe = session.file, pictures = rows })
  local how, message = preview.show(session.store_folder, context.store(), name)
  local count = set.count(kept) .. (#rows > kept and (", %d rejected"):format(#rows - kept) or "")
  context.account(not how and message or count .. (how == "open" and ": the open window shows them" or ": a window opens"))
end

return M
