-- session.lua - one reading of a recipe: its header and parameters, what it may touch, its sinks, and the account of the run.
--
--   local session = session.new { mode = "run", file = "recipe.lua", params = { steps = "800" } }
--
-- Modes: "run"; "check" and "info" (nothing is computed, nothing is written); "plan" (pictures are looked at, nobody is asked, no output
-- is written); "live" (the prompt: sinks run at once).
local fs = require "native.fs"
local header = require "recipe.header"
local json = require "native.json"
local log = require "native.log"
local permissions = require "recipe.permissions"
local place = require "recipe.place"
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

-- What it may touch stands in permissions.lua.
Session.declare = header.declare
for name, method in pairs(permissions) do Session[name] = method end

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
  if self.allow then self:warn_of_unused() end
end

return M
