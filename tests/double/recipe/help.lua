return {
  text = function(topic) return topic == "" and "topics: images" or "help for " .. topic end,
  complete = function() return {} end,
}
