-- jobs.lua - a recipe at work beside the window: this program once more, as a child whose lines are read and that is stopped as with Ctrl-C.
--
--   local job, message = jobs.start(view, { title = "captions", recipe = text, came = function(job) ... end, ended = function(job, code, words) ... end })
--                                   -- ended: may give other words, and another kind, for what is said of the end
--   jobs.look(view)                 -- in each turn of the loop: its lines go to the console; true when there is something new to see
--   jobs.stop(view)                 -- first: what was begun is finished and kept; second: now; third: at once
--   jobs.bar(view, area)            -- how far it is, and the button that stops it
--   jobs.run { job = "captions-12", plan = false }      -- in the child: calotype view job=captions-12
--
-- The recipe reaches the child through the store, whose folder is closed to recipes and to all that reads files here. One is at work at a
-- time; a plan (`plan` = true: nobody is asked) may run beside it and is no job of the window: its lines go to `line`.
local console = require "window.console"
local log = require "native.log"
local process = require "native.process"
local rect = require "window.rect"
local script = require "native.script"
local set = require "recipe.set"
local stores = require "native.store"
local theme = require "window.theme"

local M = {}

local EVERY = 0.5 -- seconds between two looks at what came

local function store_of(options) return options and options.store or script.env "CALOTYPE_STORE" or ".calotype" end

-- --- the child ------------------------------------------------------------------------------------------------------------------------------

--- Do a job that a window left in the store.
---@param options { job: string, plan: boolean }
---@return integer exit
function M.run(options)
  local store, message = stores.open(store_of(), { existing = true })
  local text = store and store:get("window", "job:" .. options.job)
  if store then store:close() end
  if not text or text == "" then
    script.fail { message = message or ("there is no job %s: windows make them"):format(options.job), source = false, exit = 2 }
  end
  local title = options.job:match "^(.-)%-%d+$" or options.job
  return require(options.plan and "recipe.plan" or "recipe.command").run { file = title, text = text, params = {}, again = "the same in the window" }
end

-- --- starting and stopping ------------------------------------------------------------------------------------------------------------------

local Job = {}
Job.__index = Job

--- A child that works on a recipe; its lines are read with job:read().
---@param view table
---@param options { title: string, recipe?: string, plan?: boolean, file?: string, params?: table<string, string> } file: a recipe that is there
---@return table? job, string? message
function M.child(view, options)
  local p = view.project
  view.jobs_made = (view.jobs_made or 0) + 1
  local name = ("%s-%d"):format(options.title, os.time() * 1000 + view.jobs_made % 1000)
  local self_path, message = process.self()
  if not self_path then return nil, message end
  local words = { view.program or self_path, "view", p.title, "job=" .. name, options.plan and "plan=yes" or "plan=no",
    env = { CALOTYPE_STORE = store_of(p.options), CALOTYPE_PROGRESS = "0.5" } }
  if options.file then -- as a person would run it
    words[2], words[3], words[4], words[5] = "run", options.file, nil, nil
    for key, value in pairs(options.params or {}) do
      words[#words + 1], words[#words + 2] = "-p", key .. "=" .. value
    end
  else
    local ok
    ok, message = p.store:put("window", "job:" .. name, options.recipe)
    if not ok then return nil, message end
  end
  local child
  child, message = process.start(words)
  if not child then return nil, message end
  return setmetatable({ title = options.title, name = name, file = options.file, process = child, store = p.store, stops = 0, began = log.clock() }, Job)
end

--- The lines that came; its exit code once it has ended and all was read.
---@return { from: string, text: string }[] lines, integer? code
function Job:read()
  local code = self.process:status() -- before the lines: what it wrote last is among them then
  local lines = self.process:read()
  if code and #lines > 0 then code = nil end -- more may be there
  if code then self:close() end
  return lines, code
end

--- What it says without the place in a recipe that nobody wrote.
---@param words string
---@return string
function Job:unplaced(words) return self.file and words or (words:gsub("^" .. self.title .. ":%d+: ", "")) end

function Job:close()
  if self.closed then return end
  self.closed = true
  self.process:close()
  if not self.file then self.store:put("window", "job:" .. self.name, "") end
end

--- Put a job to work; nil and why not.
function M.start(view, options)
  if view.job then return nil, ("%s: that is at work still"):format(view.job.title) end
  local job, message = M.child(view, options)
  if not job then return nil, message end
  job.came, job.ended, job.total, job.of, job.about = options.came, options.ended, options.total, options.total, options.about or options.title
  job.done, job.words = 0, "begins"
  view.job = job
  return job
end

local STOPS = { "Stop", "Stop now", "At once" }
local STOPPING = { "finishes what it began", "stops now", "ends" }

--- One stage further.
function M.stop(view)
  local job = view.job
  if not job then return end
  job.stops = job.stops + 1
  if job.stops > #STOPS then job.process:kill() else job.process:interrupt() end
  console.tell(view, "info", STOPPING[math.min(job.stops, #STOPPING)], { from = job.title })
end

-- --- what it says ---------------------------------------------------------------------------------------------------------------------------

local KINDS = { { "^error: ", "bad" }, { "^warning: ", "warning" }, { "^done: ", "good" } }

--- Its kind for the console, and the text without the word that says so. nil: a line of progress, with how far it is.
function M.sorted(text)
  local label, done, total, words = text:match "^%s+(.-) %[[= ]*%] (%d+)/(%d+)%s*(.*)$"
  if label then return nil, { label = label, done = tonumber(done), total = tonumber(total), words = words } end
  for _, pair in ipairs(KINDS) do
    local _, stop = text:find(pair[1])
    if stop then return pair[2], pair[2] == "good" and text or text:sub(stop + 1) end
  end
  return "info", (text:gsub("^%s+", ""))
end

--- What an exit code means, for people: kind and sentence.
function M.told(code)
  if code == 0 then return "good", "done" end
  if code == 130 then return "warning", "stopped; what came until then is kept, the same again goes on" end
  if code == 75 then return "warning", "somebody else is at work, or a service cannot answer now: try again later; what came is kept" end
  if code == 3 then return "bad", "not permitted" end
  if code == 2 then return "bad", "this cannot be done as it was asked for" end
  if code == 4 then return "bad", "the result is not as it was expected" end
  if code > 128 then return "bad", ("it was ended (signal %d); what came until then is kept"):format(code - 128) end
  return "bad", "it failed; what came until then is kept"
end

--- Read what it said. True when there is something new to see.
function M.look(view)
  local job = view.job
  if not job then return false end
  local lines, code = job:read()
  for _, line in ipairs(lines) do
    local kind, what = M.sorted(line.text)
    if kind then what = job:unplaced(what) end
    if kind == nil then
      job.done, job.total, job.words, job.counted = what.done, what.total, what.words, true
      job.counts = what.total ~= job.of and what.label or nil -- a model that is read has its own numbers
    elseif what:find "%S" then
      console.tell(view, kind, what, { from = job.title })
      if kind == "bad" then job.trouble = job.trouble or what
      elseif job.trouble then job.advice = job.advice or what:match "^= (.+)$" end
      if kind == "warning" then job.warnings = (job.warnings or 0) + 1 end
    end
  end
  local now = log.clock()
  local came = false
  if job.came and (code or not job.looked or now - job.looked >= EVERY) then
    job.looked = now
    came = job.came(job) or false
  end
  if code then
    view.job = nil
    local kind, words = M.told(code)
    if kind == "bad" and job.trouble then words = job.trouble .. (job.advice and ": " .. job.advice or "") end
    if kind == "good" and job.warnings then words = ("%s, with %s (F12)"):format(words, set.count(job.warnings, "warning")) end
    if job.ended then
      local said, as = job.ended(job, code, words)
      words, kind = said or words, as or kind
    end
    view:say(kind, ("%s: %s"):format(job.title, words))
    if job.then_close then view.closed = true end
  end
  return code ~= nil or came or #lines > 0
end

-- How much is done, of what.
local function far(job) return ("%s%d of %d"):format(job.counts and job.counts .. ", " or "", job.done, job.total) end

--- How far it is; the button that stops it.
function M.bar(view, area)
  local ui, job = view.ui, view.job
  ui.w:fill(area.x, area.y, area.width, area.height, ui.theme.panel)
  ui.w:fill(area.x, area.y, area.width, 1, ui.theme.line)
  local inner = rect.inset(area, 10, 4)
  local title = STOPS[math.min(job.stops + 1, #STOPS)]
  if ui:button("job stop", rect.right(inner, 84, 12), title, { color = ui.theme.bad, keys = "Ctrl+Shift+X",
    tip = job.stops == 0 and "what was begun is finished and kept" or job.stops == 1 and "now, without what is on its way" or "at once" }) then
    M.stop(view)
  end
  local words = job.stops > 0 and STOPPING[math.min(job.stops, #STOPPING)] or job.words
  if job.counted then words = ("%s  \u{B7}  %s"):format(far(job), words) end
  local width = ui:label(rect.left(inner, inner.width * 0.5, 12), ("%s: %s"):format(job.about, words), { size = theme.size.small })
  inner.x, inner.width = area.x + 22 + width, math.max(inner.x + inner.width - area.x - 22 - width, 0)
  ui:progress(rect.inset(inner, 0, (inner.height - 8) / 2), job.counted and job.done / math.max(job.total, 1) or nil)
end

-- --- closing the window while it works --------------------------------------------------------------------------------------------------------

--- Whether the window stays open for now: a person is asked. `signal`: Ctrl-C in the terminal, which is meant for the job, too.
---@return boolean
function M.holds(view, signal)
  local job = view.job
  if not job then return false end
  if signal then
    job.then_close = true
    M.stop(view)
  elseif not job.then_close then
    view:open("choosebox", { title = "It is still at work", about = ("%s: %s"):format(job.about, job.counted
      and far(job) .. " are done" or job.words) .. ". What came until now is kept in any case.",
      answers = { { "Stop it, then close", function()
        job.then_close = true
        if view.job == job then M.stop(view) else view.closed = true end
      end }, { "Close when it is done", function()
        job.then_close = true
        if view.job ~= job then view.closed = true end
      end }, { "Stay", function() end } } })
  else
    M.stop(view) -- asked before: a stage further
  end
  return true
end

M.actions = {
  { id = "job stop", title = "Stop what is at work; again: now", keys = { "ctrl+shift+x" }, group = "Program",
    when = function(view) return view.job ~= nil end, run = M.stop },
}

return M
