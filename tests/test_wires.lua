-- Each format against the server of tests/fake: what it asks is taken, and every fault that a server can say gets its verdict.
-- Whole conversations, with retries and money, stand in test_net.lua and test_remote.lua.
local fake = dofile "tests/fake.lua"
local net = require "native.net"

local server <close> = fake.start()
local BYTES = "\137PNG a picture, to the server"
local WIRES = { "gemini", "openai", "huggingface" }

local function ask(wire, scenario, more)
  local talk <close> = net.talk { service = wire, wire = wire, base = server:url(scenario), base_from = "environment", attempts = 1, seconds = 20, log = "" }
  local q = { model = wire == "gemini" and "gemini-3.8-flash" or "owner/model", pictures = { { bytes = BYTES, mime = "image/png" } } }
  if wire ~= "huggingface" then q.user, q.system, q.max_tokens = "Caption it.", "You caption.", 500 end
  for key, value in pairs(more or {}) do q[key] = value end
  check.ok(talk:ask(1, q))
  return select(2, talk:next())
end

-- gemini, openai, huggingface; "again": one attempt failed, and the next may succeed.
local VERDICTS = {
  ok = "done done done", ["429"] = "again again again", ["429message"] = "again again again", ["429minute"] = "again again again",
  ["429day"] = "other_model again again", ["429zero"] = "other_model again again", ["429long"] = "other_model again again",
  ["429capacity"] = "other_model again again", ["429credit"] = "again stop again", ["429commas"] = "again again again",
  ["429nested"] = "again again again", ["500"] = "again again again", ["502html"] = "again again again", ["503"] = "again again again",
  ["503array"] = "again again again", ["503loading"] = "again again again", ["503empty"] = "again again again", ["504"] = "again again again",
  ["499"] = "again again again", ["408"] = "again again again", ["400"] = "refused refused refused", ["400key"] = "stop stop stop",
  echo503 = "again again again", ["400region"] = "stop refused refused", ["401"] = "stop stop stop", ["402"] = "stop stop stop",
  ["403"] = "stop stop stop", ["404"] = "other_model other_model other_model", ["413"] = "refused refused refused", ["302"] = "stop stop stop",
  blocked = "blocked blocked empty", empty = "empty empty empty", maxtokens = "cut cut empty", half = "cut cut done",
  thought = "empty empty empty", safety = "blocked blocked empty", prohibited = "blocked blocked empty", recitation = "blocked blocked empty",
  parts = "done done done", fenced = "done done done", spaced = "done done done", strings = "done done done", arrayok = "done done done",
  bare = "done done done", rerouted = "done done done", terminal = "done done done", badutf8 = "empty empty empty", nul = "empty empty empty",
  rawnul = "empty empty empty", deep = "empty empty empty", nobody = "empty empty empty", truncated = "empty empty empty",
  html200 = "refused refused refused", otherjson = "empty empty empty", error200 = "again again again", wrongtype = "done done done",
  notype = "done done done", chunked = "done done done",
}

test("every fault gets the same verdict each time, with a reason and without a caption that is none", function()
  local caption = server:caption(BYTES)
  for fault, verdicts in pairs(VERDICTS) do
    local expected = {}
    for word in verdicts:gmatch "%S+" do expected[#expected + 1] = word end
    for i, wire in ipairs(WIRES) do
      local reply = ask(wire, fault .. "=" .. wire)
      local what = wire .. " " .. fault
      check.equal(reply.verdict, expected[i] == "again" and "failed" or expected[i], what)
      if reply.verdict ~= "done" then check.ok(#(reply.why or "") > 10, what)
      elseif fault == "terminal" then check.ok(not reply.text:find "[\27\u{202e}]", what)
      elseif fault ~= "half" then check.equal(reply.text, caption, what) end
      if reply.verdict ~= "done" and reply.verdict ~= "cut" then check.equal(reply.text, nil, what) end
    end
  end
end)

test("a schema, settings and several models of each generation arrive where the service looks for them", function()
  local schema = { type = "object", properties = { caption = { type = "string" } }, required = { "caption" } }
  for i, wire in ipairs { "gemini", "openai" } do
    local scenario = "ok=settings" .. i
    local reply = ask(wire, scenario, { schema = schema, settings = i == 1 and { thinking = "low", media_resolution = "high", seed = 7, safety = "block_none" }
      or { thinking = false, temperature = 0.5 } })
    check.equal(reply.verdict, "done")
    check.contains(reply.text, '"caption"')
    local said = server:requests(scenario)[1]
    check.contains(said.body, i == 1 and '"thinkingConfig":{"thinkingLevel":"low"}' or '"chat_template_kwargs":{"enable_thinking":false}')
    check.contains(said.path, i == 1 and "/v1beta/models/gemini-3.8-flash:generateContent" or "/v1/chat/completions")
  end
  check.equal(ask("huggingface", "ok=json", { max_tokens = 60 }).text, server:caption(BYTES))
end)

test("tokens and the model that answered come with the answer; the zeros that a service leaves out are zeros", function()
  local reply = ask("gemini", "rerouted=tokens")
  check.ok(reply.model ~= "gemini-3.8-flash" and #reply.model > 0)
  check.ok(reply.tokens.input > 0 and reply.tokens.output > 0 and reply.tokens.thought >= 0)
  check.ok(ask("openai", "ok=tokens").tokens.input > 0)
  check.equal(ask("huggingface", "ok=tokens").tokens, nil)
end)
