-- tags.lua - mend lists of tags: spelling, doubles, underscores, what another tag says already, words of quality.
--
--   calotype tags photos                                   shows what would change, and writes nothing
--   calotype tags photos write=yes                         writes captions of models; people's are left alone
--   calotype tags photos write=yes people=yes trigger=zkr  people's too; the old texts stay in the history: calotype captions undo
--   calotype tags photos judge=yes spend=0.20              also what a model says: which tags are wrong, what is missing, what is better written
--   calotype tags photos judge=yes accept=wrong,better     ... with these suggestions taken, shown; nothing is paid again and nothing written
--   calotype tags photos judge=yes accept=all except=hat write=yes    ... and written, all but those that name hat
--
-- Nothing is sent, unless judge=yes asks a model, which gets the pictures and their tags (not the trigger, no words of quality); what that will cost
-- is told before. What it says is a suggestion: shown, and taken only where accept= names its kind.
--
-- Sentences are left as they are; only lists of tags are mended. A file is written whole or not at all, and its old text is in the store's history
-- before: calotype captions diff and undo know it.
--
-- The settings, with what they are without:
--
--   write=no        write the new texts; without it they are only shown
--   people=no       also those of people: a .txt that a program of someone else wrote counts as a person's
--   quality=first   words like masterpiece or best quality: in front, where they are, away; one of first, keep, drop
--   trigger=        the made-up word: it stays as it is
--   without=        tags that go, with commas between
--   recursive=no    read the folders below it too
--   most=20         how many pictures are shown; 0 to 1000000
--   accept=         which of the model's suggestions are taken: wrong, missing, better, with commas between, or all
--   except=         tags whose suggestions are not taken, with commas between
--   judge=no        also ask a model which tags are wrong, missing or better written otherwise
--   with=auto       which one: gemini, openai, huggingface; auto follows the environment or .env
--   model=          its model; several with commas between are tried in turn
--   language=en     of the question and of its reasons: de, en, es, fr, ja, zh, or a file of your own (CALOTYPE_PROMPTS)
--   spend=          a ceiling in dollars for this run; at least 0
--   record=         a file that keeps all questions and answers
--   replay=         answers from such a file: nothing is sent and nothing paid
local M = {}

---@param options { folder: string, params: table<string, string>, fresh?: boolean }
---@return integer exit
function M.run(options)
  local consult = require "assistant.consult"
  local log = require "native.log"
  local set = require "recipe.set"
  local settings = require "assistant.settings"
  local tags = require "assistant.tags"
  local telling = require "assistant.telling"
  local put = options.put or log.put
  local o = settings.read(tags.settings, options.params)
  local found = tags.run(consult.given(o, { folder = options.folder, recursive = o.recursive, quality = o.quality, trigger = o.trigger,
    without = o.without, accept = o.accept, except = o.except, store = options.store, say = options.say }))
  local _ <close> = found.photos
  telling.tags(found, put, o.most)
  if found.fault then error(found.fault, 0) end -- nothing is written by half of the judgements
  if not o.judge then
    local offer = consult.offer()
    put("looked up here, in lists of words: no key is needed and nothing was sent" .. (offer and "; " .. offer or ""))
  elseif found.suggestions > 0 and o.accept == "" then
    put "none of the model's suggestions is taken: accept=wrong,missing,better (or all) takes them, except=TAG,TAG leaves some"
  end
  local people = 0
  for _, row in ipairs(found.list) do if row.author == "human" then people = people + 1 end end
  if #found.list == 0 then return 0 end
  if not o.write then
    put(("nothing was written: write=yes writes %s%s"):format(people == 0 and "them" or people < #found.list
      and ("the %d of models"):format(#found.list - people) or "those of models, of which there are none",
      people > 0 and ("; %d %s a person's, write=yes people=yes writes them too"):format(people, people == 1 and "is" or "are") or ""))
    return 0
  end
  local written = tags.write(found, o.people)
  put(("%s written%s"):format(set.count(written, "caption"), written > 0 and "; the old ones are in the history: calotype captions undo PICTURE" or ""))
  if people > 0 and not o.people then
    put(("%s by people left alone: people=yes writes %s too"):format(set.count(people, "caption"), people == 1 and "it" or "them"))
  end
  return 0
end

return M
