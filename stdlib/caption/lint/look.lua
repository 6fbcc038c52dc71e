-- look.lua - what the kinds of lint share: a walk over the rows, and findings made of them.
local trigger = require "recipe.trigger"
local words = require "caption.words"

local M = {}

function M.plural(n, one, many) return n == 1 and one or many end

--- What is wrong with these rows (lint.lua says what a finding has).
function M.finding(kind, level, rows, text, why, hint)
  local names, items = {}, {}
  for i, row in ipairs(rows) do names[i], items[i] = row.name, row.item end
  return { kind = kind, level = level, names = names, items = items, text = text, why = why, hint = hint }
end

--- The rows; rows.poll is asked at each, so that Ctrl-C ends a look at tens of thousands.
function M.each(rows)
  local i = 0
  return function()
    i = i + 1
    if rows.poll and rows[i] then rows.poll() end
    return rows[i] and i, rows[i]
  end
end

function M.pick(rows, test)
  local found = {}
  for _, row in M.each(rows) do if test(row) then found[#found + 1] = row end end
  return found
end

--- `only = function ...` for these pictures, to be pasted into a :caption; nil where they are too many for that.
function M.only(rows)
  if #rows > 3 then return nil end
  local parts = {}
  for i, row in ipairs(rows) do parts[i] = ("p.name == %q"):format(row.name) end
  return ("only = function(p) return %s end"):format(table.concat(parts, " or "))
end

function M.has_text(row) return row.text ~= nil and row.text:find "%S" ~= nil end

--- A caption as if it had no trigger.
function M.without_trigger(s, options)
  if not options.trigger or not utf8.len(s) then return s end
  return (trigger.none(trigger.fill(s, options.trigger), options.trigger):gsub("^[%s,.:]+", ""))
end

--- The words of a row without the trigger, found once.
function M.words_of(row, options)
  row.words = row.words or words.list(M.without_trigger(row.text, options))
  return row.words
end

return M
