local formats = require "recipe.formats"
local hash = require "native.hash"
local outputs = require "recipe.outputs"
local pictures = require "export.pictures"
local script = require "native.script"
local set = require "recipe.set"
local json = require "native.json"

local M = {
  name = "export", version = 1, sink = true,
  doc = "Write the pictures and their captions as a trainer wants them. Input pictures are never changed.",
  example = 'photos:export { as = "replicate", to = "out/photos.zip" }',
  options = {
    { "as", "choice", choices = formats.names, required = true, doc = formats.doc },
    { "to", "path", doc = "the zip or folder to write; may have [trigger]" },
    { "beside", "boolean", default = false, doc = "sidecars: write name.txt beside the input pictures" },
    { "metadata", "choice", choices = { "files", "lines" }, default = "files",
      doc = "replicate: a .txt for each picture, or one metadata.txt with a line for each in file order" },
    { "escape", "boolean", default = false,
      doc = "sidecars, kohya: brackets in captions get a backslash, for prompts in which they are weights (A1111, --weighted_captions); trainers want none" },
    { "quality", "integer", min = 50, max = 100, default = 95, doc = "of JPEGs that had to be turned" },
  },
}

function M.label(options) return "export " .. options.as end

function M.declare(state)
  local o, session = state.options, state.session
  local format = formats.by_name[o.as]
  local allowed = { as = true, to = true }
  for _, name in ipairs(format.options) do allowed[name] = true end
  for _, option in ipairs(M.options) do
    if not allowed[option.name] and o[option.name] ~= option.default then
      session:fail(state.at, ("option '%s' of :export means nothing for as = %q"):format(option.name, o.as), { key = option.name, hint = "leave it out" })
    end
  end
  if format.needs and not o[format.needs] then
    session:fail(state.at, (":export as %q needs '%s'"):format(o.as, format.needs),
      { hint = ('for example to = "out/%s"'):format(format.folder and "folder" or "photos.zip") })
  end
  if format.check then
    local key, message, hint = format.check(o)
    if message then session:fail(state.at, message, { key = key, value = true, hint = hint }) end
  end
  if not state.trigger then session:warn("no trigger is declared: the captions will not have one", state.at, "trigger") end
  outputs.declare(state, "to", format.folder, format.folder)
  if o.beside then session:permit_inputs(state) end
end

function M.run(context, options, input)
  pictures.need_some(context, input)
  local key = hash.sha256(json.encode { verb = "export", version = M.version, options = options, input = set.digest(input),
    calotype = script.versions().calotype })
  if options.to and outputs.unchanged(context, options.to, key) then return end
  formats.by_name[options.as].write(context, options, input, key)
end

return M
