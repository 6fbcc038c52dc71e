-- Captions that people wrote beside the pictures. They come along with `images`, so there is nothing to ask for here.
return {
  name = "sidecar", version = 1, author = "human",
  doc = "Captions from name.txt (or name.caption) beside each picture, and nothing else.",
  example = "photos:caption { with = sidecar {} }",
  ask = function() end,
}
