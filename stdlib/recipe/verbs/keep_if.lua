local callback = require "recipe.callback"
local set = require "recipe.set"

local M = {
  name = "keep_if", version = 1, positional = "test",
  doc = "Keep the pictures for which a function says true. It gets a picture's fields: name, width, height, sharpness, caption, match ... "
    .. "It may return a reason as its second value.",
  example = "photos:keep_if(function(picture) return picture.width > picture.height end)",
  options = { { "test", "callback", required = true, doc = "gets a picture, returns true to keep it" } },
}

function M.declare(state) callback.key(state.options.test, state.session.known, state.at) end

function M.run(context, options, input)
  local before = callback.key(options.test, context.session.known, context.at)
  local out, count = set.filter(input, "keep_if", context.line, function(item)
    local keep, why = callback.call(options.test, context.at, "keep_if", item, set.copy_deep(item))
    if not keep then return type(why) == "string" and why or "the function said no" end
  end)
  if callback.key(options.test, context.session.known, context.at) ~= before then
    context.fail("the function of :keep_if changes what it closed over, so its answer depends on the order of calls",
      { hint = "let it compute its answer from the picture alone" })
  end
  context.account(("%d kept, %d rejected"):format(#out.items, count))
  return out
end

return M
