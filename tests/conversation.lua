-- conversation.lua - a service that answers from a function: what native.net is for providers, without a network.
--
--   local service = conversation.new { env = {}, keys = { "GEMINI_API_KEY" }, answer = function(question, n) return { text = "..." } end }
--   service.questions[1].model, service.options[1].base          -- what was asked, how the talks were opened
--   service.close()                                              -- the real one again
local services = require "caption.services"

require("native.log").date = function() return "2026-11-21T10:00:00Z" end -- prices have an end: what they are here is that of this day

local M = {}

function M.new(spec)
  local service = { questions = {}, options = {}, most = 0, cancelled = 0 }
  local net = {}
  function net.env(name)
    local value = (spec.env or {})[name]
    return value, value and ".env" or "nowhere"
  end
  function net.has_key(names)
    for _, name in ipairs(names) do
      for _, known in ipairs(spec.keys or {}) do if known == name then return name, spec.keys_from or ".env" end end
    end
  end
  function net.talk(options)
    table.insert(service.options, options)
    if spec.refuse then return nil, spec.refuse, "NETWORK" end
    local talk, flying, asked = {}, {}, 0
    function talk.room() return options.in_flight - #flying end
    function talk.pending() return #flying end
    function talk.flying() return #flying end
    function talk.pause() return spec.pause or 0 end
    function talk.recall(_, tag) -- where spec.recall is set all that is not answered waits
      for _, one in ipairs(spec.recall and flying or {}) do
        if one.tag == tag and not one.recalled then
          one.recalled, service.recalled = true, (service.recalled or 0) + 1
          return true
        end
      end
      return false
    end
    function talk.ask(_, tag, question)
      question.n = #service.questions + 1
      table.insert(service.questions, question)
      table.insert(flying, { tag = tag, question = question })
      service.most = math.max(service.most, #flying)
      return true
    end
    function talk.request(_, tag, request) table.insert(flying, { tag = tag, request = request }) return true end
    local silent = spec.silent or 0 -- so often nothing comes
    function talk.next()
      silent = silent - 1
      if silent >= 0 then return nil end
      local first = table.remove(flying, 1)
      if not first then return nil end
      if first.recalled then return first.tag, { verdict = "failed", kind = "recalled", why = "taken back", status = 0, lost = 0 } end
      asked = asked + 1
      local reply = first.request and spec.request(first.request) or spec.answer and spec.answer(first.question, first.question.n) or {}
      reply.verdict, reply.status, reply.why = reply.verdict or "done", reply.status or 200, reply.why or ""
      reply.model = reply.model or first.question and first.question.model
      reply.tokens = reply.tokens or { input = 1300, output = 50, thought = 200 }
      reply.text = reply.text or '{"caption": "a thing in a place"}'
      return first.tag, reply
    end
    function talk.counts() return { requests = asked, errors = spec.errors or {}, p50 = 1, p95 = 2, p99 = 3, bytes_sent = 10, bytes_received = 20 } end
    function talk.close() service.closed = true end
    return setmetatable(talk, { __close = talk.close })
  end
  services.net = net
  function service.close() services.net = nil end
  return service
end

return M
