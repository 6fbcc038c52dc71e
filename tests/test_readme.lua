-- README.md is checked by itself: its recipes pass `check`, its commands run, and what it shows as printed is what is printed. So is what other pages
-- of docs/ show of calotype's words (PAGES).
--
--   ```lua                 a recipe; <!-- hall.lua --> in the line before gives it a name for the commands
--   ```sh                  commands: those that begin with `calotype` and name a recipe are run and must end well
--   ```                    printed words, of one of two kinds:
--     $ calotype ...       what follows is what the command prints. A line of a recipe that the words show ("   2 | text") is put into
--                          the recipe first: so a mistake can be shown without being in the recipe
--     $ make demo          what follows are the last lines that this command printed into build/demo.log (.ci/run keeps them)
--     $ make test          what follows are the last lines of a test run, here of one without tests
--
-- In printed words times, the names of contents, decimals, sizes, names of devices and of a run's folder, "N of 32" and "N passed" may be others, and a line of "..." stands
-- for any lines.
local fs = require "native.fs"
local recipes = dofile "tests/recipes.lua"

local pipe = io.popen "pwd; readlink /proc/$PPID/exe"
local here, program = pipe:read "l", pipe:read "l":gsub("/tests/host$", "/calotype")
pipe:close()
if not program:find "^/" then program = here .. "/" .. program end

-- { { language, lines, line (of the fence), mark }, ... }
local function blocks_of(text)
  local blocks, open, number, before = {}, nil, 0, ""
  for line in (text .. "\n"):gmatch "(.-)\n" do
    number = number + 1
    local fence = line:match "^```(%w*)"
    if open and fence then open = nil
    elseif open then open.lines[#open.lines + 1] = line
    elseif fence then
      open = { language = fence, lines = {}, line = number, mark = before:match "^<!%-%- (.-) %-%->$" }
      blocks[#blocks + 1] = open
    end
    if line ~= "" then before = line end
  end
  return blocks
end

local function masked(line)
  line = line:gsub("%s+$", ""):gsub("   [%d.]+ m?s$", ""):gsub("   %d+ min %d+ s$", ""):gsub("%d+%.%d+", "#"):gsub("%d+ kB", "# kB"):gsub("# MB", "# kB"):gsub("%d+ of (%d+)", "# of %1")
  line = line:gsub("^%d+ passed", "# passed"):gsub("%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d", "now"):gsub("content %x+", "content #")
  line = line:gsub("%-%x%x%x%x%x%x%x%x/", "-#/") -- it is named after all that decides the numbers
  return (line:gsub("on .- %(a CPU[^)]*%)", "on a device"):gsub("^on [^\n]-   ", "on a device   "):gsub("%s+$", ""))
end

-- Whether the lines are those of the pattern, in which "..." is any lines; from the end: what comes before does not matter.
local function alike(pattern, lines, p, l)
  if p == 0 then return true end
  if masked(pattern[p]) == "..." then
    for skip = l, 0, -1 do if alike(pattern, lines, p - 1, skip) then return true end end
    return false
  end
  return l > 0 and masked(pattern[p]) == masked(lines[l]) and alike(pattern, lines, p - 1, l - 1)
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do
    if not line:find "%[=* *%]" then lines[#lines + 1] = line end -- a bar: how many of them there are is the machine's affair
  end
  return lines
end

local function expect(block, pattern, lines, whole, page)
  if (whole and #lines ~= #pattern) or not alike(pattern, lines, #pattern, #lines) then
    error(("%s:%d shows\n%s\nbut printed is\n%s"):format(page or "README.md", block.line, table.concat(pattern, "\n"), table.concat(lines, "\n")), 0)
  end
end

local place, blocks, recipe_lines = recipes.new(tmp "readme"), blocks_of(assert(fs.read "README.md")), {}
for i = 1, 11 do
  local options = { seed = i, width = 640, height = 560, cells = 100 + i }
  place.photo(("p%d.png"):format(i), options)
  place.write(("style/s%d.png"):format(i), recipes.picture(options):encode "png")
end
os.execute(("mkdir -p %s/models && ln -s %s/tests/golden/tiny %s/models/sd15"):format(place.folder, here, place.folder))
os.execute(("ln -s %s/examples %s/examples"):format(here, place.folder))

local function run(command, at)
  at = at or place
  at.write("command.sh", command .. "\n")
  local out = io.popen(("cd %s && PATH=%s:$PATH CALOTYPE_STORE=store sh command.sh 2>&1; echo \"exit $?\""):format(at.folder, program:match "^(.*)/"))
  local text, exit = out:read "a":match "^(.*)exit (%d+)\n$"
  out:close()
  return text, tonumber(exit)
end

test("every recipe of the README passes its check", function()
  local count = 0
  for _, block in ipairs(blocks) do
    if block.language == "lua" then
      count = count + 1
      local name = block.mark and block.mark:find "%.lua$" and block.mark or ("block%d.lua"):format(block.line)
      recipe_lines[name] = block.lines
      place.write(name, table.concat(block.lines, "\n") .. "\n")
      local text, exit = run("calotype check " .. name)
      if exit ~= 0 then error(("README.md:%d: %s"):format(block.line, text)) end
    end
  end
  check.ok(count > 0)
end)

test("every command of the README that names a recipe runs", function()
  for _, block in ipairs(blocks) do
    for _, line in ipairs(block.language == "sh" and block.lines or {}) do
      local command = line:gsub("%s*#.*", "")
      local name = command:match "^calotype .-([%w_./-]+%.lua)"
      if name then
        check.ok(recipe_lines[name], ("README.md:%d: no recipe is marked <!-- %s -->"):format(block.line, name))
        local text, exit = run(command)
        if exit ~= 0 then error(("README.md:%d: %s: %s"):format(block.line, command, text)) end
      end
    end
  end
end)

test("what the README shows as printed is what is printed", function()
  local waiting
  for _, block in ipairs(blocks) do
    if block.language == "" then
      local first = block.lines[1] or ""
      if first:find "^%$ " then
        local at = 1
        while at <= #block.lines do
          local command, shown = block.lines[at]:match "^%$ (.*)":gsub("%s+#.*", ""), {}
          at = at + 1
          while block.lines[at] and not block.lines[at]:find "^%$ " do
            if block.lines[at] ~= "" then shown[#shown + 1] = block.lines[at] end
            at = at + 1
          end
          local name = command:match "([%w_./-]+%.lua)"
          if name and recipe_lines[name] then
            local changed = table.move(recipe_lines[name], 1, #recipe_lines[name], 1, {})
            for _, line in ipairs(shown) do
              local number, text = line:match "^ +(%d+) | (.*)"
              if number then changed[tonumber(number)] = text end
            end
            place.write(name, table.concat(changed, "\n") .. "\n")
          end
          if command == "make demo" then
            local log = fs.read "build/demo.log"
            if log then expect(block, shown, lines_of(log)) else waiting = block.line end
          elseif command == "make test" then
            expect(block, shown, lines_of((run(("cd %s && T=label tests/run.sh"):format(here)))))
          else
            expect(block, shown, lines_of((run(command))), true)
          end
          if name and recipe_lines[name] then place.write(name, table.concat(recipe_lines[name], "\n") .. "\n") end
        end
      else
        error(("README.md:%d: nobody can check these words: begin with \"$ command\""):format(block.line))
      end
    end
  end
  if waiting then skip(("README.md:%d is compared after `make demo 2>&1 | tee build/demo.log` in a fresh clone"):format(waiting)) end
end)

local PAGES = { "docs/captions.md" }

test("what pages of docs/ show as printed is what is printed", function()
  for _, page in ipairs(PAGES) do
    local at, count = recipes.new(tmp "page"), 0
    for i = 1, 11 do at.photo(("p%d.png"):format(i), { seed = i }) end
    for _, block in ipairs(blocks_of(assert(fs.read(page)))) do
      if block.language == "lua" and block.mark and block.mark:find "%.lua$" then at.write(block.mark, table.concat(block.lines, "\n") .. "\n") end
      local command, shown
      for i = 1, block.language == "" and (block.lines[1] or ""):find "^%$ " and #block.lines + 1 or 0 do
        local line = block.lines[i]
        if not line or line:find "^%$ " then
          if command then expect(block, shown, lines_of((run(command, at))), true, page) end
          command, shown, count = line and line:sub(3), {}, count + 1
        else
          shown[#shown + 1] = line
        end
      end
    end
    check.ok(count > 0, page .. " shows nothing")
  end
end)

test("every variable that the program asks for has its line in .env.example", function()
  local example, asked = assert(fs.read ".env.example"), { HOME = false, PATH = false, TERM = false } -- false: what every shell sets
  local found = io.popen [[grep -rhoE '(getenv|script\.env|services\.setting|M\.setting|[^a-z_]set|setenv) ?\(?"[A-Z_]+"|"(LC_[A-Z]+|LANG|[A-Z_]+_(KEY|TOKEN|URL|NAME|FILE|BUNDLE|CA|DIR|ENDPOINT))"' \
    runtime stdlib scripts]]
  for line in found:lines() do
    local name = line:match '"([A-Z_]+)"'
    if name and asked[name] == nil then asked[name] = true end
  end
  found:close()
  local count = 0
  for name, wanted in pairs(asked) do
    if wanted then
      count = count + 1
      check.ok(("\n" .. example):find("\n#" .. name .. "=", 1, true), name .. " is asked for and has no line in .env.example")
    end
  end
  check.ok(count > 20, count)
end)
