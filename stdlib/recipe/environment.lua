-- environment.lua - the globals of a recipe: the safe libraries and the language. Strict and read-only.
--
--   local env, session = environment.new { mode = "run", file = "recipe.lua" }
--   script.load(text, "@recipe.lua", env)()
local fs = require "native.fs"
local image = require "native.image"
local params = require "recipe.params"
local place = require "recipe.place"
local providers = require "recipe.providers"
local schema = require "recipe.schema"
local script = require "native.script"
local sessions = require "recipe.session"
local stage = require "recipe.stage"
local suggest = require "recipe.suggest"
local verbs = require "recipe.verbs"

local M = {}

--- Raised by picture functions while a recipe is only read; `check` takes it as "so far it is fine".
M.NEEDS_PIXELS = "this needs pixels, and nothing is computed while a recipe is checked"

local function read_only(name, values)
  return setmetatable({}, {
    __metatable = false, __name = name, __names = values,
    __index = function(_, key)
      local value = values[key]
      if value ~= nil then return value end
      local names = {}
      for known in pairs(values) do names[#names + 1] = known end
      table.sort(names)
      local near = suggest.closest(tostring(key), names)
      place.fail(place.here(tostring(key)), ("%s has no '%s'"):format(name, tostring(key)),
        { token = tostring(key), hint = near and ("did you mean '%s'?"):format(near) or ("there are %s"):format(table.concat(names, ", ")) })
    end,
    __newindex = function(_, key)
      place.fail(place.here(tostring(key)), ("%s cannot be changed; '%s' was assigned"):format(name, tostring(key)), { token = tostring(key) })
    end,
    __call = function()
      place.fail(place.here(name), ("%s is no function"):format(name),
        { token = name, hint = name == "image" and "did you mean 'images'? A picture as a value is image.load" or ("?%s shows what it has"):format(name) })
    end,
    -- Not `next, values`: a loop's second value would be the table itself, and could be written to.
    __pairs = function() return function(_, key) return next(values, key) end end,
  })
end

local function dirname(path) return path:match "^(.*)/[^/]*$" or "." end

-- Native functions that touch the world, given to recipes: not while a recipe is only read, and with the files they name
-- permitted first. `names` are the functions to give; `reads` and `writes` those whose first argument is a path.
local function file_library(session, title, native, names, reads, writes)
  local library = {}
  for _, name in ipairs(names) do
    library[name] = function(first, ...)
      -- pictures save themselves: without an `allow` that is into the working folder
      if not session.allow then session:permit(".", "write", place.here(name)) end
      if reads[name] and type(first) == "string" then session:permit(first, "read", place.here(name)) end
      if writes[name] and type(first) == "string" then session:permit(first, "write", place.here(name), nil, false) end
      if session.reads_only then -- after that was noted: `info` shows it
        session.stopped_at = place.here(title)
        error(M.NEEDS_PIXELS, 0)
      end
      return native[name](first, ...)
    end
  end
  return read_only(title, library)
end

local function function_names(native)
  local names = {}
  for name, value in pairs(native) do if type(value) == "function" then names[#names + 1] = name end end
  return names
end

-- What people look for under a name from elsewhere.
local ELSEWHERE = {
  io = "a recipe has fs.read and fs.write, below the folders it names", dofile = "require \"name\" is name.lua beside the recipe",
  ollama = "openai {} asks it: OPENAI_BASE_URL=http://127.0.0.1:11434 in .env", llava = 'openai { model = "llava" } asks a server that has it',
  gpt = 'openai { model = "..." } asks OpenAI',
  preview = "photos:preview {} shows a set in a window", help = "? shows what there is, ?reject a verb", quit = "Ctrl-D, or exit",
}

-- A file of the name of one of the program's own scripts is a recipe like any other; the script itself is a command.
local function own_script(file)
  local name = (file or ""):match "([^/]+)%.lua$"
  for _, known in ipairs(script.scripts) do
    if known == name then return ("calotype %s runs the script of that name that came with the program; a file is a recipe"):format(name) end
  end
end

-- require "measure": measure.lua beside the recipe, a part of it. Text only, run once, with the recipe's own globals; what it returns.
local function requirer(session, globals)
  local known, loading = {}, {}
  return function(name)
    local at = place.here "require"
    local function fail(message, more)
      more = more or {}
      more.argument = true
      session:fail(at, message, more)
    end
    if type(name) ~= "string" or not name:find "^[%w_]+$" then
      fail(("require takes the name of a Lua file beside the recipe, not %s"):format(schema.show(name)),
        { hint = own_script(session.file) or "require \"measure\" is measure.lua: letters, digits and _" })
    end
    if known[name] then return known[name].value end
    local folder = session.file and dirname(session.file) or "."
    local path = folder == "." and name .. ".lua" or folder .. "/" .. name .. ".lua"
    if loading[name] then fail(("%s requires itself"):format(path)) end
    local text
    local ok, message, code = fs.grant(path, "read")
    if ok then text, message, code = fs.read(path) end
    if not text then fail(("%s cannot be read: %s"):format(path, message), { code = code }) end
    local fn, problem = script.load(text, "@" .. path, globals())
    if not fn then
      script.fail { message = problem.message, source = path, line = problem.line, column = problem.column, width = problem.width, exit = 2 }
    end
    loading[name] = true
    local _ <close> = setmetatable({}, { __close = function() loading[name] = nil end })
    session.modules[#session.modules + 1] = path
    known[name] = { value = fn(name) }
    return known[name].value
  end
end

--- The globals for one recipe, and its session.
---@param options? { mode?: string, file?: string, params?: table<string, string>, store?: string, fresh?: boolean, say?: function }
---@return table env, table session
function M.new(options)
  options = options or {}
  local session = sessions.new(options)
  local base = {}
  for name, value in pairs(script.safe) do base[name] = value end

  function base.recipe(name)
    local at = place.here "recipe"
    if type(name) ~= "string" or name == "" then
      place.fail(at, ("recipe takes a name, not %s"):format(schema.show(name)), { hint = 'recipe "my-style" { about = "..." }' })
    end
    session.name = name
    return function(header) session:declare(name, header, at) end
  end

  function base.params(declared)
    local at = place.here "params"
    if session.params then place.fail(at, "params stands once in a recipe", { hint = "put all of them into one table" }) end
    session.params, session.list = params.read(declared, session.given, session:reading(at))
    return session.params
  end

  function base.here(path)
    local at = place.here "here"
    if type(path) ~= "string" then place.fail(at, ("here takes a path, not %s"):format(schema.show(path))) end
    if path:sub(1, 1) == "/" or not session.file then return path end
    local folder = dirname(session.file)
    path = folder == "." and path or folder .. "/" .. path
    local short = path:gsub("[^/.]+/%.%./", "", 1)
    while short ~= path do path, short = short, short:gsub("[^/.]+/%.%./", "", 1) end -- a/b/../c is a/c
    return path
  end

  function base.usd(amount)
    if type(amount) ~= "number" or amount < 0 or amount ~= amount then
      place.fail(place.here "usd", ("usd takes an amount of dollars, not %s"):format(schema.show(amount)), { hint = "usd(0.50)" })
    end
    return { usd = amount }
  end

  local function make_images(given, extra)
    local at, verb = place.here "images", verbs.by_name.images
    local made = stage.new(session, verb, schema.read(verb, given, session:reading(at), extra), {}, at)
    session:add(made)
    return made
  end
  local function join(given)
    local at, verb = place.here "join", verbs.by_name.join
    local sets = schema.read(verb, given, session:reading(at)).sets
    if #sets == 0 then place.fail(at, "images.join has nothing to join", { hint = "images.join { face, body }" }) end
    local made = stage.new(session, verb, {}, sets, at)
    session:add(made)
    return made
  end
  local function drawn(given)
    local at, verb = place.here "drawn", verbs.by_name.drawn
    local made = stage.new(session, verb, schema.read(verb, given, session:reading(at)), {}, at)
    session:add(made)
    return made
  end
  local functions, function_list = { join = join, drawn = drawn }, { "join", "drawn" }
  base.images = setmetatable({}, {
    __metatable = false, __name = "images", __names = function_list,
    __call = function(_, given, extra) return make_images(given, extra) end,
    __index = function(_, name)
      if functions[name] then return functions[name] end
      local verb = verbs.by_name[name]
      local near = suggest.closest(tostring(name), function_list)
      place.fail(place.here(tostring(name)), ("images has no function '%s'"):format(tostring(name)),
        { hint = verb and ('it is a verb of a set: images "folder":%s ...'):format(name) or near and ("did you mean 'images.%s'?"):format(near)
          or "there are images.join and images.drawn" })
    end,
    __newindex = function() place.fail(place.here "images", "images cannot be changed") end,
  })

  for _, provider in ipairs(providers.list) do
    base[provider.name] = function(given)
      local at = place.here(provider.name)
      local read = schema.read(provider, given, session:reading(at))
      if provider.check then
        local complaint, hint, key = provider.check(read)
        if complaint then place.fail(at, ("%s %s"):format(provider.name, complaint), { hint = hint, key = key or next(given or {}), value = true }) end
      end
      return { provider = provider.name, version = provider.version, options = read }
    end
    schema.provider_of[base[provider.name]] = provider.name
  end

  -- At the prompt, where one looks at things in passing.
  function base.preview(...)
    local at, pictures = place.here "preview", ...
    if not stage.is(pictures) then
      place.fail(at, ("preview takes a set of pictures, not %s"):format(select("#", ...) == 0 and "nothing" or schema.show(pictures)),
        { hint = type(pictures) == "string" and ("preview(images %q)"):format(pictures) or "for example preview(images \"photos\")" })
    end
    pictures:preview()
  end
  if not session.live then base.preview = nil end

  require("recipe.assistant").install(base, session, function(at)
    session.stopped_at = at
    error(M.NEEDS_PIXELS, 0)
  end)

  local env
  base.require = requirer(session, function() return env end)
  base.image = file_library(session, "image", image, function_names(image), { load = true, probe = true }, {})
  base.fs = file_library(session, "fs", fs, { "read", "write", "list", "stat" }, { read = true, list = true, stat = true }, { write = true })
  for name, value in pairs(base) do if type(value) == "function" or type(value) == "table" then session.known[value] = name end end

  local user = {} -- what a person defines at the prompt
  env = setmetatable({}, {
    __metatable = false, __name = "globals",
    __index = function(_, name)
      local value = base[name]
      if value == nil then value = user[name] end
      if value ~= nil or (session.live and name == "_") then return value end
      local names = {}
      for known in pairs(base) do names[#names + 1] = known end
      for known in pairs(user) do names[#names + 1] = known end
      local near = suggest.closest(tostring(name), names)
      place.fail(place.here(), ("'%s' is not defined"):format(tostring(name)),
        { token = tostring(name), hint = ELSEWHERE[name] or near and ("did you mean '%s'?"):format(near) or nil })
    end,
    __newindex = function(_, name, value)
      if base[name] ~= nil and name ~= "_" then
        place.fail(place.here(), ("'%s' belongs to the language and cannot be changed"):format(tostring(name)),
          { token = tostring(name), hint = "choose another name" })
      end
      if session.live then
        user[name] = value
        return
      end
      place.fail(place.here(), ("'%s' is assigned but was never declared"):format(tostring(name)),
        { token = tostring(name), hint = ("write local %s = ..."):format(tostring(name)) })
    end,
    __pairs = function()
      local all = {}
      for name, value in pairs(base) do all[name] = value end
      for name, value in pairs(user) do all[name] = value end
      return next, all, nil
    end,
  })
  base._G = env
  return env, session
end

return M
