#!/usr/bin/env calotype
-- From a folder of 22 files to a dataset that a trainer takes: what is broken, tiny, blurred or there twice goes, with the
-- reason; the rest gets captions with a made-up trigger.
recipe "pinwheels" {
  about = "Curate, caption and export the pinwheel pictures", license = "MIT", version = "1.0",
}
local p = params {
  data    = { here "pictures", kind = "folder", help = "pictures of one thing" },
  trigger = { "pnwhl", help = "a made-up word that will stand for it" },
  out     = { "out/shapes", kind = "folder", help = "where the results go" },
}

local pinwheels = images(p.data)
  :orient()
  :reject  { side_below = 128, sharpness_below = 60 }
  :dedupe  { by = "phash", distance = 4, keep = "largest" }
  :caption { with = template { text = "a picture of a [trigger]" }, trigger = p.trigger }
  :bucket  { resolution = 256, min = 128, max = 512, step = 64 }

pinwheels:expect { count = { 12, 20 } }
pinwheels:sheet  { to = "${out}/sheet.png" }
pinwheels:export { as = "replicate", to = "${out}/pinwheels.zip" }
pinwheels:export { as = "kohya", to = "${out}/kohya" }
pinwheels:report { to = "${out}/report.html" }
