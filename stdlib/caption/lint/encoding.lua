-- Caption files whose bytes are not plain UTF-8.
local look = require "caption.lint.look"
local set = require "recipe.set"

return function(rows)
  local found, what, seen = {}, {}, {}
  local function note(row, name)
    if found[#found] ~= row then found[#found + 1] = row end
    if not seen[name] then
      seen[name] = true
      what[#what + 1] = name
    end
  end
  local broken = false
  for _, row in look.each(rows) do
    local s = row.raw or row.text or ""
    if s:find "^\255\254" or s:find "^\254\255" then note(row, "UTF-16")
    elseif s:find("\0", 1, true) then note(row, "zero bytes")
    elseif not utf8.len(s) then note(row, "bytes that are no UTF-8")
    end
    broken = broken or found[#found] == row
    if s:find("\u{FFFD}", 1, true) then note(row, "U+FFFD, the mark of lost letters") end
    if s:find "^\u{FEFF}" then note(row, "a byte-order mark") end
    if s:find("\r", 1, true) then note(row, "line ends of Windows") end
    if s:find "[\1-\8\11\12\14-\31\127]" then note(row, "control characters") end
  end
  if #found == 0 then return end
  return look.finding("encoding", broken and "warning" or "note", found,
    ("%s %s %s"):format(set.count(#found, "caption file"), look.plural(#found, "has", "have"), table.concat(what, ", ")),
    broken and "kohya stops there and so does this recipe" or "marks and line ends become part of the caption in some trainers; calotype takes them off",
    broken and "save them as UTF-8: iconv -f WINDOWS-1252 -t UTF-8 old.txt > new.txt"
      or "in copies that :export writes they are gone; lost letters must be typed again")
end
