-- get.lua - `calotype get hf:OWNER/NAME`: a model from Hugging Face's hub, whole and checked, or a part to go on from.
--
--   get.run { words = { "hf:owner/name@main:vae/*" }, params = { to = "models/vae" } }    --> 0
local choose = require "hub.choose"
local fs = require "native.fs"
local hubs = require "native.hub"
local json = require "native.json"
local log = require "native.log"
local script = require "native.script"
local source = require "hub.source"
local suggest = require "recipe.suggest"

local M = {}

M.help = [[
calotype get hf:OWNER/NAME[@REVISION][:FILES] [to=FOLDER] [variant=fp16] [list=yes]

  hf:OWNER/NAME          what a diffusers or transformers folder needs, safetensors first; into models/NAME
  @REVISION              a branch, a tag or a commit; otherwise main
  :FILES                 one file, or all that fit: 'hf:owner/name:vae/*'; * stands for any letters, ? for one; quote it for the shell
  to=FOLDER              where to
  variant=fp16           weights in half precision where there are some
  list=yes               only show what would be fetched

Ctrl-C keeps what has come; the same command goes on there. Every file is checked by its hash before it has its name, and what is there and right is
not fetched again. calotype.json in the folder says where it came from; calotype models ls lists such folders.
HF_TOKEN, in the environment or in .env, is the key for gated and private models; HF_ENDPOINT is the address of a mirror.]]

local SETTINGS = { "to", "variant", "list" }
local LONG = 1000000000 -- bytes that take a while to read
local PAGES = 1000 -- of a list: 1,000,000 files
local MOST = 1 << 50 -- bytes in all: more than any repository has, and sums of it are exact

local EXITS = { INTERRUPT = 130, BUSY = 75, NETWORK = 75, DENIED = 3, NOTFOUND = 2, ARG = 2 }
local function fail(message, hint, exit) script.fail { message = message, hint = hint, source = false, exit = exit or 2 } end
local function refuse(message, code, hint) fail(message, hint, EXITS[code] or 1) end

-- What was asked for: { repository =, revision = nil or text, pattern = nil or text }
local function parse(word)
  local rest = word:match "^hf:(.+)$" or word:match "^https://huggingface%.co/(.+)$"
  if not rest then
    local near = word:find "^[%w%-_.]+/[%w%-_.]+" and "hf:" .. word or nil
    fail(("'%s' does not say where from"):format(word), near and ("did you mean %s?"):format(near) or "calotype get hf:OWNER/NAME")
  end
  local repository, revision, pattern = rest, nil, nil
  if repository:find ":" then repository, pattern = repository:match "^([^:]*):(.*)$" end
  if repository:find "@" then repository, revision = repository:match "^([^@]*)@(.*)$" end
  repository = repository:gsub("/+$", "")
  if repository:find "^datasets/" or repository:find "^spaces/" then
    fail(("'%s' is no model"):format(repository), "models are fetched; datasets and spaces are not")
  end
  local fine = false
  for _, shape in ipairs { "^[%w][%w%-_.]*$", "^[%w][%w%-_.]*/[%w][%w%-_.]*$" } do fine = fine or repository:find(shape) ~= nil end
  if not fine or repository:find("..", 1, true) then
    fail(("'%s' is no name of a repository"):format(repository), "hf:OWNER/NAME, as its page's address ends")
  end
  if revision == "" or pattern == "" then fail(("'%s' ends too early"):format(word), "calotype help get shows how it is written") end
  return { repository = repository, revision = revision, pattern = pattern }
end

local function settings(params)
  for name in pairs(params) do
    local known = false
    for _, setting in ipairs(SETTINGS) do known = known or setting == name end
    local near = not known and suggest.closest(name, SETTINGS)
    if not known then
      fail(("calotype get has no setting '%s'"):format(name), near and ("did you mean '%s'?"):format(near) or "it has " .. table.concat(SETTINGS, ", "))
    end
  end
  local list = params.list
  if list and list ~= "yes" and list ~= "no" then fail(("list is '%s'"):format(list), "list=yes or list=no") end
  if params.to == "" then fail "to= names no folder" end
  if params.variant and not params.variant:find "^[%w_]+$" then fail(("'%s' is no variant"):format(params.variant), "variant=fp16") end
  return list == "yes"
end

local function decode(text, what, message)
  local value, why = json.decode(text)
  if type(value) ~= "table" then refuse(("%s: %s: %s"):format(what, message, why or "not a list"), "NETWORK") end
  return value
end

-- What the hub knows of the repository: its commit, licence and gate.
local function about(hub, asked)
  local path = "/api/models/" .. hubs.escape(asked.repository, true)
  if asked.revision then path = path .. "/revision/" .. hubs.escape(asked.revision) end
  local text, message, code = hub:get(asked.repository, path)
  if not text then
    refuse(message, code, code == "NETWORK" and message:find("no network", 1, true)
      and ("with a network the same command goes on; the folder of another machine does as well, as models/%s"):format(asked.repository:match "[^/]+$") or nil)
  end
  local info = decode(text, asked.repository, "what the hub says of it cannot be read")
  local card = type(info.cardData) == "table" and info.cardData or {}
  local licence = card.license
  if licence == "other" and type(card.license_name) == "string" then licence = card.license_name end
  if type(info.sha) ~= "string" or not info.sha:find "^%x+$" then refuse(asked.repository .. ": the hub does not say which commit this is", "NETWORK") end
  return { commit = info.sha, licence = type(licence) == "string" and licence or nil, gated = info.gated and info.gated ~= json.null }
end

-- Every file of the commit: { path =, size =, hash = }
local function list(hub, asked, commit)
  local entries, pages, known, all = {}, {}, {}, 0
  local path = ("/api/models/%s/tree/%s?recursive=true"):format(hubs.escape(asked.repository, true), hubs.escape(commit))
  for page = 1, PAGES + 1 do
    if page > PAGES then refuse(asked.repository .. ": its list does not end", "NETWORK") end
    local text, following, code = hub:get(asked.repository, path)
    if not text then refuse(following, code) end
    for _, entry in ipairs(decode(text, asked.repository, "its list of files cannot be read")) do
      if type(entry) == "table" and entry.type == "file" then
        local lfs = type(entry.lfs) == "table" and entry.lfs or nil
        local size, hash = lfs and lfs.size or entry.size, lfs and lfs.oid or entry.oid
        if type(entry.path) ~= "string" or not hubs.path_ok(entry.path) then
          refuse(("%s: its list has a name that could lead out of the folder: %s"):format(asked.repository, tostring(entry.path)), "FORMAT",
            "nothing was fetched; look at the repository in a browser before using any of it")
        end
        if size == nil or size == json.null then size = 0 end
        if math.type(size) ~= "integer" or size < 0 or size > MOST - all then
          refuse(("%s: its list of files cannot be right: %s with %s bytes"):format(asked.repository, entry.path, tostring(size)), "NETWORK",
            "try again later, or look at the repository in a browser")
        end
        if type(hash) ~= "string" or not (hash:find "^[0-9a-f]+$" and (#hash == 64 or #hash == 40)) then hash = nil end
        if not known[entry.path] then entries[#entries + 1], all = { path = entry.path, size = size, hash = hash }, all + size end
        known[entry.path] = true
      end
    end
    if not following then return entries end
    if pages[following] then refuse(asked.repository .. ": its list goes in a circle", "NETWORK") end
    path, pages[following] = following, true
  end
end

local function count(n, word) return ("%d %s%s"):format(n, word, n == 1 and "" or "s") end

local function sum(entries)
  local bytes = 0
  for _, entry in ipairs(entries) do bytes = bytes + entry.size end
  return bytes
end

-- Is the file there and right? What is there and is not ours is never written over.
local function there(folder, entry, noted)
  local path = folder .. "/" .. entry.path
  local info = fs.stat(path)
  if not info then return false end
  if source.same(path, noted) and entry.hash and noted.hash == entry.hash then return true end
  if info.kind == "file" and info.size == entry.size and entry.hash then
    if info.size > LONG then log.say("info", ("reading %s, %s, to see whether it is right"):format(path, hubs.size(info.size))) end
    local right, message, code = hubs.check(path, entry.hash)
    if right then return true end
    if code ~= "FORMAT" then refuse(message, code) end
  end
  if source.same(path, noted) then return false end -- of another commit, and ours
  fail(("%s is there and is another file than that of the hub"):format(path), "move it away, or name another folder with to=", 1)
end

local function show(asked, info, folder, entries, left, missing)
  log.put(("hf:%s at %s%s -> %s"):format(asked.repository, info.commit:sub(1, 12), info.licence and ", licence " .. info.licence or "", folder))
  local width = 0
  for _, entry in ipairs(entries) do width = math.max(width, utf8.len(entry.path) or #entry.path) end
  local absent = {}
  for _, entry in ipairs(missing) do absent[entry] = true end
  for _, entry in ipairs(entries) do
    local pad = (" "):rep(math.min(width, 70) - (utf8.len(entry.path) or #entry.path))
    log.put(("  %s%s  %10s%s"):format(entry.path, pad, hubs.size(entry.size), absent[entry] and "" or "  is here"))
  end
  log.put(("%s, %s%s"):format(count(#entries, "file"), hubs.size(sum(entries)),
    #missing < #entries and ("; %s to fetch"):format(#missing == 0 and "nothing" or hubs.size(sum(missing))) or ""))
  if #left > 0 then
    local names = {}
    for i = 1, math.min(3, #left) do names[i] = left[i].path end
    log.put(("left out: %s of other formats or precisions, %s (%s%s)"):format(count(#left, "file"), hubs.size(sum(left)), table.concat(names, ", "),
      #left > 3 and " ..." or ""))
  end
end

local function enough_room(folder, missing)
  local free = hubs.room(folder)
  local need = sum(missing)
  for _, entry in ipairs(missing) do -- what parts of before have is on the disk already
    local parent, name = (folder .. "/" .. entry.path):match "^(.*)/([^/]*)$"
    for _, info in ipairs(fs.list(parent) or {}) do
      local file = info.path:match "[^/]*$"
      if file:sub(1, #name + 1) == name .. "." and file:find "%.part$" then need = need - math.min(info.size, entry.size) end
    end
  end
  if free and free < need then
    fail(("%s needs %s more, and only %s of the disk are free"):format(folder, hubs.size(need), hubs.size(free)), "to=FOLDER names one on another disk", 1)
  end
  return sum(missing) - need
end

local function fetch(hub, asked, info, folder, missing, noted)
  local kept = enough_room(folder, missing)
  if kept > 0 then log.put(("going on after %s"):format(hubs.size(kept))) end
  hub:expect(sum(missing), kept)
  for _, entry in ipairs(missing) do
    local path = folder .. "/" .. entry.path
    local done, message, code = hub:fetch { repository = asked.repository, revision = info.commit, path = entry.path, to = path, size = entry.size,
      hash = entry.hash }
    if not done then refuse(message, code) end
    if done.hash == "" then log.say("warning", path .. ": the hub gives no hash of it; only its size was checked") end
    noted.files[entry.path] = source.seen(path, done.hash)
    noted.commit, noted.date = info.commit, log.date()
    local ok, why, kind = source.write(folder, noted)
    if not ok then refuse(why, kind) end
  end
end

---@param options { words: string[], params: table<string, string> }
---@return integer exit
function M.run(options)
  if options.words[2] then
    fail(("one at a time: '%s' is one too many"):format(options.words[2]), "patterns with * stand in quotes: 'hf:owner/name:vae/*'")
  end
  local only_list = settings(options.params)
  local asked = parse(options.words[1])
  local folder = (options.params.to or "models/" .. asked.repository:match "[^/]*$"):gsub("(.)/+$", "%1")
  local granted, message, code = fs.grant(folder, "write")
  if not granted then refuse(message, code) end
  local ok
  ok, message, code = fs.writable(folder, true)
  if not ok and not only_list then refuse(message, code) end
  local noted, broken = source.read(folder)
  if broken then fail(broken, "move that file away, or name another folder with to=", 1) end
  local from = "hf:" .. asked.repository
  if noted and noted.from ~= from then fail(("%s holds %s"):format(folder, noted.from), "name another folder with to=", 1) end

  local hub <close>, why, kind = hubs.open()
  if not hub then refuse(why, kind) end
  if hub:note() then log.say("warning", hub:note()) end
  local info = about(hub, asked)
  local entries = list(hub, asked, info.commit)
  local chosen, left, hint = choose.files(entries, { pattern = asked.pattern, variant = options.params.variant })
  if not chosen then fail(("%s: %s"):format(from, left), hint) end
  noted = noted or { from = from, files = {} }
  noted.address, noted.licence = hub:address(), info.licence
  local missing = {}
  for _, entry in ipairs(chosen) do
    if entry.path == source.NAME then fail(("%s: it has a file %s, which is calotype's own"):format(from, source.NAME), nil, 1) end
    if only_list and not fs.stat(folder) or not there(folder, entry, noted.files[entry.path]) then missing[#missing + 1] = entry end
  end
  show(asked, info, folder, chosen, left, missing)
  if info.gated and not hub:key() then
    log.say("warning", ("it is gated: accept its terms at %s/%s and put HF_TOKEN=... into the environment or .env"):format(hub:address(), asked.repository))
  end
  if only_list then return 0 end
  fetch(hub, asked, info, folder, missing, noted)
  if #missing == 0 then log.put(("%s has all of it already"):format(folder))
  else log.put(("%s is here, checked by hash"):format(folder)) end
  return 0
end

return M
