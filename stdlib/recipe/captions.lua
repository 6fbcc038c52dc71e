-- captions.lua - `calotype captions WORD FILE`: what was written about pictures, by whom, when, and how it changes.
--
--   captions.run { words = { "log", "photos/cat.jpg" }, params = {} }    --> 0
--
-- A word is a module in stdlib/captions with run(store, words, word, params).
local script = require "native.script"
local stores = require "native.store"
local suggest = require "recipe.suggest"

local M = {}

M.help = [[
calotype captions WORD FILE|FOLDER

  log FILE|FOLDER             every text that a picture had: when, by whom, asked with which prompt, for how much; * is its text now
  undo FILE|FOLDER [n]        back to the text before (n texts back); again goes further; the next run uses it and asks nobody
  redo FILE|FOLDER [n]        what undo took comes back
  diff FILE|FOLDER            what the last change changed, word by word; between=A,B compares others: a provider, person, now, first,
                              a number of the log, a time (2026-11-20 or 2026-11-20T18:30)
  compare FOLDER with=A,B     several providers side by side on sample=8 pictures, as a table and as a page, to=out/compare.html; asks those
                              that have not answered yet, and leaves the pictures' texts as they are; match=models/blip-itm-base-coco has each
                              caption's match with its picture computed here, without it where that folder is there

A picture is named by its path, its caption file, its name without the ending, or the first digits of its content as log shows them.
Times are UTC. Captions are kept in the folder where recipes run, in .calotype (CALOTYPE_STORE).]]

-- The words: their module, how many words follow, which settings they know.
local WORDS = {
  log = { module = "log", most = 1 },
  undo = { module = "undo", most = 2 },
  redo = { module = "undo", most = 2 },
  compare = { module = "compare", most = 1, settings = { "with", "sample", "to", "match" }, opens = true }, -- its own store, made when there is none
  diff = { module = "diff", most = 1, settings = { "between" } },
}

local function fail(message, hint, exit) script.fail { message = message, hint = hint, source = false, exit = exit or 2 } end

local function open()
  local folder = script.env "CALOTYPE_STORE" or ".calotype"
  local store, message, code = stores.open(folder, { existing = true })
  if code == "NOTFOUND" then fail(message, "captions are kept in the folder where a recipe ran; CALOTYPE_STORE=FOLDER names another", 2) end
  if not store then fail(("the store %s cannot be opened: %s"):format(folder, message), nil, code == "BUSY" and 75 or code == "DENIED" and 3 or 1) end
  return store
end

---@param options { words: string[], params: table<string, string> }
---@return integer exit
function M.run(options)
  local word = options.words[1]
  local rest = table.move(options.words, 2, #options.words, 1, {})
  local spec, names = WORDS[word], {}
  for name in pairs(WORDS) do names[#names + 1] = name end
  table.sort(names)
  if not spec then
    local near = suggest.closest(word, names)
    fail(("calotype captions has no word '%s'"):format(word), near and ("did you mean '%s'?"):format(near) or "it has " .. table.concat(names, ", "))
  end
  if #rest == 0 then fail(("calotype captions %s needs a picture or a folder"):format(word), "calotype help captions shows how it is called") end
  if #rest > spec.most then
    fail(("calotype captions %s takes one picture or folder: '%s' is one too many"):format(word, rest[spec.most + 1]), "a folder is all its pictures")
  end
  local given = {}
  for name in pairs(options.params) do given[#given + 1] = name end
  table.sort(given)
  for _, name in ipairs(given) do
    local known, near = false, suggest.closest(name, spec.settings or {})
    for _, setting in ipairs(spec.settings or {}) do known = known or setting == name end
    if not known then
      fail(("calotype captions %s has no setting '%s'"):format(word, name), near and ("did you mean '%s'?"):format(near)
        or spec.settings and "it has " .. table.concat(spec.settings, ", ") or nil)
    end
  end
  local store <close> = not spec.opens and open() or nil
  return require("captions." .. spec.module).run(store, rest, word, options.params)
end

return M
