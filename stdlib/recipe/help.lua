-- help.lua - what `?reject`, `calotype help reject` and the manual say: all of it comes from the schemas.
local assistant = require "recipe.assistant"
local formats = require "recipe.formats"
local header = require "recipe.header"
local params = require "recipe.params"
local providers = require "recipe.providers"
local schema = require "recipe.schema"
local suggest = require "recipe.suggest"
local verbs = require "recipe.verbs"

local M = {}

local FUNCTIONS = {
  schema.define { name = "here", kind = "function", doc = "A path beside the recipe's own file; other relative paths are relative to the working folder.",
    example = 'images(here "photos")' },
  schema.define { name = "require", kind = "function",
    doc = "Another file of the recipe, beside it: its text runs once, sees what the recipe sees, and gives what it returns.",
    example = 'local measure = require "measure" -- measure.lua' },
  schema.define { name = "usd", kind = "function", doc = "An amount of money. Money always has its unit.", example = "spend = { gemini = usd(0.50) }" },
  schema.define { name = "image", kind = "function",
    doc = "Pictures as plain values: image.load(path), image.new(w, h, color), picture:resize(w, h), "
      .. ":crop(x, y, w, h), :get(x, y), :hash(), :measure(), :save(path).",
    example = 'local picture = image.load "photos/cat.jpg"' },
  schema.define { name = "fs", kind = "function",
    doc = "Files below the folders a recipe may use: fs.read(path), fs.write(path, text) (whole or not at all), fs.list(folder), "
      .. "fs.stat(path). What the world refuses comes back as nil, message, code.",
    example = 'local words = fs.read "words.txt"' },
}

-- name -> schema; methods are found as "reject", ":reject" and "images.reject"
local function find(topic)
  topic = topic:gsub("^images[%.:]", ""):gsub("^:", ""):gsub(":", ".")
  if topic:find "^lora%." and not verbs.by_name[topic] then topic = topic:sub(6) end
  if verbs.by_name[topic] then return verbs.by_name[topic] end
  if providers.by_name[topic] then return providers.by_name[topic] end
  for _, entry in ipairs(M.functions()) do if entry.name == topic then return entry end end
end

--- The functions of the language that are neither verbs nor providers.
---@return calotype.schema[]
function M.functions()
  local list = { header.schema, header.allow, params.schema, params.option }
  for _, more in ipairs { assistant.schemas(), FUNCTIONS } do table.move(more, 1, #more, #list + 1, list) end
  return list
end

--- How something is called: "images:reject { side_below, ... } -> images".
---@param spec calotype.schema
---@return string
function M.signature(spec)
  local names = {}
  for _, option in ipairs(spec.options) do if option.name ~= spec.positional then names[#names + 1] = option.name end end
  local head = spec.method and spec.on .. ":" .. spec.name or schema.title(spec)
  if spec.positional then head = head .. "(" .. spec.positional .. (#names > 0 and ", { " .. table.concat(names, ", ") .. " }" or "") .. ")"
  elseif #names > 0 then head = head .. " { " .. table.concat(names, ", ") .. " }"
  else head = head .. (spec.kind == "provider" and " {}" or "()") end
  if spec.kind ~= "verb" then return head end
  return head .. " -> " .. (spec.sink and ("the same %s; writes or checks"):format(spec.on)
    or spec.parts and "images, images" or spec.gives or "images")
end

local function wrap(text, indent, width)
  local lines, line = {}, ""
  for word in text:gmatch "%S+" do
    if #line + #word + 1 > width and line ~= "" then
      lines[#lines + 1], line = line, word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n" .. (" "):rep(indent))
end

--- One option in words: type, range, default.
---@param option calotype.option
---@return string
function M.option_text(option)
  local range = schema.range_text(option)
  local bare = range and { type = option.type, of = option.of, choices = option.choices } -- the range names the unit
  local parts = { schema.type_text(bare or option) }
  if range then parts[#parts + 1] = range end
  if option.required then parts[#parts + 1] = "required"
  elseif option.type == "options" and type(option.default) == "table" then -- its parts tell theirs
    return table.concat(parts, ", ")
  elseif type(option.default) == "table" and next(option.default) == nil then return table.concat(parts, ", ")
  elseif option.default ~= nil and option.default ~= "" then parts[#parts + 1] = "default " .. schema.show(option.default) end
  return table.concat(parts, ", ")
end

local function first_sentence(text) return text:match "^(.-%.)%s" or text end

local FIRST = [[
  images "photos"
    :reject  { side_below = 512 }
    :dedupe  {}
    :caption { with = template { text = "a photo of {stem}" }, trigger = "zkr" }
    :export  { as = "replicate", to = "out/zkr.zip" }
]]

local function overview()
  local out = { "A recipe is: images from folders, verbs that choose and caption them, and outputs.", "" }
  out[#out + 1] = FIRST
  local function section(title, list)
    out[#out + 1] = title
    for _, spec in ipairs(list) do out[#out + 1] = ("  %-14s %s"):format(schema.title(spec), wrap(first_sentence(spec.doc), 17, 80)) end
    out[#out + 1] = ""
  end
  section("Verbs", verbs.list)
  section("Who writes captions", providers.list)
  section("More", M.functions())
  out[#out + 1] = "help reject, or ?reject at the prompt, shows every option."
  return table.concat(out, "\n")
end

--- Help on a topic: a verb, a provider, a function, an option's name; nil or "" gives the overview.
---@param topic? string
---@return string
function M.text(topic)
  topic = (topic or ""):gsub("^%s+", ""):gsub("%s+$", ""):gsub("^%?", "")
  if topic == "" or topic == "help" then return overview() end
  local spec = find(topic)
  if not spec then
    local owners, names = {}, {}
    local function look(list)
      for _, entry in ipairs(list) do
        names[#names + 1] = entry.name
        local option = entry.by_name[topic]
        if option then owners[#owners + 1] = ("%s  %s\n      %s"):format(schema.title(entry), M.option_text(option), wrap(option.doc, 6, 90)) end
      end
    end
    look(verbs.list)
    look(providers.list)
    look(M.functions())
    if #owners > 0 then return ("option %s of\n  %s"):format(topic, table.concat(owners, "\n  ")) end
    if formats.by_name[topic] then return ("as = %q of :export: %s\n"):format(topic, formats.by_name[topic].doc) .. M.text "export" end
    local near = suggest.closest(topic, names)
    return ("there is no help on '%s'%s"):format(topic, near and ("; did you mean '%s'?"):format(near) or "; `help` alone lists what there is"), false
  end
  local out = { wrap(M.signature(spec), 4, 96), "  " .. wrap(spec.doc, 2, 96) }
  if #spec.options > 0 then out[#out + 1] = "" end
  local function list(options, prefix)
    for _, option in ipairs(options) do
      out[#out + 1] = ("  %-16s %s"):format(prefix .. option.name, wrap(M.option_text(option), 19, 80))
      out[#out + 1] = "  " .. (" "):rep(17) .. wrap(option.doc, 19, 76)
      if option.type == "options" then list(option.options, prefix .. option.name .. ".") end
    end
  end
  list(spec.options, "")
  if spec.example then out[#out + 1] = "\n  " .. spec.example:gsub("\n", "\n  ") end
  return table.concat(out, "\n")
end

--- The reference manual in Markdown.
---@return string
function M.manual()
  local out = { "# The language, word by word", "", "Made from the schemas that the program itself checks recipes with.", "" }
  local function section(title, list)
    out[#out + 1] = "## " .. title .. "\n"
    for _, spec in ipairs(list) do
      out[#out + 1] = ("### `%s`\n\n%s\n"):format(schema.title(spec), spec.doc)
      if spec.example then out[#out + 1] = "```lua\n" .. spec.example .. "\n```\n" end
      if #spec.options > 0 then
        out[#out + 1] = "| option | takes | |\n|---|---|---|"
        local function rows(options, prefix)
          for _, option in ipairs(options) do
            out[#out + 1] = ("| `%s` | %s | %s |"):format(prefix .. option.name, M.option_text(option):gsub("|", "\\|"), (option.doc:gsub("|", "\\|")))
            if option.type == "options" then rows(option.options, prefix .. option.name .. ".") end
          end
        end
        rows(spec.options, "")
        out[#out + 1] = ""
      end
    end
  end
  section("Verbs", verbs.list)
  section("Who writes captions", providers.list)
  section("Functions", M.functions())
  return table.concat(out, "\n")
end

--- What could stand at the end of a line that is being typed: names of verbs behind a colon, of options inside { }, of values
--- behind `option = "`, else of everything.
---@param line string
---@return string[] candidates, string word the part they would replace
function M.complete(line)
  local word = line:match "[%w_]*$"
  local before = line:sub(1, #line - #word)
  local candidates = {}
  local function add(name) if name:sub(1, #word) == word then candidates[#candidates + 1] = name end end
  local topic, inside = before:match "([%w_]+)%s*{([^{}]*)$"
  local owner = topic and find(topic)
  local part, within = before:match "([%w_]+)%s*=%s*{([^{}]*)$" -- sample = { | of a verb's options
  for _, verb in ipairs(part and verbs.list or {}) do
    local option = verb.by_name[part]
    if option and option.schema then owner, inside = option.schema, within end
  end
  local choice = inside and inside:match "([%w_]+)%s*=%s*[\"']$"
  if owner and choice and owner.by_name[choice] and owner.by_name[choice].choices then
    for _, value in ipairs(owner.by_name[choice].choices) do add(value) end
  elseif before:find ":%s*$" then
    for _, verb in ipairs(verbs.list) do if verb.method and verb.topic == verb.name then add(verb.name) end end
  elseif owner and not inside:find "=%s*$" then
    for _, option in ipairs(owner.options) do
      if not inside:find("%f[%w_]" .. option.name .. "%s*=") then add(option.name) end
    end
  elseif owner and inside:find "with%s*=%s*$" then
    for _, name in ipairs(providers.names) do add(name) end
  elseif not before:find "[%w_]%.%s*$" then
    for _, name in ipairs { "images", "recipe", "params", "here", "require", "usd", "image", "fs" } do add(name) end
    for _, name in ipairs(providers.names) do add(name) end
  elseif before:find "images%.%s*$" then
    add "join"
    add "drawn"
  end
  table.sort(candidates)
  return candidates, word
end

return M
