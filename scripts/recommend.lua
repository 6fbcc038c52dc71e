-- recommend.lua - hyperparameters for a folder, each with its reason, written as a recipe.
--
--   calotype recommend photos goal=character base=models/sd15      steps, rank, lr ... from the pictures and the device; writes recipe.lua
--   calotype recommend photos goal=style to=style.lua overwrite=yes
--   calotype recommend photos goal=object memory=8 to=             for a device of 8 GB; shown, not written
--
-- Everything is worked out here: no key is needed and nothing is sent, unless judge=yes asks a model. The recipe passes
-- `calotype check`, or what is missing for that is said. A recipe that is there is never written over unless overwrite=yes.
--
-- The settings, with what they are without:
--
--   goal=object     what is to be learned; one of character, style, scene, object
--   base=           the base, a folder as diffusers keeps it; the first in models/ when left out
--   trigger=        the made-up word that will call it; made from the folder's name when left out
--   memory=         what may be used; what the device has when left out; 0.001 to 100000 GB
--   recursive=no    read the folders below it too
--   to=recipe.lua   the recipe to write; to= only shows it
--   overwrite=no    write over a recipe that is there
--   judge=no        also ask a model what it thinks of each picture
--   with=auto       which one: gemini, openai, huggingface; auto follows the environment or .env
--   model=          its model; several with commas between are tried in turn
--   language=en     of the question and of its reasons: de, en, es, fr, ja, zh, or a file of your own (CALOTYPE_PROMPTS)
--   spend=          a ceiling in dollars for this run; at least 0
--   record=         a file that keeps all questions and answers
--   replay=         answers from such a file: nothing is sent and nothing paid
local M = {}

-- Before anything is computed: the recipe that would be written over, or could not be.
local function look_ahead(o)
  local folder = require "assistant.folder"
  local fs = require "native.fs"
  if not o.to:find "%.lua$" then folder.fail(("the recipe %s is not .lua"):format(o.to), "for example to=out/recipe.lua", "usage") end
  local there = fs.grant(o.to, "read") and fs.stat(o.to)
  if there and not o.overwrite then
    folder.fail(("%s is there already and is not written over"):format(o.to), "overwrite=yes does, to=OTHER.lua writes elsewhere, to= only shows it", "usage")
  end
  local ok, message, code = fs.writable(o.to, false)
  if not ok then folder.fail(message, "let yourself write there, or name another place with to=", code == "ARG" and "usage" or code) end
end

---@param options { folder: string, params: table<string, string>, fresh?: boolean }
---@return integer exit
function M.run(options)
  local consult = require "assistant.consult"
  local log = require "native.log"
  local recommend = require "assistant.recommend"
  local set = require "recipe.set"
  local settings = require "assistant.settings"
  local telling = require "assistant.telling"
  local put = options.put or log.put
  local o = settings.read(recommend.settings, options.params)
  if o.to ~= "" then look_ahead(o) end
  local advice = recommend.run(consult.given(o, { folder = options.folder, goal = o.goal, base = o.base, trigger = o.trigger, memory = o.memory,
    recursive = o.recursive, store = options.store, say = options.say }))
  local photos <close> = advice.photos
  telling.advice(advice, put)
  local good, what = recommend.check(advice, o.to ~= "" and o.to or "recipe.lua", options.store)
  if o.to == "" then
    put ""
    for line in advice.text:gmatch "[^\n]+" do put(line) end
  else
    telling.write(photos, o.to, advice.text)
    put(("%s written: %s, %s"):format(o.to, advice.goal, set.count(advice.count)))
  end
  if not good then put(("not ready yet: %s"):format(advice.lacking or what)) end
  if advice.does_not_fit then put("it does not fit into the memory: " .. advice.does_not_fit) end
  if advice.fault then error(advice.fault, 0) end
  if not o.judge then put(require "assistant.judge".unasked()) end
  if good and o.to ~= "" then put(("go on with: calotype check %s, then calotype %s"):format(o.to, o.to)) end
  return 0
end

return M
