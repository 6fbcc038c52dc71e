-- bpe.lua - a small byte-level BPE (Sennrich et al. 2016; bytes as Radford et al. 2019) in CLIP's file format, the same from the same words.
--
--   local bpe = require "tiny.bpe"
--   bpe.write("out/tiny/tokenizer", bpe.train(bpe.words(seed), 768), 32)

local fs = require "native.fs"
local hash = require "native.hash"
local json = require "native.json"
local world = require "tiny.world"

local bpe = {}

-- Common English, so that other captions do not fall apart into letters.
local ENGLISH = [[
the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you were her all she
there would their we him been has when who will more no if out so said what up its about into than them can only other new some could time
these two may then do first any my now such like our over man me even most made after also did many before must through back years where
much your way well down should because each just those people how too little state good very make world still own see men work long get here
between both life being under never day same another know while last might us great old year off come since against go came right used take
three photo picture drawing painting image colour color light dark bright pale pattern paper wood metal toy flower leaf tree house cat dog
bird fish person face hand eye sky sea sun moon star night snow rain style made wheel pinwheel twisted striped dotted plain background front
side above below near far sails windmill spiral checkered round flat soft hard small big large tiny huge left right top bottom middle]]

--- How often each word stands in 4000 captions of the world; English words three times more.
function bpe.words(seed)
  local random, words = hash.random(seed, 2), {}
  for _ = 1, 4000 do
    for word in world.caption(world.any(random), random):gmatch "%S+" do words[word] = (words[word] or 0) + 1 end
  end
  for word in ENGLISH:gmatch "%a+" do words[word] = (words[word] or 0) + 3 end
  return words
end

-- The printable character that stands for each byte, and all of them in CLIP's order.
local function byte_characters()
  local of, order, extra = {}, {}, 0
  for _, range in ipairs { { 33, 126 }, { 161, 172 }, { 174, 255 } } do
    for b = range[1], range[2] do
      of[b] = utf8.char(b)
      order[#order + 1] = of[b]
    end
  end
  for b = 0, 255 do
    if not of[b] then
      of[b] = utf8.char(256 + extra)
      order[#order + 1], extra = of[b], extra + 1
    end
  end
  return of, order
end

-- The most frequent pair of neighbours; among equals the one whose symbols are older.
local function best_pair(sequences, counts, age)
  local frequency, best, most = {}, nil, 0
  for word, symbols in pairs(sequences) do
    for i = 1, #symbols - 1 do
      local pair = symbols[i] .. " " .. symbols[i + 1]
      frequency[pair] = (frequency[pair] or 0) + counts[word]
    end
  end
  local function older(a, b)
    local a1, a2 = a:match "^(.-) (.*)$"
    local b1, b2 = b:match "^(.-) (.*)$"
    if a1 ~= b1 then return age[a1] < age[b1] end
    return age[a2] < age[b2]
  end
  for pair, count in pairs(frequency) do
    if count > most or (count == most and older(pair, best)) then best, most = pair, count end
  end
  if best then return best:match "^(.-) (.*)$" end
end

--- Merges until the vocabulary has `size` entries: 256 bytes, 256 bytes at a word's end, the merges, begin and end.
---@return { vocabulary: string[], merges: string[][] }
function bpe.train(counts, size)
  local of, order = byte_characters()
  local vocabulary, age = {}, {}
  local function add(symbol)
    vocabulary[#vocabulary + 1] = symbol
    age[symbol] = #vocabulary
  end
  for _, c in ipairs(order) do add(c) end
  for _, c in ipairs(order) do add(c .. "</w>") end
  local sequences = {}
  for word in pairs(counts) do
    local symbols = {}
    for i = 1, #word do symbols[i] = of[word:byte(i)] end
    symbols[#symbols] = symbols[#symbols] .. "</w>"
    sequences[word] = symbols
  end
  local merges = {}
  while #vocabulary < size - 2 do
    local a, b = best_pair(sequences, counts, age)
    if not a then break end
    merges[#merges + 1] = { a, b }
    if not age[a .. b] then add(a .. b) end
    for word, symbols in pairs(sequences) do
      local out, i = {}, 1
      while i <= #symbols do
        if symbols[i] == a and symbols[i + 1] == b then
          out[#out + 1], i = a .. b, i + 2
        else
          out[#out + 1], i = symbols[i], i + 1
        end
      end
      sequences[word] = out
    end
  end
  add "<|startoftext|>"
  add "<|endoftext|>"
  return { vocabulary = vocabulary, merges = merges }
end

--- The four files of a CLIPTokenizer. `length`: how many tokens the text encoder reads.
function bpe.write(folder, trained, length)
  assert(fs.make_folder(folder))
  local ids, lines = {}, { "#version: 0.2" }
  for i, symbol in ipairs(trained.vocabulary) do ids[symbol] = i - 1 end
  for _, pair in ipairs(trained.merges) do lines[#lines + 1] = pair[1] .. " " .. pair[2] end
  local special = { bos_token = "<|startoftext|>", eos_token = "<|endoftext|>", unk_token = "<|endoftext|>", pad_token = "<|endoftext|>" }
  local config = { model_max_length = length, tokenizer_class = "CLIPTokenizer", do_lower_case = true, errors = "replace", add_prefix_space = false }
  for key, token in pairs(special) do config[key] = token end
  assert(fs.write(folder .. "/vocab.json", json.encode(ids) .. "\n"))
  assert(fs.write(folder .. "/merges.txt", table.concat(lines, "\n") .. "\n"))
  assert(fs.write(folder .. "/special_tokens_map.json", json.encode(special, { pretty = true }) .. "\n"))
  assert(fs.write(folder .. "/tokenizer_config.json", json.encode(config, { pretty = true }) .. "\n"))
end

return bpe
