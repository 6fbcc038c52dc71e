-- luacheck: no globals of our own; tests and recipes get theirs from the program.
std = "lua54"
max_line_length = 160
max_comment_line_length = 160
cache = false

local language = { "images", "recipe", "params", "here", "usd", "image", "fs", "sidecar", "template", "fake", "auto", "gemini", "openai", "blip", "wd14",
  "huggingface", "ensemble" }
files["tests/test_*.lua"] = { max_line_length = 200, read_globals = { "test", "check", "skip", "tmp" } }
files["tests/bench/**/*.lua"] = { max_line_length = 200, read_globals = { "test", "tmp" } }
files["examples/**/*.lua"] = { read_globals = language }
files["scripts/**/*.lua"] = { read_globals = language }
files["tests/golden/lora.lua"] = { read_globals = language }
files["stdlib/data/prompts/*.lua"] = { max_line_length = 200 }
