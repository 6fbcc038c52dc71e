-- permissions.lua - what a recipe may touch: methods of a session (session.lua). Where its header has `allow`, nothing else is allowed; where it has none,
-- what it wants is inferred and granted.
--
--   session:permit("photos", "read", at)             -- raises where the recipe says it; else native.fs grants it
--   session:allowed("photos/a.txt", "read")          --> true
--   session.inferred                                 --> { { rights = "read", path = "photos", at = }, ... } for `info`

local cache = require "hub.cache"
local fs = require "native.fs"
local schema = require "recipe.schema"

local M = {}

-- Files to be written are granted through their folder: a root that is not there yet becomes a folder. `folder`: what the path will be;
-- nil where only its name can tell.
local function writable_root(path, folder)
  local info = fs.stat(path)
  if folder or info and info.kind == "folder" or folder == nil and not path:find "%.%w+$" then return path end
  return path:match "^(.+)/[^/]*$" or (path:sub(1, 1) == "/" and "/" or ".")
end

-- The declared roots, once the parameters are known.
function M.roots(self, rights)
  local key = rights .. "_roots"
  if self[key] then return self[key] end
  local roots, at = {}, self.header_at
  for _, path in ipairs(self.allow[rights]) do
    local text, complaint, hint = schema.value({ type = "path" }, path, self:reading(at))
    if not text then self:fail(at, ("allow.%s %s"):format(rights, complaint), { text = path, hint = hint }) end
    roots[#roots + 1] = text
    local ok, message, code = fs.grant(rights == "write" and writable_root(text) or text, rights)
    if not ok and rights == "write" then self:fail(at, ("%s cannot be granted: %s"):format(text, message), { text = path, code = code }) end
  end
  self[key] = roots
  return roots
end

local function contains(root, path)
  root, path = fs.absolute(root), fs.absolute(path)
  return root and path and (root == path or root == "/" or path:sub(1, #root + 1) == root .. "/")
end

--- True when the header allows the path, or has no `allow`.
function M.allowed(self, path, rights)
  if not self.allow then return true end
  for _, right in ipairs { "read", "write" } do
    if right == rights or right == "write" then
      for _, root in ipairs(self:roots(right)) do if contains(root, path) then return true end end
    end
  end
  return false
end

-- What a base is made of is not written over: it may be gigabytes, and not to be had again.
local function check_not_in_base(self, base, path, at, key)
  if contains(base, path) then
    self:fail(at, ("%s would lie in the base %s"):format(path, base), { key = key, value = true, text = path, hint = "write it elsewhere" })
  end
end

--- The recipe wants to read a base here; no output may lie in it, whichever comes first.
function M.permit_base(self, path, at, key)
  path = cache.root(path)
  self:permit(path, "read", at, key)
  for _, want in ipairs(self.inferred) do
    if want.rights == "write" then check_not_in_base(self, path, want.path, want.at) end
  end
  table.insert(self.bases, path)
end

--- The recipe wants to read or write here. Refused with 3 when its header does not say so; inferred when it has no `allow`.
--- What will be written (as a `folder`) must be writable now: nobody trains for hours to learn that it is not.
function M.permit(self, path, rights, at, key, folder)
  if not self:allowed(path, rights) then
    local top = path:find "/%.%./" and (fs.absolute(path) or path):match "^(.+)/" or path:match "^([^/]+)/" or path
    self:fail(at, ("the recipe's header does not allow it to %s %s"):format(rights, path),
      { exit = 3, key = key, value = true, text = not key and path or nil, hint = ("add it: allow = { %s = { %q } }"):format(rights, top) })
  end
  if rights == "write" and key and self.mode ~= "info" then
    local ok, message, code = fs.writable(path, folder)
    if not ok then
      self:fail(at, message, { key = key, value = true, code = code, world = true, hint = code == "ARG" and "rename it, or name another folder"
        or "let yourself write there, or name another folder" })
    end
  end
  for _, base in ipairs(rights == "write" and self.bases or {}) do check_not_in_base(self, base, path, at, key) end
  local mark = rights .. " " .. path
  if self.inferred[mark] then return end
  self.inferred[mark] = true
  table.insert(self.inferred, { rights = rights, path = path, at = at })
  if self.allow or (self.reads_only and rights == "write") then return end
  local ok, message, code = fs.grant(rights == "write" and writable_root(path, folder) or path, rights)
  if not ok and not (rights == "read" and code == "NOTFOUND") then
    self:fail(at, message, { key = key, value = true, text = path, code = code, world = true })
  end
end

--- The recipe wants to ask a service. Refused with 3 when its header does not say so.
function M.permit_net(self, name, at)
  local allowed = not self.allow
  for _, known in ipairs(self.allow and self.allow.net or {}) do allowed = allowed or known == name end
  if not allowed then
    self:fail(at, ("the recipe's header does not allow it to ask %s"):format(name), { exit = 3, hint = ('add it: allow = { net = { "%s" } }'):format(name) })
  end
  if not self.asks[name] then table.insert(self.asks, name) end
  self.asks[name] = true
end

--- The recipe wants the device. Refused with 3 when its header does not say so.
function M.permit_device(self, at)
  if self.allow and not self.allow.gpu then
    self:fail(at, "the recipe's header does not allow it to use the device", { exit = 3, hint = "add it: allow = { gpu = true }" })
  end
  self.uses_device = true
end

--- The sink writes beside the input pictures: their folders must be writable.
function M.permit_inputs(self, state)
  local stage = require "recipe.stage"
  for _, input in ipairs(state.inputs) do
    for _, step in ipairs(stage.lineage(input)) do
      local from = stage.state(step)
      for _, path in ipairs(from.verb.name == "images" and from.options.from or {}) do
        local info = fs.stat(path)
        self:permit(path, "write", state.at, "beside", info and info.kind == "folder")
      end
    end
  end
end

--- After the recipe was read: what its header allows and nothing in it uses.
function M.warn_of_unused(self)
  self:roots "read"
  self:roots "write"
  for _, rights in ipairs { "read", "write" } do
    for _, root in ipairs(self:roots(rights)) do
      local used = false
      for _, want in ipairs(self.inferred) do
        local right = want.rights == rights or rights == "read"
        used = used or (right and (contains(root, want.path) or contains(want.path, root)))
      end
      if not used then self:warn(("allow.%s has %s, which nothing in the recipe uses"):format(rights, root), self.header_at, "allow") end
    end
  end
end

return M
