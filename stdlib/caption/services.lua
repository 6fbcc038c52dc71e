-- services.lua - the services that pictures can be sent to: where they are, whose key they want, and whether there is one.
--
--   local service = services.find "gemini"
--   service.base, service.base_from      -- "https://...", "default" | "environment" | ".env"
--   service.key, service.key_from        -- the name of the variable that holds the key, or nil; never the key
--   service.own                          -- the address is on this machine or in a private network
--   local talk <close> = services.talk(service, { in_flight = 8 })
local net = require "native.net"
local script = require "native.script"
local suggest = require "recipe.suggest"

local M = {}

M.list = {
  gemini = { name = "gemini", wire = "gemini", keys = { "GOOGLE_API_KEY", "GEMINI_API_KEY" }, variable = "GEMINI_BASE_URL", model = "GEMINI_MODEL_NAME",
    default = "https://generativelanguage.googleapis.com", picture = { formats = { "jpeg", "png", "webp" } } },
  openai = { name = "openai", wire = "openai", keys = { "OPENAI_API_KEY" }, variable = "OPENAI_BASE_URL", model = "OPENAI_MODEL_NAME",
    default = "https://api.openai.com", picture = { formats = { "jpeg", "png" } } }, -- llama.cpp decodes no webp
  huggingface = { name = "huggingface", wire = "openai", keys = { "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN" }, variable = "HF_BASE_URL", model = "HF_MODEL_NAME",
    default = "https://router.huggingface.co", picture = { formats = { "jpeg", "png" } } },
}

M.net = nil -- what stands for native.net in tests

function M.native() return M.net or net end

-- A `.env` that cannot be read is a mistake to be told, wherever it is met.
local function told(value, message, code)
  if code then script.fail { message = message, source = false, exit = code == "DENIED" and 3 or 2 } end
  return value, message
end

--- A setting and where it is from; nil where it is not set.
---@return string? value, string place "environment", ".env" or "nowhere"
function M.setting(name) return told(M.native().env(name)) end

--- The name of the first of these keys that is set, and where.
---@return string? name, string? place
function M.has_key(names) return told(M.native().has_key(names)) end

--- The host of an address.
---@return string
function M.host(base) return (base:match "^%a[%w+.-]*://%[([^%]]+)%]" or base:match "^%a[%w+.-]*://([^/:]+)" or base):lower() end

--- A service with its address and the name of its key, as the environment and `.env` say now.
function M.find(name)
  local service = {}
  for key, value in pairs(M.list[name]) do service[key] = value end
  local base, place = M.setting(service.variable)
  if base and base ~= "" then
    -- OpenAI's own variable ends in /v1; the paths of requests have it
    service.base, service.base_from = base:gsub("/+$", ""):gsub("/v1$", ""), place
  else
    service.base, service.base_from = service.default, "default"
  end
  service.host = M.host(service.base)
  service.own = net.private(service.host)
  service.key, service.key_from = M.has_key(service.keys)
  return service
end

--- Is its address one? nil and the sentence when not; what stands there is not shown: it may be a key in the wrong line.
---@return boolean? ok, string? why, string? hint
function M.address(service)
  if service.base:find "^[Hh][Tt][Tt][Pp][Ss]?://[^/%s]+" then return true end
  return nil, ("%s (%s) is no address of a server"):format(service.variable, service.base_from),
    ("%s=%s is one"):format(service.variable, service.name == "openai" and "http://127.0.0.1:8080" or service.default)
end

--- Is the key kept from the server, because the one comes from the environment and the other from .env alone? Servers on this machine get it.
function M.kept_apart(service)
  local here = service.host == "localhost" or service.host == "::1" or service.host:find "^127%." ~= nil
  return service.key ~= nil and service.key_from == "environment" and service.base_from == ".env" and not here
end

--- A name in .env that nothing reads and that was perhaps meant to be one of these, and which: "GEMINI_API_KEI", "GEMINI_API_KEY".
---@param names string[]
---@return string?, string?
function M.misspelt(names)
  local read, others = {}, {}
  for _, service in pairs(M.list) do
    for _, name in ipairs { service.variable, service.model, table.unpack(service.keys) } do read[name] = true end
  end
  for _, name in ipairs(net.names()) do if not read[name] then others[#others + 1] = name end end
  for _, name in ipairs(names) do
    local near = suggest.closest(name, others)
    if near then return near, name end
  end
end

--- Has it what it needs to be asked? nil and the sentence to say when not.
---@return boolean? ok, string? why, string? hint
function M.ready(service)
  local good, complaint, remedy = M.address(service)
  if not good then return nil, complaint, remedy end
  if service.key or service.base_from ~= "default" then return true end
  local wrong, right = M.misspelt(service.keys)
  local hint = wrong and (".env has %s; did you mean %s?"):format(wrong, right)
    or ("put it into .env in the working folder, or into the environment: %s=..."):format(service.name == "gemini" and "GEMINI_API_KEY" or service.keys[1])
  return nil, ("%s needs a key, and %s is not set"):format(service.name, table.concat(service.keys, " or ")), hint
end

M.ATTEMPTS = 5 -- at one question

--- How many questions are under way at once.
---@return integer
function M.in_flight(service, options) return options.in_flight or service.own and service.name ~= "gemini" and 4 or 16 end

--- An open conversation; nil, message, code when the world refuses. `paid`: what a second Ctrl-C leaves on its way is told.
function M.talk(service, options, paid)
  return M.native().talk {
    service = service.name, wire = service.wire, base = service.base, base_from = service.base_from, keys = service.keys,
    in_flight = M.in_flight(service, options), per_minute = options.per_minute, tokens_per_minute = options.tokens_per_minute,
    seconds = service.own and 300 or 120, attempts = M.ATTEMPTS,
    record = options.record, replay = options.replay, paid = paid,
  }
end

return M
