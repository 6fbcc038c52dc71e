-- command.lua - what the command line does with recipes. Each function returns an exit code or raises an error with its place.
--
--   command.run { file = "recipe.lua", params = { steps = "800" } }    --> 0
local environment = require "recipe.environment"
local fs = require "native.fs"
local json = require "native.json"
local log = require "native.log"
local schema = require "recipe.schema"
local script = require "native.script"
local sessions = require "recipe.session"
local set = require "recipe.set"
local show = require "recipe.show"
local stage = require "recipe.stage"
local tally = require "caption.tally"

local M = {}

local CHECK_SECONDS = 2

local function print_line(text) io.stdout:write(text, "\n") end

-- The file that is there and was meant.
local function meant(file)
  if not file:find "%.lua$" and select(3, fs.grant(file .. ".lua", "read")) ~= "NOTFOUND" then return file .. ".lua" end
  return fs.nearest(file)
end

--- Compile and evaluate a recipe: stages and sinks are known afterwards, nothing was computed.
function M.read(options, mode)
  local file = options.file
  local text, ok, message, code = options.text, nil, nil, nil
  if not text then ok, message, code = fs.grant(file, "read") end
  if ok then text, message, code = fs.read(file) end
  if not text then
    script.fail { source = false,
      message = code == "NOTFOUND" and "there is no recipe " .. file or ("the recipe cannot be read: %s"):format(message), exit = code == "DENIED" and 3 or 2,
      hint = code == "NOTFOUND" and meant(file) and ("did you mean %s?"):format(meant(file))
        or code ~= "NOTFOUND" and code ~= "DENIED" and ("a recipe is a Lua file; calotype show %s tells what this is"):format(file) or nil }
  end
  if text:find("\0", 1, true) and text:sub(1, 1) ~= "\27" then
    script.fail { message = ("%s is no recipe: it holds bytes that are no text"):format(file), source = false, exit = 2,
      hint = ("a recipe is a Lua file; calotype show %s tells what this is"):format(file) }
  end
  local env, session = environment.new { mode = mode, file = file, params = options.params, store = options.store, fresh = options.fresh, say = options.say,
    again = options.again }
  local fn, problem = script.load(text, "@" .. file, env)
  if not fn then
    script.fail { message = problem.message, source = file, line = problem.line, column = problem.column, width = problem.width, exit = 2 }
  end
  if mode == "run" then
    fn()
  else
    -- A recipe that works with pictures as values is checked up to there.
    local results = table.pack(script.call(script.limit, CHECK_SECONDS, fn))
    if not results[1] and not session.stopped_at then error(results[2], 0) end
  end
  session:finish_reading()
  return session
end

local function permissions(session)
  local by = { read = {}, write = {} }
  if session.allow then
    by.read, by.write = session:roots "read", session:roots "write"
  else
    for _, want in ipairs(session.inferred) do table.insert(by[want.rights], want.path) end
  end
  by.read = table.move(by.read, 1, #by.read, 1, {})
  for i, path in ipairs(by.read) do
    if select(3, fs.grant(path, "read")) == "NOTFOUND" then by.read[i] = path .. " (is not there)" end
  end
  local function text(list) return #list > 0 and table.concat(list, ", ") or "nothing" end
  return text(by.read), text(by.write), by
end

-- The folder that holds all of them; "." when they lie in several.
local function common_folder(paths)
  local common
  for _, path in ipairs(paths) do
    local folder = path:match "^(.*)/[^/]*$" or "."
    common = common or folder
    while common ~= "." and folder ~= common and folder:sub(1, #common + 1) ~= common .. "/" do common = common:match "^(.*)/[^/]*$" or "." end
  end
  return common
end

-- What is written, in a few words; `info` lists it.
local function short(paths, outputs)
  if #paths <= 2 then return #paths > 0 and table.concat(paths, ", ") or "nothing" end
  local folder, count = common_folder(paths), set.count(outputs, "output")
  if folder ~= "." then return ("%s below %s"):format(count, folder == "" and "/" or folder) end
  local tops, seen = {}, {}
  for _, path in ipairs(paths) do
    local top = path:match "^/?[^/]+"
    if not seen[top] then tops[#tops + 1] = top end
    seen[top] = true
  end
  return ("%s in %s"):format(count, table.concat(tops, ", "))
end

--- A recipe that makes nothing is a mistake.
function M.need_sink(session)
  if #session.sinks > 0 or #session.stages == 0 then return end
  local last = stage.state(session.stages[#session.stages])
  session:fail(last.at, "this recipe produces nothing: no :export, :report, :sheet, :preview, :samples or :expect follows",
    { exit = 2, hint = 'end with an output, for example :sheet { to = "out/sheet.png" }' })
end

-- The first lines of a run: the device alone, then what is run, on what.
local function title(session, options)
  local name = session.name and session.name .. (session.header and session.header.version and " " .. session.header.version or "")
  local given = {}
  for _, row in ipairs(session.list) do if row.given then given[#given + 1] = row.name .. "=" .. schema.show(row.value) end end
  local reads, _, by = permissions(session)
  local parts = { options.file, #given > 0 and table.concat(given, " ") or nil }
  if name then table.insert(parts, 1, name) end
  parts[#parts + 1] = "reads " .. reads
  parts[#parts + 1] = "writes " .. short(by.write, #session.outputs)
  local devices, seen = {}, {}
  for _, made in ipairs(session.stages) do
    local state = stage.state(made)
    if state.verb.device then
      local _, device = session:device(state.options.device, state.at)
      if not seen[device] then devices[#devices + 1] = device end
      seen[device] = true
    end
  end
  if #devices > 0 then session:say("on " .. table.concat(devices, " and ")) end
  session:say(table.concat(parts, "   "))
end

-- Expectations first: nothing is written when one fails.
local function evaluate_sinks(session)
  for pass = 1, 2 do
    for _, sink in ipairs(session.sinks) do
      if (stage.state(sink).verb.name == "expect") == (pass == 1) then stage.evaluate(sink) end
    end
  end
end

-- What the services that were asked gave, took and cost: for people, and as a text that the run is remembered with.
local function told_services(session)
  local names, lines = {}, {}
  for name in pairs(session.asked or {}) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    lines[i] = tally.text(session.asked[name])
    session:say("  " .. lines[i])
  end
  return table.concat(lines, "\n")
end

--- Run a recipe.
---@param options { file: string, params?: table<string, string>, store?: string, fresh?: boolean, say?: fun(line: string), put?: fun(line: string) }
---@return integer exit
function M.run(options)
  local began = log.clock()
  local session = M.read(options, "run")
  M.need_sink(session)
  if #session.sinks == 0 then return 0 end
  title(session, options)
  local store = session:store()
  local run = store:start_run { recipe = options.file, params = json.encode(session:values()) }
  local ok, fault = script.call(evaluate_sinks, session)
  local services_told = told_services(session)
  if ok then
    store:finish_run(run, "ok", services_told)
  else -- what went wrong first is what is told, also where the store cannot take that any more
    sessions.native_store(store):finish_run(run, fault.exit == 130 and "interrupted" or "failed", tostring(fault.message or fault))
  end
  session:close()
  if not ok and fault.exit == 130 then
    local again = "go on with: " .. session:again()
    local told = fault.hint and fault.hint:find(session:again(), 1, true)
    script.fail { message = fault.message == "interrupted" and "stopped" or fault.message, source = false, exit = 130,
      hint = fault.hint or again, notes = fault.hint and not told and { again } or nil }
  end
  if not ok then error(fault, 0) end
  local new, same = 0, 0
  for _, output in ipairs(session.written) do if output.new then new = new + 1 else same = same + 1 end end
  local seconds = log.duration(log.clock() - began)
  if new == 0 and same > 0 then
    local which = same == 1 and "the output is" or same == 2 and "both outputs are" or ("all %d outputs are"):format(same)
    session:say(("%s: %s unchanged   %s"):format(session.trained and "done: trained again" or "nothing to do", which, seconds))
  else
    session:say(("done: %s written%s   %s"):format(set.count(new, "output"), same > 0 and (", %d unchanged"):format(same) or "", seconds))
  end
  for _, text in ipairs(session.findings) do (options.put or print_line)(text) end
  return 0
end

--- Check a recipe: syntax, options, parameters, paths, permissions. Touches no pixel and no network and writes nothing.
---@param options { file: string, params?: table<string, string>, put?: fun(line: string) }
---@return integer exit
function M.check(options)
  local put = options.put or print_line
  local session = M.read(options, "check")
  M.need_sink(session)
  require("caption.known").check(session)
  for _, warning in ipairs(session.warnings) do
    put(("warning: %s%s"):format(warning.at and warning.at.line and ("%s:%d: "):format(warning.at.source, warning.at.line) or "", warning.text))
  end
  for _, note in ipairs(session.notes) do put("note: " .. note) end
  if session.stopped_at then
    put(("%s: fine up to line %d, where it works with pictures itself"):format(options.file, session.stopped_at.line))
  elseif #session.stages == 0 then
    put(("%s: fine: a script without pictures"):format(options.file))
  else
    put(("%s: fine: %s, %s%s"):format(options.file, set.count(#session.stages, "step"), set.count(#session.sinks, "output"),
      #session.warnings > 0 and ", " .. set.count(#session.warnings, "warning") or ""))
  end
  return 0
end

--- Print what a recipe is: header, parameters, permissions, steps, outputs.
---@param options { file: string, params?: table<string, string>, put?: fun(line: string) }
---@return integer exit
function M.info(options)
  local put = options.put or print_line
  local session = M.read(options, "info")
  put(("%s%s"):format(session.name and session.name .. "   " or "", options.file))
  local header = session.header or {}
  for _, key in ipairs { "about", "author", "license", "version", "needs" } do
    if header[key] then put(("  %-9s %s"):format(key, header[key])) end
  end
  if #session.modules > 0 then put("  requires  " .. table.concat(session.modules, ", ")) end
  if #session.list > 0 then
    put "parameters"
    for _, row in ipairs(session.list) do
      local range, kind = schema.range_text(row), row.kind
      if range then kind = kind .. ", " .. range end
      if row.choices then kind = kind .. ": " .. table.concat(row.choices, ", ") end
      put(("  %-14s %s%s  %s%s"):format(row.name, row.value == nil and "(none)" or schema.show(row.value),
        row.given and ("  (default %s)"):format(schema.show(row.default)) or "", kind, row.help and "  " .. row.help or ""))
    end
  end
  local reads, writes = permissions(session)
  put(session.allow and "may touch (from its header)" or "touches (inferred; it has no `allow`)")
  put("  reads     " .. reads)
  put("  writes    " .. writes)
  if session.stopped_at and not session.allow then
    put(("  and what its own code names from line %d on: that is known when it runs"):format(session.stopped_at.line))
  end
  if session.allow then
    if #session.allow.net > 0 then put("  asks      " .. table.concat(session.allow.net, ", ")) end
    local spending = {}
    for provider, amount in pairs(session.allow.spend or {}) do spending[#spending + 1] = ("%s up to $%.2f"):format(provider, amount.usd) end
    table.sort(spending)
    if #spending > 0 then put("  spends    " .. table.concat(spending, ", ")) end
    if session.allow.gpu then put "  uses      the device" end
  end
  if not session.allow and #session.asks > 0 then put("  asks      " .. table.concat(session.asks, ", ")) end
  if session.uses_device and not session.allow then put "  uses      the device" end
  if #session.sinks > 0 then
    put "makes"
    for _, sink in ipairs(session.sinks) do
      local state = stage.state(sink)
      local to = state.options.to or (state.options.beside and "captions beside the pictures") or ""
      put(("  %-9s %s%sfrom %s"):format(state.verb.name, to, to == "" and "" or "   ", stage.describe(state.inputs[1])))
    end
  end
  return 0
end

--- Show a picture, zip, caption, LoRA or folder.
---@param path string
---@param all? boolean every tensor, every line of metadata
---@return integer exit
function M.show(path, all)
  local ok, message, code = fs.grant(path, "read")
  if ok then ok, message, code = show.path(path, print_line, all)
  elseif code == "DENIED" then ok = show.store((path:gsub("/+$", ""):gsub("/?store%.db$", "")), print_line) end
  if not ok then
    local near = code == "NOTFOUND" and fs.nearest(path)
    script.fail { message = message, source = false, exit = code == "DENIED" and 3 or code == "NOTFOUND" and 2 or 1,
      hint = near and ("did you mean %s?"):format(near) or nil }
  end
  return 0
end

--- The globals of the prompt: the same language; a set of pictures is computed when it is shown, outputs are written at once.
---@param options? { store?: string, say?: fun(line: string) }
---@return table env
function M.repl_env(options)
  options = options or {}
  local env = environment.new { mode = "live", store = options.store, say = options.say }
  return env
end


return M
