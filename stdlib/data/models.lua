-- models.lua - remote models as they were known on the day `as_of`: what they cost, how they think, what became of old names.
--
-- CALOTYPE_MODELS=FILE names a file of this shape that is laid over this one: its rows replace those of the same service and id, its chains
-- those of the same service. `calotype plan` tells which date a price is of.
--
-- A row:
--   state     "current", "served" (an older one, still there), "preview", "ending" (with `ends`), "moves" (an alias: what it is may change)
--   prices    dollars for a million tokens in and out, thinking counts as out; the first row whose `until_` (that day included) is not over
--             is the price. No prices: unknown, and never 0
--   picture   tokens of a picture at each resolution; { tile = 768, each = 258 }: so many for each tile of that side
--   thinking  style "level" or "budget"; least: the least that the model allows; levels: all of them
return {
  as_of = "2026-11-20",
  -- asked in this order where a recipe names no model: the next one when a model is gone, full, or its quota is used up
  chains = {
    gemini = { "gemini-3.8-flash", "gemini-3.6-flash", "gemini-3.5-flash-lite", "gemini-3.1-flash-lite" },
  },
  batch = { gemini = 0.5 }, -- what a batch costs of the price
  -- bytes: of questions inside the call; beyond, of a file of questions, and of the pieces it is sent in; of all files that the service keeps
  batch_limits = { gemini = { inside = 20 << 20, file = 2000000000, piece = 8 << 20, files = 20000000000 } },
  models = {
    { service = "gemini", id = "gemini-3.8-flash", state = "current", since = "2026-09-02", output_limit = 65536,
      prices = { { until_ = "2026-12-31", input = 0.75, output = 3.75 }, { input = 1.50, output = 7.50 } },
      picture = { low = 280, medium = 560, high = 1120 },
      thinking = { style = "level", least = "low", levels = { "low", "medium", "high" } } },
    { service = "gemini", id = "gemini-3.6-flash", state = "served", since = "2026-07-21", output_limit = 65536,
      prices = { { input = 1.50, output = 7.50 } }, picture = { low = 280, medium = 560, high = 1120 },
      thinking = { style = "level", least = "low", levels = { "low", "medium", "high" } } },
    { service = "gemini", id = "gemini-3.5-flash-lite", state = "current", since = "2026-07-21", output_limit = 65536,
      prices = { { input = 0.30, output = 2.50 } }, picture = { low = 280, medium = 560, high = 1120 },
      thinking = { style = "level", least = "minimal", levels = { "minimal", "low", "medium", "high" } } },
    { service = "gemini", id = "gemini-3.1-flash-lite", state = "served", since = "2026-05-07", output_limit = 65536,
      prices = { { input = 0.25, output = 1.50 } }, picture = { low = 280, medium = 560, high = 1120 },
      thinking = { style = "level", least = "low", levels = { "low", "medium", "high" } } },
    { service = "gemini", id = "gemini-3.1-pro-preview", state = "preview", output_limit = 65536,
      prices = { { input = 2.00, output = 12.00 } }, picture = { low = 280, medium = 560, high = 1120 },
      thinking = { style = "level", least = "low", levels = { "low", "medium", "high" } } },
    { service = "gemini", id = "gemini-2.5-flash-lite", state = "served", output_limit = 65536,
      picture = { low = 64, medium = 256, high = { tile = 768, each = 258 } }, thinking = { style = "budget", least = 0, most = 24576 } },
    { service = "gemini", id = "gemini-2.5-flash", state = "ending", ends = "2026-12-01", now = "gemini-3.5-flash-lite", output_limit = 65536,
      prices = { { input = 0.30, output = 2.50 } }, -- also that of the model it is routed to
      picture = { low = 64, medium = 256, high = { tile = 768, each = 258 } }, thinking = { style = "budget", least = 0, most = 24576 } },
    { service = "gemini", id = "gemini-2.5-pro", state = "ending", ends = "2026-12-01", now = "gemini-3.8-flash", output_limit = 65536,
      prices = { { until_ = "2026-11-30", input = 1.25, output = 10.00 }, { until_ = "2026-12-31", input = 0.75, output = 3.75 },
        { input = 1.50, output = 7.50 } },
      picture = { low = 64, medium = 256, high = { tile = 768, each = 258 } }, thinking = { style = "budget", least = 128, most = 32768 } },
    { service = "gemini", id = "gemini-flash-latest", state = "moves" },
    { service = "gemini", id = "gemini-flash-lite-latest", state = "moves" },
    { service = "gemini", id = "gemini-pro-latest", state = "moves" },
  },
  -- Names that no longer answer, or answer as another model: since when, and what to write instead.
  retired = {
    { service = "gemini", id = "gemini-2.0-flash", since = "2026-06-01", now = "gemini-3.5-flash-lite" },
    { service = "gemini", id = "gemini-2.0-flash-001", since = "2026-06-01", now = "gemini-3.5-flash-lite" },
    { service = "gemini", id = "gemini-2.0-flash-lite", since = "2026-06-01", now = "gemini-3.5-flash-lite" },
    { service = "gemini", id = "gemini-2.0-flash-lite-001", since = "2026-06-01", now = "gemini-3.5-flash-lite" },
    { service = "gemini", id = "gemini-3.5-flash", since = "2026-10-08", now = "gemini-3.6-flash", routed = true },
    { service = "gemini", id = "gemini-3.7-flash", since = "2026-10-08", now = "gemini-3.8-flash", routed = true },
  },
}
