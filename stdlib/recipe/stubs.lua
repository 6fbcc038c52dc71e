-- stubs.lua - the language as LuaCATS annotations, for LuaLS in any editor. editor/luals/ holds what this makes; a test compares.
local assistant = require "recipe.assistant"
local formats = require "recipe.formats"
local providers = require "recipe.providers"
local verbs = require "recipe.verbs"

local M = {}

local LUA_TYPES = {
  integer = "integer", number = "number", text = "string", boolean = "boolean", path = "string", folder = "string", cut = "number|string",
  range = "number|number[]", money = "calotype.money", callback = "fun(picture: calotype.picture): any, any?", provider = "calotype.provider",
  stage = "calotype.images", table = "table", any = "any",
}

local function class_of(spec)
  if spec.owner then return ("calotype.%s_%s"):format(spec.owner.id or spec.owner.name, spec.name) end
  return "calotype." .. (spec.id or spec.name) .. "_options"
end

local function lua_type(option)
  if option.of_bitmap then return "fun(picture: calotype.bitmap, how: { prompt: string, seed: integer, strength: number }): any" end
  if option.type == "options" then
    local alone = option.alone and LUA_TYPES[option.schema.by_name[option.alone].type]
    return (alone and alone .. "|" or "") .. class_of(option.schema)
  elseif option.type == "choice" then
    local parts = {}
    for i, choice in ipairs(option.choices) do parts[i] = ("%q"):format(choice) end
    return table.concat(parts, "|")
  elseif option.type == "list" then
    local element = LUA_TYPES[option.of or "text"]
    if option.of == "provider" then return element .. "[]" end
    return ("%s|%s[]"):format(element, element)
  end
  return LUA_TYPES[option.type] .. (option.several and ("|%s[]"):format(LUA_TYPES[option.type]) or "")
end

local function doc_line(option)
  local help = require "recipe.help"
  return option.doc .. " (" .. help.option_text(option) .. ")"
end

local function options_class(put, spec)
  for _, option in ipairs(spec.options) do if option.type == "options" then options_class(put, option.schema) end end
  put(("---@class %s"):format(class_of(spec)))
  for _, option in ipairs(spec.options) do
    put(("---@field %s%s %s %s"):format(option.name, option.required and option.name ~= spec.positional and "" or "?", lua_type(option), doc_line(option)))
  end
  put ""
end

--- The text of editor/luals/library/calotype.lua.
---@return string
function M.library()
  local lines = {}
  local function put(text) lines[#lines + 1] = text end
  put "---@meta calotype"
  put "-- Made from the schemas by stdlib/recipe/stubs.lua: `CALOTYPE_WRITE=1 make test T=stubs` writes it again."
  put ""
  put "---@class calotype.money\n---@field usd number\n"
  put "---@class calotype.provider\n---@field provider string\n"
  put "---A picture as callbacks get it.\n---@class calotype.picture"
  for _, field in ipairs { "path string", "name string", "stem string", "width integer as displayed", "height integer", "format string", "sharpness number",
    "entropy number bits", "brightness table<string, number> percentiles p1 p5 p50 p95 p99 in 0 to 1", "caption? string may be changed by :edit",
    "match? number how well the caption belongs to it, 0 to 1, after :score", "weight number may be changed by :edit", "trigger? string" } do
    put("---@field " .. field)
  end
  put ""
  put "---A set of pictures. Verbs return new sets; nothing is computed until an output asks.\n---@class calotype.images"
  put "---@operator len: integer\nlocal images_set = {}\n"
  put "---A trained LoRA.\n---@class calotype.lora\nlocal lora = {}\n"
  for _, verb in ipairs(verbs.list) do if #verb.options > 0 then options_class(put, verb) end end
  for _, provider in ipairs(providers.list) do if #provider.options > 0 then options_class(put, provider) end end
  for _, verb in ipairs(verbs.list) do
    if verb.method then
      put("---" .. verb.doc)
      local object = verb.on == "images" and "images_set" or verb.on
      local returns = verb.parts and "calotype.images, calotype.images" or "calotype." .. (verb.gives or verb.on)
      if verb.positional then
        local option = verb.by_name[verb.positional]
        put(("---@param %s %s|%s"):format(verb.positional, lua_type(option):find "^fun" and "(" .. lua_type(option) .. ")" or lua_type(option), class_of(verb)))
        put(("---@param options? %s"):format(class_of(verb)))
        put("---@return " .. returns)
        put(("function %s:%s(%s, options) end\n"):format(object, verb.name, verb.positional))
      elseif #verb.options > 0 then
        local required = false
        for _, option in ipairs(verb.options) do required = required or option.required end
        put(("---@param options%s %s"):format(required and "" or "?", class_of(verb)))
        put("---@return " .. returns)
        put(("function %s:%s(options) end\n"):format(object, verb.name))
      else
        put("---@return " .. returns)
        put(("function %s:%s() end\n"):format(object, verb.name))
      end
    end
  end
  local from, join = verbs.by_name.images, verbs.by_name.join
  put("---" .. from.doc)
  put "---@class calotype.images_function"
  put(("---@overload fun(from: string|string[]|%s, options?: %s): calotype.images"):format(class_of(from), class_of(from)))
  put "images = {}\n"
  put("---" .. join.doc)
  put "---@param sets calotype.images[]\n---@return calotype.images\nfunction images.join(sets) end\n"
  local drawn = verbs.by_name.drawn
  put("---" .. drawn.doc)
  put(("---@param options %s\n---@return calotype.images\nfunction images.drawn(options) end\n"):format(class_of(drawn)))
  for _, provider in ipairs(providers.list) do
    put("---" .. provider.doc)
    put(("---@param options? %s"):format(#provider.options > 0 and class_of(provider) or "{}"))
    put(("---@return calotype.provider\nfunction %s(options) end\n"):format(provider.name))
  end
  for _, spec in ipairs(assistant.schemas()) do
    options_class(put, spec)
    put("---" .. spec.doc)
    put(("---@param folder string|%s\n---@param options? %s\n---@return table"):format(class_of(spec), class_of(spec)))
    put(("function %s(folder, options) end\n"):format(spec.name))
  end
  for _, spec in ipairs(require("recipe.help").functions()) do
    if spec.name == "recipe" then
      options_class(put, spec)
      put("---" .. spec.doc .. "\n---@param name string\n---@return fun(header: calotype.recipe_options)\nfunction recipe(name) end\n")
    elseif spec.name == "params" then
      put("---" .. spec.doc .. "\n---@generic T\n---@param declared T\n---@return table<string, any>\nfunction params(declared) end\n")
    elseif spec.name == "here" then
      put("---" .. spec.doc .. "\n---@param path string\n---@return string\nfunction here(path) end\n")
    elseif spec.name == "require" then
      put("---" .. spec.doc .. "\n---@param name string\n---@return any\nfunction require(name) end\n")
    elseif spec.name == "usd" then
      put("---" .. spec.doc .. "\n---@param amount number\n---@return calotype.money\nfunction usd(amount) end\n")
    end
  end
  put [[
---A picture in memory: 8-bit sRGB.
---@class calotype.bitmap
local bitmap = {}
---@return integer
function bitmap:width() end
---@return integer
function bitmap:height() end
---@return integer
function bitmap:channels() end
---@param x integer
---@param y integer
---@return integer r, integer g, integer b, integer a
function bitmap:get(x, y) end
---@param x integer
---@param y integer
---@param color integer[]
function bitmap:set(x, y, color) end
---@return calotype.bitmap
function bitmap:copy() end
---@param width integer 0 keeps the aspect
---@param height integer 0 keeps the aspect
---@param filter? "lanczos"|"area"|"bilinear"|"bicubic"
---@return calotype.bitmap
function bitmap:resize(width, height, filter) end
---@return calotype.bitmap
function bitmap:crop(x, y, width, height) end
---@return calotype.bitmap
function bitmap:gray() end
---@return string bytes row by row, one for each channel
function bitmap:bytes() end
---@return calotype.bitmap
function bitmap:flip() end
---@param quarter_turns integer
---@return calotype.bitmap
function bitmap:rotate(quarter_turns) end
---@return string sixteen_hex_digits
function bitmap:hash() end
---@return table
function bitmap:measure() end
---@param path string
---@param options? table
---@return boolean?, string?, string?
function bitmap:save(path, options) end

---Pictures as plain values.
image = {}
---@param width integer
---@param height integer
---@param color? integer[]
---@return calotype.bitmap
function image.new(width, height, color) end
---@param path string
---@return calotype.bitmap?, string?, string?
function image.load(path) end

---Files below the folders a recipe may use.
fs = {}
---@param path string
---@return string?, string?, string?
function fs.read(path) end
---Whole or not at all.
---@param path string
---@param text string
---@return boolean?, string?, string?
function fs.write(path, text) end
---@param folder string
---@param recursive? boolean
---@return { path: string, kind: "file"|"folder"|"other", size: integer, mtime_ns: integer }[]?, string?, string?
function fs.list(folder, recursive) end
---@param path string
---@return { kind: "file"|"folder"|"other", size: integer, mtime_ns: integer, stamp: string }?, string?, string?
function fs.stat(path) end]]
  put ""
  put("---Formats of :export: " .. table.concat(formats.names, ", "))
  return table.concat(lines, "\n") .. "\n"
end

--- The text of editor/luals/config.json: an addon of LuaLS.
---@return string
function M.config()
  return [[
{
  "$schema": "https://raw.githubusercontent.com/LuaLS/LLS-Addons/main/schemas/addon_config.schema.json",
  "name": "calotype",
  "words": ["images%s*[\"{%(]", "recipe%s*\""],
  "settings": {
    "Lua.runtime.version": "Lua 5.4",
    "Lua.runtime.builtin": {
      "basic": "enable",
      "io": "disable",
      "os": "disable",
      "debug": "disable",
      "package": "disable"
    }
  }
}
]]
end

return M
