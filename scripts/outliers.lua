-- outliers.lua - the pictures of a folder that are unlike the others: shown with the measure, moved aside, brought back.
--
--   calotype outliers photos                             which, why, and by how many deviations; a page with pictures
--   calotype outliers photos remove=yes                  moves them to photos-outliers, with their captions; the journal there has the reasons
--   calotype outliers photos restore=yes                 brings all of them back
--   calotype outliers photos by=quality,artefacts above=5    only what is odd by these, and very odd
--   calotype outliers photos judge=yes                   also by what a model says: poor ones, visible faults, a drawing among photos
--
-- Everything is measured here: no key is needed and nothing is sent, unless judge=yes asks a model. Nothing is moved without
-- remove=yes, and nothing is ever deleted. A file moves in one step after the journal was written, so that whatever stops the command, every file
-- is here or there and restore=yes works.
--
-- The settings, with what they are without:
--
--   above=3.5                    how many deviations from the middle make an outlier; 2 to 100
--   by=quality,style,artefacts   which kinds are looked for, with commas between
--   recursive=no                 read the folders below it too
--   remove=no                    move them out of the folder, with their caption files
--   restore=no                   bring back everything that was moved
--   to=                          the folder that they are moved to; FOLDER-outliers when left out
--   page=out/outliers.html       the page to write; page= writes none
--   json=                        also write what was found to this file
--   judge=no                     also ask a model what it thinks of each picture
--   with=auto                    which one: gemini, openai, huggingface; auto follows the environment or .env
--   model=                       its model; several with commas between are tried in turn
--   language=en                  of the question and of its reasons: de, en, es, fr, ja, zh, or a file of your own (CALOTYPE_PROMPTS)
--   spend=                       a ceiling in dollars for this run; at least 0
--   record=                      a file that keeps all questions and answers
--   replay=                      answers from such a file: nothing is sent and nothing paid
local M = {}

local function restore(folder, to, put)
  local quarantine = require "assistant.quarantine"
  local set = require "recipe.set"
  if not quarantine.made(to) then
    require("assistant.folder").fail(("there is nothing to restore: there is no folder %s"):format(to), "to=FOLDER names the one they were moved to", "usage")
  end
  local counts = quarantine.open(folder, to):restore()
  put(("%s back in %s"):format(set.count(counts.restored), folder))
  if counts.gone > 0 then
    put(("  %s no longer in %s: somebody took it away"):format(set.count(counts.gone, "picture of the journal", "pictures of the journal"), to))
  end
  for _, message in ipairs(counts.kept) do put("  stays aside: " .. message) end
  return #counts.kept > 0 and 1 or 0
end

---@param options { folder: string, params: table<string, string>, fresh?: boolean }
---@return integer exit
function M.run(options)
  local consult = require "assistant.consult"
  local fs = require "native.fs"
  local folder = require "assistant.folder"
  local judge = require "assistant.judge"
  local log = require "native.log"
  local outliers = require "assistant.outliers"
  local quarantine = require "assistant.quarantine"
  local set = require "recipe.set"
  local settings = require "assistant.settings"
  local telling = require "assistant.telling"
  local put = options.put or log.put
  local o = settings.read(outliers.settings, options.params)
  local path = #options.folder > 1 and options.folder:gsub("/+$", "") or options.folder
  local to = o.to ~= "" and o.to:gsub("(.)/+$", "%1") or quarantine.beside(path)
  if o.remove and o.restore then folder.fail("remove=yes and restore=yes are opposites", "give one of them", "usage") end
  if o.restore then return restore(path, to, put) end
  if o.remove and ((fs.absolute(to) or to) .. "/"):sub(1, #(fs.absolute(path) or path) + 1) == (fs.absolute(path) or path) .. "/" then
    folder.fail(("%s lies in %s"):format(to, path), "name a folder elsewhere, on the same disk, with to=", "usage")
  end
  local found = outliers.run(consult.given(o, { folder = path, above = o.above, by = o.by, recursive = o.recursive,
    store = options.store, say = options.say, before = function(photos) if o.page ~= "" then telling.allow_page(photos, o.page) end end }))
  local photos <close> = found.photos
  telling.outliers(found, put)
  if o.json ~= "" then telling.write(photos, o.json, outliers.json(found)) end
  if o.page ~= "" then telling.outliers_page(found, o.page) end
  if found.fault then error(found.fault, 0) end -- nothing is moved by half of the judgements
  if not o.judge then put(judge.unasked()) end
  if not o.remove then
    if #found.list > 0 then put(("nothing was moved: remove=yes moves them to %s, restore=yes brings them back"):format(to)) end
    return 0
  end
  local counts = outliers.remove(found, to)
  put(("%s moved to %s, with the reasons in %s; restore=yes brings them back"):format(set.count(counts.moved), to, quarantine.JOURNAL))
  if counts.finished > 0 then put(("%s that an earlier run had begun to move"):format(set.count(counts.finished))) end
  for _, row in ipairs(counts.refused) do put(("  not moved: %s"):format(row.reason)) end
  return #counts.refused > 0 and 1 or 0
end

return M
