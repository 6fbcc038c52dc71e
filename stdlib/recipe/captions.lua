-- captions.lua - `calotype captions WORD FILE`: what was written about a picture, by whom, when.
--
--   captions.run { words = { "log", "photos/cat.jpg" } }    --> 0
local fs = require "native.fs"
local hash = require "native.hash"
local log = require "native.log"
local script = require "native.script"
local stores = require "native.store"
local suggest = require "recipe.suggest"

local M = {}

M.help = [[
calotype captions WORD FILE

  log FILE        every text that the picture had: when, by whom, and what it says]]

local LARGEST = 1 << 30

local function fail(message, hint, exit) script.fail { message = message, hint = hint, source = false, exit = exit or 2 } end

-- The picture's content, which is what captions are about.
local function content(path)
  local ok, message, code = fs.grant(path, "read")
  local bytes
  if ok then bytes, message, code = fs.read(path, LARGEST) end
  if not bytes then
    local near = code == "NOTFOUND" and fs.nearest(path)
    fail(message, near and ("did you mean %s?"):format(near), code == "DENIED" and 3 or code == "NOTFOUND" and 2 or 1)
  end
  return hash.sha256(bytes)
end

local function open()
  local folder = script.env "CALOTYPE_STORE" or ".calotype"
  local store, message, code = stores.open(folder, { existing = true })
  if code == "NOTFOUND" then fail(message, "captions are kept in the folder where a recipe ran; CALOTYPE_STORE=FOLDER names another", 2) end
  if not store then fail(("the store %s cannot be opened: %s"):format(folder, message), nil, code == "BUSY" and 75 or 1) end
  return store
end

local function who(row)
  if row.author == "human" then return "a person" end
  return row.provider .. (row.model ~= "" and row.model and " " .. row.model or "")
end

local words = {}

function words.log(path)
  local sha, store <close> = content(path), open()
  local rows = store:captions(sha)
  if #rows == 0 then fail(("%s has no captions yet"):format(path), nil, 1) end
  for _, row in ipairs(rows) do log.put(("%s  %s  %s"):format(row.time, who(row), row.text)) end
  return 0
end

---@param options { words: string[], params: table<string, string> }
---@return integer exit
function M.run(options)
  local word, path = table.unpack(options.words)
  local names = {}
  for name in pairs(words) do names[#names + 1] = name end
  table.sort(names)
  if not words[word] then
    local near = suggest.closest(word, names)
    fail(("calotype captions has no word '%s'"):format(word), near and ("did you mean '%s'?"):format(near) or "it has " .. table.concat(names, ", "))
  end
  if not path then fail(("calotype captions %s needs a file"):format(word), "calotype help captions shows how it is called") end
  if options.words[3] then fail(("one file at a time: '%s' is one too many"):format(options.words[3])) end
  local name = next(options.params)
  if name then fail(("calotype captions %s has no setting '%s'"):format(word, name)) end
  return words[word](path)
end

return M
