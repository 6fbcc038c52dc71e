-- A LoRA on the tiny random base for check_lora.py: few steps at a high rate, so that it changes every layer.
local p = params { out = { "/tmp/lora", kind = "folder", help = "where it goes; noise.safetensors is there already" } }

for i = 1, 5 do
  local picture = image.new(40, i > 3 and 40 or 32, { 40 * i, 255 - 40 * i, 99 })
  picture:circle(8 * i - 4, 16, 6, { 255, 250, 20 * i })
  assert(fs.write(("%s/photos/p%d.png"):format(p.out, i), picture:encode "png"))
end

local photos = images "${out}/photos" :caption { with = template { text = "a photo of {stem}, [trigger]" }, trigger = "zkr", replace = true }
local lora = photos:train_lora {
  base = here "tiny", resolution = 16, rank = 4, alpha = 2, steps = 40, lr = { unet = 1e-2, text = 5e-3 }, targets = "everything",
  checkpoint = { every = 20, to = "${out}/checkpoints" },
}
lora:export { to = "${out}/[trigger].safetensors" }
lora:samples { prompts = { "a red [trigger]" }, steps = 20, noise = "${out}/noise.safetensors", to = "${out}/grid.png", pictures = "${out}/each" }
