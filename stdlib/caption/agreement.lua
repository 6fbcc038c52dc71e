-- agreement.lua - how much two captions name the same things.
--
--   agreement.of("a red boat on the sea", "The boat is red.")     --> 0.8
--
-- Dice's coefficient of their content words, which is the F1 of one's words against the other's: twice the words that both have, over the words
-- of both; each word counts once, articles, prepositions and the like not at all. 1: the same words, 0: none in common. It knows no synonyms:
-- "ship" and "boat" differ.
local words = require "caption.words"

local M = {}

M.TEXT = "agreement is the share of content words that two captions have in common (Dice, 0 to 1; synonyms count as different), the mean over pictures"

-- Words without things in them, of the languages that questions are asked in; scripts without spaces have none.
local EMPTY = {}
for word in ([[
a an the this that these those there here it its it's is are was were be been being has have had do does did can could may might will would and or
but nor not no of in on at to from by with without into onto over under above below behind before after between through across along around about
against near next beside upon as than then so such very some any each every all both other another one he him his she her hers they them their
we us our you your i my me who whom whose which what when where while also only just more most out up down off image picture photo photograph
der die das den dem des ein eine einer eines einem einen und oder aber nicht kein keine in im an am auf aus bei mit nach von vom zu zum zur vor
hinter über unter neben zwischen durch für ohne um ist sind war waren sein seine ihr ihre es er sie wir als wie auch sehr dieser diese dieses bild
le la les l un une des du de d et ou mais ne pas dans en sur sous avec sans pour par vers chez à au aux est sont était ce cet cette ces son sa ses
leur leurs il elle ils elles on nous vous que qui dont où comme plus très image photo
el los las una unos unas y o pero no del al con sin para por sobre entre hacia desde hasta es está están son era eran su sus se lo que quien como
muy más este esta estos estas ese esa imagen foto]]):gmatch "%S+" do EMPTY[word] = true end

--- Its words with their places, small letters.
M.words = words.list

--- The content words of a text, as a set, and how many they are.
---@param text string
---@return table<string, boolean> set, integer count
function M.content(text)
  local set, count = {}, 0
  for _, word in ipairs(words.list(text)) do
    if not EMPTY[word[1]] and not set[word[1]] then set[word[1]], count = true, count + 1 end
  end
  return set, count
end

--- nil when neither has a content word.
---@param a string
---@param b string
---@return number?
function M.of(a, b)
  local set_a, count_a = M.content(a)
  local set_b, count_b = M.content(b)
  if count_a + count_b == 0 then return nil end
  local both = 0
  for word in pairs(set_a) do if set_b[word] then both = both + 1 end end
  return 2 * both / (count_a + count_b)
end

return M
