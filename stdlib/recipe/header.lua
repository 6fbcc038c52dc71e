-- header.lua - what a recipe says of itself, and all it may touch: recipe "watercolour" { about = "...", allow = { read = { "photos" } } }.
--
--   Session.declare = header.declare                -- session.lua
--   header.schema, header.allow                     -- what may be written, for help and editors

local schema = require "recipe.schema"
local script = require "native.script"

local M = {}

M.schema = schema.define {
  name = "recipe", kind = "function", doc = "What the recipe is, for those it is shared with. Optional.",
  example = 'recipe "watercolour" { about = "...", author = "...", license = "MIT", version = "1.0" }',
  options = {
    { "about", "text", doc = "one line: what comes in and what comes out" },
    { "author", "text", doc = "who wrote it" },
    { "license", "text", doc = "of the recipe, as SPDX names it: MIT, CC0-1.0" },
    { "version", "text", doc = "of the recipe" },
    { "needs", "text", doc = "the oldest calotype that can run it: \">=0.1\"" },
    { "allow", "table", doc = "all it may touch: { read = { ... }, write = { ... }, net = { ... }, spend = { ... }, gpu = true }" },
  },
}
M.allow = schema.define {
  name = "allow", kind = "function", doc = "What a recipe may touch. When it is written down, nothing else is allowed.",
  options = {
    { "read", "list", of = "any", default = {}, doc = "folders and files it reads" },
    { "write", "list", of = "any", default = {}, doc = "folders and files it writes" },
    { "net", "list", of = "text", default = {}, doc = "providers it asks" },
    { "spend", "table", doc = "the most it may spend with each provider: { gemini = usd(0.50) }" },
    { "gpu", "boolean", default = false, doc = "may it use the device" },
  },
}

local function version_numbers(text)
  local numbers = {}
  for digits in text:gmatch "%d+" do numbers[#numbers + 1] = tonumber(digits) end
  return numbers
end

local function at_least(have, want)
  for i = 1, math.max(#have, #want) do
    if (have[i] or 0) ~= (want[i] or 0) then return (have[i] or 0) > (want[i] or 0) end
  end
  return true
end

--- recipe "name" { header }: self.name, header and allow.
---@param self table a session
function M.declare(self, name, header, at)
  if self.header then self:fail(at, "a recipe has one header", { hint = "the first is in line " .. tostring(self.header_at.line) }) end
  if #self.stages > 0 then self:fail(at, "the header comes first", { hint = "move recipe \"...\" { } to the top" }) end
  self.name, self.header_at = name, at
  self.header = schema.read(M.schema, header, { at = at })
  local needs = self.header.needs
  if needs then
    local wanted, have = needs:match "^>=%s*([%d%.]+)$", script.versions().calotype
    if not wanted then self:fail(at, ("option 'needs' of recipe is %q"):format(needs), { key = "needs", value = true, hint = 'write needs = ">=0.1"' }) end
    if not at_least(version_numbers(have), version_numbers(wanted)) then
      self:fail(at, ("this recipe needs calotype %s; this is %s"):format(needs, have), { key = "needs", value = true, hint = "update calotype" })
    end
  end
  if self.header.allow then
    self.allow = schema.read(M.allow, self.header.allow, { at = { source = at.source, line = at.line, name = "recipe" } })
    for provider, amount in pairs(self.allow.spend or {}) do
      if type(amount) ~= "table" or type(amount.usd) ~= "number" then
        self:fail(at, ("spend for %s is %s without a unit"):format(tostring(provider), schema.show(amount)),
          { key = provider, value = true, hint = ("write usd(%s)"):format(schema.show(amount)) })
      end
    end
  end
end

return M
