-- Captions by BLIP on this machine's device: no key, no network, nothing to pay.
local captioner = require "models.captioner"
local looking = require "caption.looking"
local script = require "native.script"
local wordless = require "caption.wordless"
local words = require "caption.words"

local M = {
  name = "blip", version = 1, author = "model", finishes = true,
  doc = "A short sentence by BLIP on this machine: nothing is sent, nothing costs. Of the hub's models Salesforce/blip-image-captioning-base (1 GB) and "
    .. "-large (1.9 GB): `calotype get hf:NAME`. `prompt` is how each caption begins.",
  example = 'photos:caption { with = blip { model = "models/blip-image-captioning-base", prompt = "a picture of" } }',
  options = {
    { "model", "path", default = "models/blip-image-captioning-base", doc = "its folder, as the Hugging Face hub or its cache has it" },
    { "prompt", "text", default = "", doc = "the words that captions go on from" },
    { "beams", "integer", min = 1, max = 16, default = 3, elsewhere = { "num_beams" },
      doc = "texts that are followed at once; 1 takes the likeliest word each time" },
    { "longest", "integer", min = 2, max = 512, unit = "tokens", default = 30, elsewhere = { "max_length", "max_new_tokens", "max_tokens" },
      doc = "most pieces of words of a caption, prompt and end with them" },
    { "shortest", "integer", min = 0, max = 512, unit = "tokens", default = 5, elsewhere = { "min_length", "min_new_tokens" },
      doc = "it does not end before it has so many" },
    { "penalty", "number", min = 1, max = 10, default = 1, elsewhere = { "repetition_penalty" },
      doc = "more than 1 makes words that were said less likely: against captions that go in circles" },
    table.unpack(looking.options),
  },
}

function M.check(options)
  if options.shortest > options.longest then
    return ("has shortest = %d and longest = %d"):format(options.shortest, options.longest), "a caption is at least as long as its shortest", "shortest"
  end
end

function M.declare(options, state)
  local model = looking.declare(options, state, "captioner")
  local prompt, message, code, key = captioner.prompt { model = model, prompt = options.prompt, beams = options.beams, longest = options.longest }
  if not prompt then state.session:fail(state.at, message, { code = code, key = key or "prompt", value = true, world = true,
    hint = key == "longest" and options.longest > model.config.places and ("write longest = %d, or less"):format(model.config.places) or nil }) end
end

M.question = looking.question
M.wordless = wordless.known
function M.depends(_, options, context) return looking.depends(options, context, "captioner") end

-- The words that a text repeats at its end without coming further: a run of up to 8 pieces said three times, one of them four times.
local function circle(ids)
  for period = 1, 8 do
    local needed, same = period * (period == 1 and 4 or 3), 0
    while same < needed - period and #ids - same - period >= 1 and ids[#ids - same] == ids[#ids - same - period] do same = same + 1 end
    if same >= needed - period and #ids >= needed then return period end
  end
end

local function advice(options)
  return ("penalty = %g or other words as prompt may help"):format(options.penalty < 1.3 and 1.3 or math.min(options.penalty + 0.5, 10))
end

function M.ask(asked, options, emit, context)
  local items, at = wordless.open(context, asked, advice(options))
  local about = { kind = "captioner", key = "with", rest = wordless.log, leave = wordless.leaver(context, items, at) }
  function about.open(how)
    how.prompt, how.beams, how.longest, how.shortest = options.prompt, options.beams, options.longest, options.shortest
    how.penalty = options.penalty
    return captioner.open(how)
  end
  local function poll() if script.interrupted() > 0 then return "stopped between two words", "INTERRUPT" end end
  function about.look(it, floats, numbers) return it:write(floats, #numbers, poll) end
  function about.take(n, found, told, left)
    local body = table.move(found.ids, 2, #found.ids - (found.ended and 1 or 0), 1, {})
    if words.count(found.text) == 0 then
      about.leave(n, "BLIP had no words for it", told, left)
    elseif circle(body) then
      about.leave(n, ("its caption goes in circles (\"%s\"); %s"):format(found.text, advice(options)), told, left)
    else
      told.prompt, told.finish = options.prompt ~= "" and options.prompt or nil, not found.ended and "length" or nil
      emit(at[n], found.text, told)
    end
  end
  looking.at(items, options, context, about)
end

return M
