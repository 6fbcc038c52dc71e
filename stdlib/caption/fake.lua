-- Made-up captions from what was measured and from the content: always the same for the same picture. For tests and classes.
local THINGS = { "boat", "lantern", "meadow", "teapot", "staircase", "violin", "harbour", "orchard", "bicycle", "window", "kite", "bridge" }
local LOOKS = { "an old", "a quiet", "a crowded", "a narrow", "a painted", "a lonely", "a wooden", "a distant" }

return {
  name = "fake", version = 1, author = "model", instant = true,
  doc = "Invented words, the same each time for the same picture: to try a recipe without asking anyone.",
  example = "photos:caption { with = fake { seed = 1 } }",
  options = { { "seed", "integer", min = 0, default = 0, doc = "another seed, other words" } },
  ask = function(items, options, emit)
    for i, item in ipairs(items) do
      local number = tonumber(item.sha256:sub(1, 8), 16) + options.seed * 7919
      local shape = item.width > item.height * 1.1 and "wide" or item.height > item.width * 1.1 and "tall" or "square"
      local middle = item.brightness and item.brightness.p50 or 0.5
      local light = middle < 0.3 and "dark" or middle > 0.7 and "bright" or "even"
      emit(i, ("a %s picture of %s %s in %s light"):format(shape, LOOKS[number % #LOOKS + 1], THINGS[number // #LOOKS % #THINGS + 1], light))
    end
  end,
}
