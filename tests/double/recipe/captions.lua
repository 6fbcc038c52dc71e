-- A stand-in for a command of several words: it says what it was given.
local log = require "native.log"

return {
  help = "words and settings, in any order",
  run = function(options)
    local list = {}
    for name, value in pairs(options.params) do list[#list + 1] = name .. ":" .. value end
    table.sort(list)
    log.put(table.concat(options.words, "|") .. " " .. table.concat(list, " "))
    return tonumber(options.params.code)
  end,
}
