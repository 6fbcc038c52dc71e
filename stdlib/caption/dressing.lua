-- dressing.lua - what a recipe puts on captions: tags in order, a word limit, prefix, suffix and the trigger.
--
--   dressing.dress("a red door", { prefix = "oil, ", suffix = "" }, { trigger = "zkr" })     --> "zkr, oil, a red door"
--
-- What is dressed already stays as it is: a caption that went out and came back as a sidecar is the same again. The store has captions
-- without all this, as they were written.
local tags = require "caption.tags"
local trigger = require "recipe.trigger"
local trim = require "caption.trim"
local words = require "caption.words"

local M = {}

--- A text of an option with the trigger put in, where there is one.
---@param s string
---@param word? string
---@return string
function M.filled(s, word) return word and trigger.fill(s, word) or s end

local function begins(s, with) return with ~= "" and s:sub(1, #with) == with end

-- The body of a caption that may wear them already.
local function undressed(s, prefix, suffix, word)
  local bare = s
  if word and begins(s, word .. ", ") and begins(s:sub(#word + 3), prefix) then bare = s:sub(#word + 3) end
  if begins(bare, prefix) then bare = bare:sub(#prefix + 1) else bare = s end
  if suffix ~= "" and #bare > #suffix and bare:sub(-#suffix) == suffix then bare = bare:sub(1, -#suffix - 1) end
  return bare
end

---@param s string as it was written
---@param options { prefix: string, suffix: string, words_above?: integer, tags?: table }
---@param more? { trigger?: string, tags?: boolean } tags: the text is a list of tags
---@return string text, string? cut where it was cut: "sentence", "clause", "word", "tag"
function M.dress(s, options, more)
  local word = more and more.trigger
  local listed = more and more.tags
  local prefix, suffix = M.filled(options.prefix, word), M.filled(options.suffix, word)
  local body = trim.right(undressed(M.filled(s, word), prefix, suffix, word))
  local cut
  if word and trigger.count(prefix .. " " .. suffix, word) > 0 then -- it has its place
    body = trigger.none(body, word)
  elseif word and trigger.count(body, word) > 0 then
    body = trigger.once(body, word)
  end
  if listed then
    local dropped
    body, dropped = tags.tidy(word and trigger.marked(body, word) or body, options.tags, word)
    body = M.filled(body, word)
    if dropped > 0 then cut = "tag" end
  end
  local function whole(text)
    text = words.glue(words.glue(prefix, text), suffix)
    return word and trigger.once(text, word) or text
  end
  local most = options.words_above
  local text = whole(body)
  if not most or words.count(text) <= most then return text, cut end
  -- The trigger is put back in front when it stood behind the cut: then there is room for less.
  for room = math.min(words.count(body) - 1, most), 1, -1 do
    local short, where
    if listed then
      short, where = tags.cut(body, room, word)
      where = where and "tag" or nil
    else
      short, where = words.cut(body, room)
    end
    text = whole(short)
    if words.count(text) <= most then return text, where or cut end
  end
  return text, cut
end

--- A new text after (or before) one that is there. Two lists of tags become one.
---@param there string
---@param new string
---@param mode "append"|"prepend"
---@param listed? boolean the new text is a list of tags
---@param was? boolean the one that is there is one, too, were it of a single tag
---@return string
function M.joined(there, new, mode, listed, was)
  local a, b = there, new
  if mode == "prepend" then a, b = new, there end
  if (was or tags.listed(there)) and (listed or tags.listed(new)) then return tags.unite(a, b) end
  return words.join(a, b)
end

return M
