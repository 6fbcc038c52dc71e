-- Made by make.py; imagehash 4.3.2, Pillow 13.0.0, numpy 2.4.6.
return {
  { file = "hash-0.png", phash = "ab03c72d823a1f5e", entropy = 8.293131, brightness = { 0.094118, 0.216275, 0.423529, 0.709804, 0.736353 } },
  { file = "hash-1.png", phash = "9435f57497e242d2", entropy = 8.322592, brightness = { 0.173451, 0.223529, 0.490196, 0.827451, 0.854902 } },
  { file = "hash-2.png", phash = "a66f4f06b3116c6c", entropy = 8.584504, brightness = { 0.095922, 0.215686, 0.462745, 0.878431, 0.897137 } },
  { file = "hash-3.png", phash = "cbc93e373813661c", entropy = 8.085888, brightness = { 0.153843, 0.172549, 0.341176, 0.713725, 0.733333 } },
  { file = "hash-4.png", phash = "80d08f0f5f1f872e", entropy = 8.297946, brightness = { 0.101961, 0.301961, 0.611765, 0.854314, 0.866667 } },
  { file = "hash-5.png", phash = "9223b39ca8f2f1aa", entropy = 8.352528, brightness = { 0.134235, 0.180392, 0.400000, 0.603922, 0.654000 } },
  { file = "hash-6.png", phash = "948573c34e2ea567", entropy = 7.933727, brightness = { 0.113725, 0.219608, 0.545098, 0.827451, 0.847059 } },
  { file = "hash-7.png", phash = "c235d88c0d9fcd87", entropy = 8.591776, brightness = { 0.159569, 0.223529, 0.529412, 0.901961, 0.925490 } },
  { file = "photo-0.jpg", phash = "d2112d6f4a24e5bd", entropy = 9.106809, brightness = { 0.102685, 0.124236, 0.544939, 0.838315, 0.860343 } },
  { file = "photo-1.jpg", phash = "c645b87c767c4683", entropy = 8.931509, brightness = { 0.186376, 0.261455, 0.410917, 0.637207, 0.670887 } },
  { file = "photo-2.jpg", phash = "9c3671720eae0bb9", entropy = 8.824461, brightness = { 0.104724, 0.172279, 0.466550, 0.620838, 0.641499 } },
  { file = "photo-3.jpg", phash = "a49c1b178e59e731", entropy = 8.871473, brightness = { 0.103096, 0.143800, 0.383754, 0.705111, 0.733826 } },
  { file = "photo-4.jpg", phash = "a870f80e3323c7dd", entropy = 9.084691, brightness = { 0.137842, 0.198050, 0.454188, 0.687785, 0.830762 } },
  { file = "photo-5.jpg", phash = "8353e3e2f4b83919", entropy = 9.169884, brightness = { 0.175385, 0.235781, 0.488414, 0.794332, 0.844465 } },
}
