-- analyze.lua - how good, consistent and diverse a folder of pictures is, what is wrong with which, what to cut.
--
--   calotype analyze photos                                  grades, issues and a suggestion here; pictures in out/analysis.html
--   calotype analyze photos side=1024 to=report.html         for a base that draws 1024 pixels
--   calotype analyze photos to= json=numbers.json            no page; all numbers as JSON
--   calotype analyze photos judge=yes spend=0.20             a model's judgement besides, for at most $0.20
--
-- Everything is measured here: no key is needed and nothing is sent, unless judge=yes asks a model, which gets the pictures. They are not touched.
-- Grades go from 0 to 10; the page says by which formula. The suggestion is a recipe that can be pasted and passes `calotype check`.
--
-- The settings, with what they are without:
--
--   side=512               the shorter side that is wanted: what the base draws; 64 to 8192 px
--   trigger=               the made-up word that captions should have once
--   recursive=no           read the folders below it too
--   to=out/analysis.html   the page to write; to= writes none
--   json=                  also write all numbers to this file
--   judge=no               also ask a model what it thinks of each picture
--   with=auto              which one: gemini, openai, huggingface; auto follows the environment or .env
--   model=                 its model; several with commas between are tried in turn
--   language=en            of the question and of its reasons: de, en, es, fr, ja, zh, or a file of your own (CALOTYPE_PROMPTS)
--   spend=                 a ceiling in dollars for this run; at least 0
--   record=                a file that keeps all questions and answers
--   replay=                answers from such a file: nothing is sent and nothing paid
local M = {}

---@param options { folder: string, params: table<string, string>, fresh?: boolean }
---@return integer exit
function M.run(options)
  local analyze = require "assistant.analyze"
  local consult = require "assistant.consult"
  local judge = require "assistant.judge"
  local log = require "native.log"
  local settings = require "assistant.settings"
  local telling = require "assistant.telling"
  local o = settings.read(analyze.settings, options.params)
  local found = analyze.run(consult.given(o, { folder = options.folder, side = o.side, trigger = o.trigger, recursive = o.recursive,
    store = options.store, say = options.say, before = function(photos) if o.to ~= "" then telling.allow_page(photos, o.to) end end }))
  local photos <close> = found.photos
  local put = options.put or log.put
  telling.analysis(found, put)
  if o.json ~= "" then telling.write(photos, o.json, analyze.json(found)) end
  if o.to ~= "" then telling.analysis_page(found, o.to) end
  if found.fault then error(found.fault, 0) end
  if not o.judge then put(judge.unasked()) end
  return 0
end

return M
