local hash = require "native.hash"
local json = require "native.json"
local outputs = require "recipe.outputs"
local runs = require "train.runs"
local set = require "recipe.set"

local M = {
  name = "export", on = "lora", version = 1, sink = true,
  doc = "Write the LoRA as one .safetensors file that diffusers, ComfyUI and A1111 open: kohya's names, alpha, 16-bit floats, and metadata "
    .. "that say how it was made. No path, no caption and no text given to a parameter is in it; an author is named only where the recipe's header "
    .. "names one.",
  example = 'lora:export { to = "out/[trigger].safetensors" }',
  options = {
    { "to", "path", required = true, doc = "the file to write; may have [trigger]" },
    { "title", "text", doc = "what it is called in lists; the file's name when left out" },
    { "about", "text", doc = "a sentence or two for the metadata" },
    { "license", "text", doc = "of the LoRA, as SPDX names it" },
  },
}

function M.declare(state)
  local path = state.options.to
  if not path:lower():find "%.safetensors$" then
    state.session:fail(state.at, ("the LoRA %s is not .safetensors"):format(path),
      { key = "to", value = true, hint = 'for example to = "out/lora.safetensors"' })
  end
  outputs.declare(state, "to")
end

--- What a result is, for keys of outputs.
function M.digest(result)
  return hash.sha256(json.encode { identity = result.identity, step = result.step, file = result.note.file or "" })
end

function M.run(context, options, result)
  if result.note.file then runs.remember_file(context.store(), result.note.file, (result.path:match "^(.*)/" or ".")) end -- for calotype view
  local key = hash.sha256(json.encode { verb = "lora.export", version = M.version, options = options, input = M.digest(result) })
  if outputs.unchanged(context, options.to, key) then return end
  local stem = options.to:match "([^/]*)%.%w+$"
  local ok, message, code = require("train.lora_file").relabel(result.path, options.to, function(metadata)
    metadata.ss_output_name = stem
    metadata["modelspec.title"] = options.title or stem
    metadata["modelspec.description"] = options.about or metadata["modelspec.description"]
    metadata["modelspec.license"] = options.license or metadata["modelspec.license"]
  end)
  if not ok then context.fail(("%s was not written"):format(options.to), { hint = message, code = code }) end
  outputs.record(context, options.to, key, { options.to }, ("%s, rank %d"):format(set.count(result.step, "step"), result.options.rank))
end

return M
