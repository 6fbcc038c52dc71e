-- A stand-in for stdlib/recipe/command.lua: the tests of the command line and of the prompt say with it what they were given.
local fs = require "native.fs"
local log = require "native.log"
local script = require "native.script"

local M = {}

local function globals()
  local env = {}
  for name, value in pairs(script.safe) do env[name] = value end
  env.images = function(path) return setmetatable({ path = path }, { __repr = function(self) return "images in " .. self.path end }) end
  env.fail = function(code) script.fail { message = "as asked", exit = code } end
  env.finish = function() -- like native work that ends its step at the first Ctrl-C
    while script.interrupted() == 0 do end
    log.put "step finished"
  end
  return setmetatable(env, { __index = function(_, name)
    if name == "_" then return nil end
    script.fail { message = ("'%s' is not defined"):format(name), token = name, hint = ("did you mean '%s'?"):format(
      script.nearest(name, env) or "images") }
  end })
end

local function read(options)
  local text = options.text
  if not text then
    assert(fs.grant(options.file, "read"))
    local message, code
    text, message, code = fs.read(options.file)
    if not text then script.fail { message = message, source = false, exit = code == "DENIED" and 3 or 2 } end
  end
  local env = globals()
  env.given = options
  local fn, problem = script.load(text, "@" .. options.file, env)
  if not fn then
    script.fail { message = problem.message, source = options.file, line = problem.line, column = problem.column, width = problem.width }
  end
  return fn
end

function M.run(options) return read(options)() or 0 end

function M.check(options)
  read(options)
  log.put(options.file .. ": fine")
  return 0
end

function M.info(options)
  log.put("info " .. options.file)
  return 0
end

function M.show(path)
  log.put("show " .. path)
  return 0
end

M.repl_env = globals

return M
