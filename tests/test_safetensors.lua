local safetensors = require "native.safetensors"
local fs = require "native.fs"

local function made(header, data)
  local path = tmp "x.safetensors"
  check.ok(fs.write(path, string.pack("<I8", #header) .. header .. (data or "")))
  return path
end

test("a header becomes tables with shapes, offsets from the start of the file, and metadata", function()
  local header = '{"__metadata__":{"format":"pt"},"w":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},'
    .. '"s":{"dtype":"F32","shape":[],"data_offsets":[12,16]}}'
  local st = check.ok(safetensors.open(made(header, ("x"):rep(16))))
  check.equal(st.metadata, { format = "pt" })
  check.equal(st.tensors, {
    w = { dtype = "F16", shape = { 2, 3 }, offset = 8 + #header, size = 12 },
    s = { dtype = "F32", shape = {}, offset = 20 + #header, size = 4 },
  })
end)

test("no metadata is an empty table", function() check.equal(safetensors.open(made "{}"), { format = "safetensors", tensors = {}, metadata = {} }) end)

test("a lying file is refused with its path", function()
  local path = made('{"w":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}}', "short")
  check.equal(check.refused(path, safetensors.open(path)), "FORMAT")
  check.refused('tensor "w" ends at byte 12', safetensors.open(path))
  check.equal(check.refused("nowhere", safetensors.open(tmp "nowhere")), "NOTFOUND")
  local empty = tmp "empty"
  fs.write(empty, "")
  check.refused("too few", safetensors.open(empty))
end)
