local fs = require "native.fs"

test("a written file is read back", function()
  local path = tmp "a.txt"
  check.ok(fs.write(path, "hello"))
  check.equal(fs.read(path), "hello")
  check.equal(fs.stat(path).size, 5)
end)

test("a missing file is refused with its name and a code", function()
  check.equal(check.refused("nowhere.txt", fs.read(tmp "nowhere.txt")), "NOTFOUND")
end)
