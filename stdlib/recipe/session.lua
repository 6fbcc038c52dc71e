-- session.lua - one reading of a recipe: its header and parameters, what it may touch, its sinks, and the account of the run.
--
--   local session = session.new { mode = "run", file = "recipe.lua", params = { steps = "800" } }
--
-- Modes: "run"; "check" and "info" (nothing is computed, nothing is written); "plan" (pictures are looked at, nobody is asked, no output
-- is written); "live" (the prompt: sinks run at once).
local cache = require "hub.cache"
local fs = require "native.fs"
local json = require "native.json"
local log = require "native.log"
local place = require "recipe.place"
local schema = require "recipe.schema"
local script = require "native.script"
local store = require "native.store"
local suggest = require "recipe.suggest"
local system = require "native.system"

local M = {}
local Session = {}
Session.__index = Session

---@param options { mode: string, file?: string, params?: table<string, string>, store?: string, fresh?: boolean, say?: fun(text: string) }
function M.new(options)
  local self = setmetatable({
    mode = options.mode or "run", live = options.mode == "live", file = options.file, command = options.again, given = options.params or {},
    reads_only = options.mode == "check" or options.mode == "info" or options.mode == "plan",
    store_folder = options.store or script.env "CALOTYPE_STORE" or ".calotype", fresh = options.fresh,
    sinks = {}, stages = {}, outputs = {}, warnings = {}, warned = {}, notes = {}, inferred = {}, list = {}, written = {}, known = {},
    modules = {}, findings = {}, bases = {}, asks = {}, stood = {}, began = {},
    to = options.say or function(text) log.say("info", text) end,
  }, Session)
  return self
end

--- A line of the account, for people.
function Session:say(text) if self.mode == "run" or self.live then self.to(text) end end

-- How many columns a text takes, as far as letters take one.
local function wide(text) return utf8.len(text) or #text end

-- "images examples/shapes/pictures" -> "images .../pictures": a long path keeps its last folders, whole where one fits.
local function short_label(label)
  if wide(label) <= 24 then return label end
  local first = label:match "^%S+"
  local room = 20 - #first
  local tail = label:sub(utf8.len(label) and utf8.offset(label, -math.max(1, room)) or -math.max(1, room))
  return ("%s ...%s"):format(first, tail:match "/.*[^/].*$" or tail)
end

--- "  reject              33 kept, 3 rejected                     0.1 s"
function Session:account(label, text, seconds)
  label = short_label(label)
  self:say(("  %s%s  %s%s"):format(label, (" "):rep(24 - wide(label)), text, seconds >= 0.05 and "   " .. log.duration(seconds) or ""))
end

--- Something a person should know; said once.
function Session:warn(text, at, kind)
  local where = place.text(at)
  if self.warned[text .. (where or "")] then return end
  self.warned[text .. (where or "")] = true
  self.warnings[#self.warnings + 1] = { text = text, at = at, kind = kind }
  if self.mode == "run" and kind then return end -- what `check` says is not repeated by every run
  if not self.reads_only then log.say("warning", (where and where .. ": " or "") .. text) end
end

--- What the run found out, in a line: its last ones, on stdout, so that they can be piped.
function Session:finding(text)
  self.findings[#self.findings + 1] = text
  if self.live then self.to(text) end
end

--- Something worth knowing that `check` and `plan` print.
function Session:note(text) if self.mode == "check" or self.mode == "plan" then self.notes[#self.notes + 1] = text end end

--- Raise an error of the recipe at its place. more.world: about files, not about the text (`info` goes on without them); more.code = "DENIED"
--- ends with 3.
function Session.fail(_, at, message, more)
  more = more or {}
  more.exit = more.exit or (more.code == "DENIED" and 3) or 2
  place.fail(at, message, more)
end

--- What schema.read needs to know of this recipe.
function Session:reading(at)
  return {
    at = at,
    param = function(name)
      for _, row in ipairs(self.list) do if row.name == name then return row.value end end
    end,
    names = function()
      local names = {}
      for i, row in ipairs(self.list) do names[i] = row.name end
      return names
    end,
    is_stage = require("recipe.stage").is,
    stage_kind = require("recipe.stage").kind,
  }
end

-- A word as a shell takes it.
local function shell_word(text)
  return text:find "[^%w_./=,:@%%+-]" and "'" .. text:gsub("'", "'\\''") .. "'" or text
end

--- The command that goes on with this run.
function Session:again()
  if self.command then return self.command end
  local parameters = {}
  for key, value in pairs(self.given) do parameters[#parameters + 1] = " -p " .. shell_word(key .. "=" .. value) end
  table.sort(parameters)
  return "calotype run " .. shell_word(self.file or "recipe.lua") .. table.concat(parameters)
end

--- Ctrl-C: stop between steps; what is done is kept.
function Session:poll(at)
  if script.interrupted() > 0 then self:fail(at, "stopped", { exit = 130 }) end
end

-- --- Header and permissions -------------------------------------------------------------------------------------------

local header_schema = schema.define {
  name = "recipe", kind = "function", doc = "What the recipe is, for those it is shared with. Optional.",
  example = 'recipe "watercolour" { about = "...", author = "...", license = "MIT", version = "1.0" }',
  options = {
    { "about", "text", doc = "one line: what comes in and what comes out" },
    { "author", "text", doc = "who wrote it" },
    { "license", "text", doc = "of the recipe, as SPDX names it: MIT, CC0-1.0" },
    { "version", "text", doc = "of the recipe" },
    { "needs", "text", doc = "the oldest calotype that can run it: \">=0.1\"" },
    { "allow", "table", doc = "all it may touch: { read = { ... }, write = { ... }, net = { ... }, spend = { ... }, gpu = true }" },
  },
}
local allow_schema = schema.define {
  name = "allow", kind = "function", doc = "What a recipe may touch. When it is written down, nothing else is allowed.",
  options = {
    { "read", "list", of = "any", default = {}, doc = "folders and files it reads" },
    { "write", "list", of = "any", default = {}, doc = "folders and files it writes" },
    { "net", "list", of = "text", default = {}, doc = "providers it asks" },
    { "spend", "table", doc = "the most it may spend with each provider: { gemini = usd(0.50) }" },
    { "gpu", "boolean", default = false, doc = "may it use the device" },
  },
}
M.header_schema, M.allow_schema = header_schema, allow_schema

local function version_numbers(text)
  local numbers = {}
  for digits in text:gmatch "%d+" do numbers[#numbers + 1] = tonumber(digits) end
  return numbers
end

local function at_least(have, want)
  for i = 1, math.max(#have, #want) do
    if (have[i] or 0) ~= (want[i] or 0) then return (have[i] or 0) > (want[i] or 0) end
  end
  return true
end

--- recipe "name" { header }
function Session:declare(name, header, at)
  if self.header then self:fail(at, "a recipe has one header", { hint = "the first is in line " .. tostring(self.header_at.line) }) end
  if #self.stages > 0 then self:fail(at, "the header comes first", { hint = "move recipe \"...\" { } to the top" }) end
  self.name, self.header_at = name, at
  self.header = schema.read(header_schema, header, { at = at })
  local needs = self.header.needs
  if needs then
    local wanted, have = needs:match "^>=%s*([%d%.]+)$", script.versions().calotype
    if not wanted then self:fail(at, ("option 'needs' of recipe is %q"):format(needs), { key = "needs", value = true, hint = 'write needs = ">=0.1"' }) end
    if not at_least(version_numbers(have), version_numbers(wanted)) then
      self:fail(at, ("this recipe needs calotype %s; this is %s"):format(needs, have), { key = "needs", value = true, hint = "update calotype" })
    end
  end
  if self.header.allow then
    self.allow = schema.read(allow_schema, self.header.allow, { at = { source = at.source, line = at.line, name = "recipe" } })
    for provider, amount in pairs(self.allow.spend or {}) do
      if type(amount) ~= "table" or type(amount.usd) ~= "number" then
        self:fail(at, ("spend for %s is %s without a unit"):format(tostring(provider), schema.show(amount)),
          { key = provider, value = true, hint = ("write usd(%s)"):format(schema.show(amount)) })
      end
    end
  end
end

-- Files to be written are granted through their folder: a root that is not there yet becomes a folder. `folder`: what the path will be;
-- nil where only its name can tell.
local function writable_root(path, folder)
  local info = fs.stat(path)
  if folder or info and info.kind == "folder" or folder == nil and not path:find "%.%w+$" then return path end
  return path:match "^(.+)/[^/]*$" or (path:sub(1, 1) == "/" and "/" or ".")
end

-- The declared roots, once the parameters are known.
function Session:roots(rights)
  local key = rights .. "_roots"
  if self[key] then return self[key] end
  local roots, at = {}, self.header_at
  for _, path in ipairs(self.allow[rights]) do
    local text, complaint, hint = schema.value({ type = "path" }, path, self:reading(at))
    if not text then self:fail(at, ("allow.%s %s"):format(rights, complaint), { text = path, hint = hint }) end
    roots[#roots + 1] = text
    local ok, message, code = fs.grant(rights == "write" and writable_root(text) or text, rights)
    if not ok and rights == "write" then self:fail(at, ("%s cannot be granted: %s"):format(text, message), { text = path, code = code }) end
  end
  self[key] = roots
  return roots
end

local function contains(root, path)
  root, path = fs.absolute(root), fs.absolute(path)
  return root and path and (root == path or root == "/" or path:sub(1, #root + 1) == root .. "/")
end

--- True when the header allows the path, or has no `allow`.
function Session:allowed(path, rights)
  if not self.allow then return true end
  for _, right in ipairs { "read", "write" } do
    if right == rights or right == "write" then
      for _, root in ipairs(self:roots(right)) do if contains(root, path) then return true end end
    end
  end
  return false
end

-- What a base is made of is not written over: it may be gigabytes, and not to be had again.
local function check_not_in_base(self, base, path, at, key)
  if contains(base, path) then
    self:fail(at, ("%s would lie in the base %s"):format(path, base), { key = key, value = true, text = path, hint = "write it elsewhere" })
  end
end

--- The recipe wants to read a base here; no output may lie in it, whichever comes first.
function Session:permit_base(path, at, key)
  path = cache.root(path)
  self:permit(path, "read", at, key)
  for _, want in ipairs(self.inferred) do
    if want.rights == "write" then check_not_in_base(self, path, want.path, want.at) end
  end
  table.insert(self.bases, path)
end

--- The recipe wants to read or write here. Refused with 3 when its header does not say so; inferred when it has no `allow`.
--- What will be written (as a `folder`) must be writable now: nobody trains for hours to learn that it is not.
function Session:permit(path, rights, at, key, folder)
  if not self:allowed(path, rights) then
    local top = path:find "/%.%./" and (fs.absolute(path) or path):match "^(.+)/" or path:match "^([^/]+)/" or path
    self:fail(at, ("the recipe's header does not allow it to %s %s"):format(rights, path),
      { exit = 3, key = key, value = true, text = not key and path or nil, hint = ("add it: allow = { %s = { %q } }"):format(rights, top) })
  end
  if rights == "write" and key and self.mode ~= "info" then
    local ok, message, code = fs.writable(path, folder)
    if not ok then
      self:fail(at, message, { key = key, value = true, code = code, world = true, hint = code == "ARG" and "rename it, or name another folder"
        or "let yourself write there, or name another folder" })
    end
  end
  for _, base in ipairs(rights == "write" and self.bases or {}) do check_not_in_base(self, base, path, at, key) end
  local mark = rights .. " " .. path
  if self.inferred[mark] then return end
  self.inferred[mark] = true
  table.insert(self.inferred, { rights = rights, path = path, at = at })
  if self.allow or (self.reads_only and rights == "write") then return end
  local ok, message, code = fs.grant(rights == "write" and writable_root(path, folder) or path, rights)
  if not ok and not (rights == "read" and code == "NOTFOUND") then
    self:fail(at, message, { key = key, value = true, text = path, code = code, world = true })
  end
end

--- The recipe wants to ask a service. Refused with 3 when its header does not say so.
function Session:permit_net(name, at)
  local allowed = not self.allow
  for _, known in ipairs(self.allow and self.allow.net or {}) do allowed = allowed or known == name end
  if not allowed then
    self:fail(at, ("the recipe's header does not allow it to ask %s"):format(name), { exit = 3, hint = ('add it: allow = { net = { "%s" } }'):format(name) })
  end
  if not self.asks[name] then table.insert(self.asks, name) end
  self.asks[name] = true
end

--- The recipe wants the device. Refused with 3 when its header does not say so.
function Session:permit_device(at)
  if self.allow and not self.allow.gpu then
    self:fail(at, "the recipe's header does not allow it to use the device", { exit = 3, hint = "add it: allow = { gpu = true }" })
  end
  self.uses_device = true
end

--- For `check`: a device that a step or one of its providers names must be there. It is looked for in the drivers' list, none is opened; where
--- there is no driver at all, that is a warning: the recipe may be meant for another machine. A run looks when it needs the device: captions that
--- are known need none.
function Session:check_devices(state)
  local is_stage = require("recipe.stage").is
  local function look(options)
    for key, value in pairs(options) do
      if key == "device" and type(value) == "string" then
        local name, message, code = system.device(value)
        if code == "NOTFOUND" then
          self:fail(state.at, message, { key = "device", value = true, code = code, world = true,
            hint = "take one of them, by a part of its name or as \"gpu\" or \"cpu\"; left out, the best is taken" })
        end
        if not name then self:warn(message, state.at, "device") end
      elseif type(value) == "table" and not is_stage(value) then
        look(value.provider and value.options or value)
      end
    end
  end
  look(state.options)
end

--- The device that fits a wish ("gpu", "cpu", a part of a name; nil: a GPU, else what there is), opened once.
---@return userdata device, string name as the first line of a run says it
function Session:device(wish, at)
  local key = wish or ""
  self.devices = self.devices or {}
  local known = self.devices[key]
  if not known then
    local opened, message, code = require("native.device").open { wish = wish }
    if not opened then
      self:fail(at, message, { exit = 1, key = wish and "device", value = true, code = code,
        hint = (wish and "without `device` the best is taken, a part of a name chooses one; " or "") .. "`calotype doctor` shows which devices there are" })
    end
    local info = opened:info()
    local name = info.name
    if info.cpu then name = name .. (wish and " (a CPU)" or " (a CPU: no GPU was found)") end
    known = { device = opened, name = name, memory = info.memory }
    self.devices[key] = known
  end
  return known.device, known.name, known.memory
end

--- The sink writes beside the input pictures: their folders must be writable.
function Session:permit_inputs(state)
  local stage = require "recipe.stage"
  for _, input in ipairs(state.inputs) do
    for _, step in ipairs(stage.lineage(input)) do
      local from = stage.state(step)
      for _, path in ipairs(from.verb.name == "images" and from.options.from or {}) do
        local info = fs.stat(path)
        self:permit(path, "write", state.at, "beside", info and info.kind == "folder")
      end
    end
  end
end

-- --- Stages, sinks, outputs -------------------------------------------------------------------------------------------

function Session:add(stage) self.stages[#self.stages + 1] = stage end

function Session:sink(sink)
  self.sinks[#self.sinks + 1] = sink
  if self.live then require("recipe.stage").evaluate(sink) end
end

--- A stage will write here: nothing is written twice, not by two stages of one line either, nor by one line that is run again.
function Session:output(path, state)
  local absolute = fs.absolute(path) or path
  local other = self.outputs[absolute]
  if other and not self.live then
    local where, here = place.text(other), place.text(state.at)
    self:fail(state.at, ("%s is written twice"):format(path), { key = "to", value = true,
      hint = where == here and "this line has written it before: in a loop, put what changes into the name" or ("%s writes it too"):format(where) })
  end
  self.outputs[absolute] = state.at
  table.insert(self.outputs, { path = path, verb = state.verb.name, at = state.at })
end

function Session:wrote(path, bytes, new) self.written[#self.written + 1] = { path = path, bytes = bytes, new = new } end

-- A store whose refusals (a full disk, a damaged file) end the run with their sentence.
local Checked = {}
Checked.__index = function(_, name)
  return function(self, ...)
    local results = table.pack(self.native[name](self.native, ...))
    if results[1] == nil and results[2] then
      script.fail { message = "the store cannot go on: " .. results[2], exit = results[3] == "INTERRUPT" and 130 or 1 }
    end
    return table.unpack(results, 1, results.n)
  end
end

-- dataset.scan wants the native store itself.
function M.native_store(checked) return rawget(checked, "native") end

--- The project's store, opened at first need.
function Session:store()
  if not self.opened then
    local native, message, code = store.open(self.store_folder)
    if not native then
      script.fail { message = ("the store %s cannot be opened: %s"):format(self.store_folder, message),
        exit = code == "BUSY" and 75 or code == "DENIED" and 3 or 1,
        hint = "set CALOTYPE_STORE=FOLDER to keep it elsewhere" }
    end
    self.opened = setmetatable({ native = native }, Checked)
  end
  return self.opened
end

function Session:close()
  for _, known in pairs(self.devices or {}) do known.device:close() end
  self.devices = nil
  if self.opened then
    self.opened.native:close()
    self.opened = nil
  end
end

--- The parameters' values by name, as JSON can hold them.
function Session:values()
  local values = {}
  for _, row in ipairs(self.list) do values[row.name] = row.value == nil and json.null or row.value end
  return values
end

--- After the recipe was read: overrides that nobody declared, a header that allows too much.
function Session:finish_reading()
  local names = {}
  for i, row in ipairs(self.list) do names[i] = row.name end
  local given = {}
  for name in pairs(self.given) do given[#given + 1] = name end
  table.sort(given)
  for _, name in ipairs(given) do
    local found = false
    for _, row in ipairs(self.list) do found = found or row.name == name end
    if not found then
      local near = suggest.closest(name, names)
      local hint = near and ("did you mean '%s'?"):format(near) or #names > 0 and "the recipe has " .. table.concat(names, ", ")
        or ("the recipe declares none: params { %s = { ... } }"):format(name)
      script.fail { message = ("no parameter '%s'"):format(name), exit = 2, source = false, hint = hint }
    end
  end
  if self.allow then
    self:roots "read"
    self:roots "write"
    for _, rights in ipairs { "read", "write" } do
      for _, root in ipairs(self:roots(rights)) do
        local used = false
        for _, want in ipairs(self.inferred) do
          local right = want.rights == rights or rights == "read"
          used = used or (right and (contains(root, want.path) or contains(want.path, root)))
        end
        if not used then self:warn(("allow.%s has %s, which nothing in the recipe uses"):format(rights, root), self.header_at, "allow") end
      end
    end
  end
end

return M
