-- Captions by any server that speaks OpenAI's chat completions: llama.cpp, vLLM, Ollama with LLaVA, Qwen-VL, CogVLM and the like; OpenAI itself.
local remote = require "caption.remote"

return remote.provider {
  name = "openai",
  doc = "Any server that speaks OpenAI's chat completions: llama.cpp, vLLM, Ollama, LM Studio, OpenAI. Its address stands in .env: "
    .. "OPENAI_BASE_URL=http://127.0.0.1:8080; a key, where it wants one, too: OPENAI_API_KEY=... The pictures are sent there.",
  example = 'photos:caption { with = openai { model = "qwen2.5-vl", style = "tags" }, trigger = "zkr" }',
  options = remote.options(remote.shared, {
    { "free", "boolean", default = false,
      doc = "the server is your own and asking costs nothing; otherwise a model that is not in the table has an unknown price" },
    { "thinking", "choice", choices = { "least", "low", "medium", "high" }, default = "least",
      doc = "how long the model thinks before it writes; a server of your own is told not to" },
    { "detail", "choice", choices = { "low", "high", "auto" }, doc = "how much of a picture is looked at; for OpenAI" },
    { "schema_as", "choice", choices = { "json_schema", "json_object", "none" },
      doc = "how the form of the answer is asked for, for servers that know less than a schema" },
  }, remote.pace),
}
