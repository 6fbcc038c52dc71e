-- caption.lua - give each picture of a folder its words; the recipe for it is made, shown and run.
--
--   calotype caption photos trigger=zkr style=concise focus=character      who the environment or .env names is asked
--   calotype caption photos with=gemini spend=0.50 beside=yes              at most $0.50; name.txt beside each picture
--   calotype caption photos with=template text="a photo of {stem}"         nobody is asked
--   calotype caption photos show=yes                                       the recipe alone; nothing is read, asked or written
--
-- A caption that a person wrote beside a picture wins; only missing ones are asked for, and none is paid for twice. Captions are kept in the
-- store with who wrote them (calotype captions log photos); beside=yes writes them beside the pictures, too. Stopped, the same command goes on.
--
-- Besides these settings, every option of the provider is one: style, focus, language, model, spend ... (calotype help gemini).
--
--   with=auto              who writes: gemini, openai, huggingface, blip, wd14, sidecar, template, fake, auto; calotype help NAME tells of each
--   trigger=               the made-up word that will call the subject; stands in every caption
--   prefix=                put before every caption
--   suffix=                put after every caption
--   replace=no             ask for all captions, people's too (theirs stay in the history)
--   recursive=no           read the folders below it too
--   beside=no              write name.txt beside each picture; without it captions are kept in the store
--   to=out/captions.html   a page with the pictures and their captions; to= writes none
--   save=                  also write the recipe to this file
--   show=no                show the recipe and do nothing else
local M = {}

local function look_ahead(o)
  local folder = require "assistant.folder"
  local fs = require "native.fs"
  if o.to == "" and not o.beside then folder.fail("neither to= nor beside=yes: nothing would be written", "to=out/captions.html writes a page", "usage") end
  if o.save == "" then return end
  if not o.save:find "%.lua$" then folder.fail(("the recipe %s is not .lua"):format(o.save), "for example save=captions.lua", "usage") end
  if fs.grant(o.save, "read") and fs.stat(o.save) then
    folder.fail(("%s is there already and is not written over"):format(o.save), "name another file", "usage")
  end
  local ok, message, code = fs.writable(o.save, false)
  if not ok then folder.fail(message, "let yourself write there, or name another place", code == "ARG" and "usage" or code) end
end

-- The command as it was typed, for whoever stops it.
local function again(path, given)
  local function quoted(word) return word:find "[^%w_./=,:@%%+-]" and "'" .. word:gsub("'", "'\\''") .. "'" or word end
  local words, names = { "calotype caption", quoted(path) }, {}
  for name in pairs(given) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do words[#words + 1] = quoted(name .. "=" .. given[name]) end
  return table.concat(words, " ")
end

---@param options { folder: string, params: table<string, string>, fresh?: boolean }
---@return integer exit
function M.run(options)
  local caption = require "assistant.caption"
  local fs = require "native.fs"
  local log = require "native.log"
  local settings = require "assistant.settings"
  local put, say = options.put or log.put, options.say or function(line) log.say("info", line) end
  local spec = caption.settings(options.params)
  local o = settings.read(spec, options.params)
  local path = #options.folder > 1 and options.folder:gsub("/+$", "") or options.folder
  look_ahead(o)
  local text = caption.recipe(path, o, spec)
  if o.show then
    for line in text:gmatch "[^\n]+" do put(line) end
    return 0
  end
  caption.look_ahead(path, o, options)
  for line in text:gmatch "[^\n]+" do say("  | " .. line) end
  if o.save ~= "" then
    -- what is kept is a recipe that can be run
    require "recipe.command".check { file = "calotype caption", text = text, store = options.store, put = function() end }
    local ok, message, code = fs.grant(o.save:match "^(.+)/[^/]*$" or ".", "write")
    if ok then ok, message, code = fs.write(o.save, text) end
    if not ok then require "assistant.folder".fail(("%s was not written"):format(o.save), message, code) end
  end
  local exit = require "recipe.command".run { file = "calotype caption", text = text, params = {}, store = options.store, fresh = options.fresh,
    say = options.say, put = put, again = again(options.folder, options.params) }
  if exit ~= 0 then return exit end
  put(o.to ~= "" and ("next: look at %s; mend a wrong caption in a .txt beside its picture: that one wins"):format(o.to)
    or "next: mend a wrong caption in its .txt: that one wins")
  put(o.beside and "the captions stand beside the pictures; trainers read them there" or
    "a recipe with this :caption line asks nobody again; beside=yes writes name.txt beside each picture")
  return 0
end

return M
