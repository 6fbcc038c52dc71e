-- alike.lua - captions that say the same, or nearly so.
--
--   local groups, all_equal = alike.groups(rows, { trigger = "zkr" })
local look = require "caption.lint.look"
local set = require "recipe.set"

local M = {}

local ALIKE = 0.8 -- share of three-word pieces from which on two captions say nearly the same
local SHORTEST = 8 -- words that a caption needs for that
local HASHES = 8 -- of pairs at 0.8, three in a million have none of these in common and are missed

local function joined(list)
  local parts = {}
  for i, word in ipairs(list) do parts[i] = word[1] end
  return table.concat(parts, " ")
end

local function shingles(list)
  local out = {}
  for i = 1, #list - 2 do out[list[i][1] .. " " .. list[i + 1][1] .. " " .. list[i + 2][1]] = true end
  return out
end

local function share(a, b)
  local both, all = 0, 0
  for piece in pairs(a) do
    all = all + 1
    if b[piece] then both = both + 1 end
  end
  for piece in pairs(b) do if not a[piece] then all = all + 1 end end
  return all > 0 and both / all or 0
end

-- MinHash: the smallest of the pieces in each of several orders. `ids` numbers the pieces that were met.
local function smallest(pieces, ids)
  local least = {}
  for piece in pairs(pieces) do
    local id = ids[piece]
    if not id then
      ids.count = ids.count + 1
      id, ids[piece] = ids.count, ids.count
    end
    for k = 1, HASHES do -- multiplied and mixed: another order of the same pieces for each k
      local h = id * (0x9E3779B97F4A7C15 + 2 * k * 0x632BE59BD9B4E019)
      h = (h ~ (h >> 29)) * 0x1B873593CC9E2D51 >> 1
      if not least[k] or h < least[k] then least[k] = h end
    end
  end
  return least
end

--- Groups of rows that say the same or nearly so, each in its order: equal words, or ALIKE of their three-word pieces shared (Jaccard; found
--- by MinHash). The trigger is not looked at.
---@return table[][] groups, boolean all_equal
function M.groups(rows, options)
  local ids, groups, group_of, equal, bands = { count = 0 }, {}, {}, {}, {} -- a piece has three words: none is "count"
  local first_of, pieces_of = {}, {}
  local function join(row, with)
    local group = group_of[with]
    if not group then
      group = { with }
      groups[#groups + 1], group_of[with] = group, group
    end
    group[#group + 1], group_of[row] = row, group
  end
  local kinds_of_words = 0
  for _, row in look.each(rows) do
    if look.has_text(row) and utf8.len(row.text) then
      local list = look.words_of(row, options or {})
      local plain = joined(list)
      if equal[plain] then
        join(row, equal[plain])
      elseif plain ~= "" then
        equal[plain], kinds_of_words = row, kinds_of_words + 1
        if #list >= SHORTEST then
          local pieces = shingles(list)
          local least = smallest(pieces, ids)
          pieces_of[row] = pieces
          for k = 1, HASHES do
            local key = k .. " " .. least[k]
            local other = bands[key]
            if not other then bands[key] = row
            elseif not group_of[row] and other ~= row and share(pieces, pieces_of[other]) >= ALIKE then join(row, other)
            end
          end
        end
      end
      first_of[#first_of + 1] = row
    end
  end
  return groups, kinds_of_words == 1 and #first_of > 1
end

function M.find(rows, options)
  local groups, all_equal = M.groups(rows, options)
  if #groups == 0 then return end
  local found = {}
  for _, group in ipairs(groups) do table.move(group, 1, #group, #found + 1, found) end
  local text = all_equal and ("all %s say the same"):format(set.count(#found, "caption"))
    or ("%s say the same or nearly so, in %s"):format(set.count(#found, "caption"), set.count(#groups, "group"))
  return look.finding("alike", "note", found, text,
    ("they share all words, or %d %% of their pieces of three words. What differs between such pictures has no word that calls it"):format(ALIKE * 100),
    all_equal and "fine for a single subject; for more, let a model or a person say what each picture shows"
      or "say in each what sets it apart, or :dedupe the pictures")
end

return M
