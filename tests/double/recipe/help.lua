return {
  text = function(topic)
    if topic == "rejct" then return "there is no help on 'rejct'; did you mean 'reject'?", false end
    return topic == "" and "topics: images" or "help for " .. topic
  end,
  complete = function() return {} end,
}
