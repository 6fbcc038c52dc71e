#!/usr/bin/env calotype
-- From a folder of 22 files to a LoRA: what is broken, tiny, blurred or there twice goes, with the reason; the rest gets captions with a
-- made-up trigger; a base that never saw such a thing learns it; and it is counted how often it draws it, with the LoRA and without.
recipe "pinwheels" {
  about = "Curate and caption the pinwheel pictures, teach them to the tiny base, and see that it draws them", license = "MIT", version = "2.0",
}
local p = params {
  data    = { here "pictures", kind = "folder", help = "pictures of one thing" },
  base    = { here "../models/tiny", kind = "model", help = "what is taught: a model as diffusers keeps it" },
  trigger = { "pnwhl", help = "a made-up word that will stand for the thing" },
  steps   = { 700, min = 1, help = "of training" },
  others  = { 32, min = 1, max = 400, help = "pictures without the thing, drawn by the base, to be trained on beside" },
  drawn   = { 32, min = 1, max = 1000, help = "pictures drawn to count how many show it" },
  noise   = { kind = "file", help = "draw from this noise too, to compare with other programs (tests/golden/check_lora.py)" },
  out     = { "out/shapes", kind = "folder", help = "where the results go" },
}
local measure = require "measure"

-- The pictures.
local pinwheels = images(p.data)
  :orient()
  :reject  { side_below = 128, sharpness_below = 60 }
  :dedupe  { by = "phash", distance = 4, keep = "largest" }
  :caption { with = template { text = "a picture of a [trigger]" }, trigger = p.trigger }

pinwheels:expect { count = { 12, 20 } }
pinwheels:sheet  { to = "${out}/sheet.png" }
pinwheels:export { as = "replicate", to = "${out}/pinwheels.zip" }
pinwheels:export { as = "kohya", to = "${out}/kohya" }
pinwheels:report { to = "${out}/pictures.html" }

-- What the base draws by itself, so that it goes on drawing that where the trigger is missing.
local others = images.drawn {
  base = p.base, count = p.others, cfg = 4, to = "${out}/others",
  prompts = {
    "a picture of a", "a picture of a big red circle on a white background", "a picture of a", "a picture of two green squares on a black background",
    "a picture of a", "a picture of a purple star on a grey background", "a picture of a", "a picture of a blue ring on a sand background",
  },
}

-- The LoRA: one picture of the others to four pinwheels.
local lora = images.join { pinwheels, others:weight(4 / p.others) } :train_lora {
  base = p.base, resolution = 64, rank = 16, targets = "everything", steps = p.steps, batch = 8, lr = 1e-3, warmup = 10, cooldown = p.steps // 3,
  checkpoint = { every = 350, to = "${out}/checkpoints" },
}
lora:export { to = "${out}/[trigger].safetensors" }
lora:report { to = "${out}/report.html" }

-- Does it draw what it learned? And only when it is called?
local seeds = {}
for i = 1, p.drawn do seeds[i] = i - 1 end
lora:samples {
  prompts = { "a picture of a" }, seeds = seeds, strength = { 1 }, cfg = 2, to = "${out}/without-trigger.png",
  count = measure.shown, counting = "concept shown without the trigger",
}
lora:samples {
  prompts = { "a picture of a [trigger]" }, seeds = seeds, cfg = 2, to = "${out}/grid.png", count = measure.shown, counting = "concept shown",
}
if p.noise then
  lora:samples {
    prompts = { "a picture of a [trigger]" }, noise = p.noise, cfg = 2, to = "${out}/from-noise.png", pictures = "${out}/from-noise",
  }
end
