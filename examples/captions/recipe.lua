#!/usr/bin/env calotype
-- Captions without a key and without the internet: BLIP writes a sentence, its matcher says which sentences do not belong to their pictures, a
-- tagger adds tags, and a folder comes out that kohya trains on. The models, once, 3.2 GB in all:
--
--   calotype get hf:Salesforce/blip-image-captioning-large     (1.9 GB; -base, 1 GB, does with -p writer=models/blip-image-captioning-base)
--   calotype get hf:Salesforce/blip-itm-base-coco              (0.9 GB)
--   calotype get hf:SmilingWolf/wd-vit-tagger-v3               (0.4 GB)
--   calotype examples/captions/recipe.lua -p data=photos -p trigger=zkr
recipe "captions-at-home" {
  about = "Caption, score, tag and export a folder with models on this machine", license = "MIT", version = "1.0",
  allow = { read = { "${data}", "${writer}", "${matcher}", "${tagger}" }, write = { "${out}" }, gpu = true },
}
local p = params {
  data    = { here "../shapes/pictures", kind = "folder", help = "pictures" },
  trigger = { "zkr", help = "a made-up word that will stand for what they show" },
  writer  = { "models/blip-image-captioning-large", kind = "model", help = "writes sentences" },
  matcher = { "models/blip-itm-base-coco", kind = "model", help = "says whether a sentence belongs to its picture" },
  tagger  = { "models/wd-vit-tagger-v3", kind = "model", help = "gives tags" },
  longest = { 30, min = 2, max = 512, help = "pieces of words of a sentence" },
  penalty = { 1.1, min = 1, max = 10, help = "more than 1 against sentences that go in circles" },
  match   = { 0.1, min = 0, max = 1, help = "sentences below it are left out with their pictures" },
  out     = { "out/captions", kind = "folder", help = "where the results go" },
}

local told = images(p.data)
  :reject  { side_below = 128 }
  :dedupe  { by = "phash", distance = 4, keep = "largest" }
  :caption { with = blip { model = p.writer, longest = p.longest, penalty = p.penalty }, trigger = p.trigger }
  :score   { model = p.matcher }
  :reject  { match_below = p.match }

told:sheet  { to = "${out}/sheet.png" }
told:report { to = "${out}/report.html" } -- the numbers with their histogram

told:caption { with = wd14 { model = p.tagger }, append = true }
  :export { as = "kohya", to = "${out}/kohya" }
