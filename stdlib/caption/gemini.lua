-- Captions by Google's Gemini, as JSON by a schema. The key (GOOGLE_API_KEY or GEMINI_API_KEY) comes from .env or the environment.
local remote = require "caption.remote"

return remote.provider {
  name = "gemini",
  doc = "Google's Gemini. Needs a key in .env: GEMINI_API_KEY=... The pictures are sent to Google. Without `model` the models of a dated table are "
    .. "asked in turn, the next when one is gone, full or out of quota; every caption has the name of the model that answered.",
  example = 'photos:caption { with = gemini { style = "concise", focus = "scene", spend = usd(0.50) }, trigger = "zkr" }',
  options = remote.options(remote.shared, {
    { "thinking", "choice", choices = { "least", "minimal", "low", "medium", "high" }, default = "least",
      doc = "how long the model thinks before it writes; it is paid as output" },
    { "resolution", "choice", choices = { "low", "medium", "high" }, default = "high",
      doc = "how much of a picture is looked at: 280, 560 or 1120 tokens (3.x)" },
    { "safety", "choice", choices = { "off", "block_none", "block_only_high", "block_medium_and_above", "block_low_and_above" },
      doc = "the service's own filter, for all of its categories; its default when left out" },
    { "batch", "boolean", default = false, doc = "half the price, answers within a day: the run waits for them, and finds them again when it was "
      .. "stopped. Up to 20 MB of questions go inside the call, more as a file of up to 2 GB" },
  }, remote.pace),
}
