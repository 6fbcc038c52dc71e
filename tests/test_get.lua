-- calotype get and calotype models: what is chosen, what is fetched from the fake hub, what is told.
local choose = require "hub.choose"
local fake = dofile "tests/fake.lua"
local fs = require "native.fs"
local hubs = require "native.hub"
local json = require "native.json"

-- --- What is chosen ---------------------------------------------------------------------------------------------------------

local function entries(text)
  local list = {}
  for path in text:gmatch "%S+" do list[#list + 1] = { path = path, size = 10 } end
  return list
end

local function chosen(text, options)
  local list, left, hint = choose.files(entries(text), options or {})
  if not list then return nil, left, hint end
  local names, rest = {}, {}
  for i, entry in ipairs(list) do names[i] = entry.path end
  for i, entry in ipairs(left) do rest[i] = entry.path end
  return table.concat(names, " "), table.concat(rest, " ")
end

local DIFFUSERS = [[
.gitattributes README.md LICENSE.md model_index.json v1-5-pruned.ckpt v1-5-pruned.safetensors samples/a.png
scheduler/scheduler_config.json text_encoder/config.json text_encoder/model.safetensors text_encoder/model.fp16.safetensors
text_encoder/pytorch_model.bin text_encoder/flax_model.msgpack text_encoder/openvino_model.xml
tokenizer/merges.txt tokenizer/vocab.json tokenizer/tokenizer_config.json
unet/config.json unet/diffusion_pytorch_model.safetensors unet/diffusion_pytorch_model.non_ema.safetensors
unet/diffusion_pytorch_model.fp16.safetensors unet/diffusion_pytorch_model.bin
vae/config.json vae/diffusion_pytorch_model.bin onnx/weights.pb]]

test("of a diffusers folder each part is taken once, safetensors before others", function()
  local names, left = chosen(DIFFUSERS)
  check.equal(names, "LICENSE.md README.md model_index.json scheduler/scheduler_config.json text_encoder/config.json text_encoder/model.safetensors "
    .. "tokenizer/merges.txt tokenizer/tokenizer_config.json tokenizer/vocab.json unet/config.json unet/diffusion_pytorch_model.safetensors "
    .. "vae/config.json vae/diffusion_pytorch_model.bin")
  check.contains(left, "unet/diffusion_pytorch_model.non_ema.safetensors")
  check.contains(left, "v1-5-pruned.safetensors")
  check.ok(not left:find "onnx", "a folder that is no part is not offered")
end)

test("a variant is taken where there is one, and only one of several", function()
  local names = chosen(DIFFUSERS, { variant = "fp16" })
  check.contains(names, "text_encoder/model.fp16.safetensors")
  check.contains(names, "unet/diffusion_pytorch_model.fp16.safetensors")
  check.contains(names, "vae/diffusion_pytorch_model.bin")
  check.ok(not names:find("model.safetensors", 1, true))
  check.equal(chosen "model_index.json unet/config.json unet/diffusion_pytorch_model.fp16.safetensors unet/diffusion_pytorch_model.ema.safetensors",
    "model_index.json unet/config.json unet/diffusion_pytorch_model.fp16.safetensors")
end)

test("weights in several files come with their index", function()
  check.equal(chosen [[model_index.json transformer/config.json transformer/diffusion_pytorch_model-00001-of-00002.safetensors
    transformer/diffusion_pytorch_model-00002-of-00002.safetensors transformer/diffusion_pytorch_model.safetensors.index.json
    transformer/diffusion_pytorch_model.fp16-00001-of-00001.safetensors transformer/diffusion_pytorch_model.safetensors.index.fp16.json]],
    "model_index.json transformer/config.json transformer/diffusion_pytorch_model-00001-of-00002.safetensors "
    .. "transformer/diffusion_pytorch_model-00002-of-00002.safetensors transformer/diffusion_pytorch_model.safetensors.index.json")
end)

test("of a transformers folder the root is taken", function()
  check.equal(chosen "config.json model.safetensors pytorch_model.bin tf_model.h5 tokenizer.json merges.txt spiece.model chat_template.jinja README.md onnx/model.onnx",
    "README.md chat_template.jinja config.json merges.txt model.safetensors spiece.model tokenizer.json")
  check.equal(chosen "config.json pytorch_model.bin pytorch_model.bin.index.json model.py", "config.json pytorch_model.bin pytorch_model.bin.index.json")
end)

test("what a model that looks at pictures needs comes along: words, tags, how pictures are made ready", function()
  check.equal(chosen [[.gitattributes README.md config.json model.msgpack model.onnx model.safetensors selected_tags.csv sw_jax_cv_config.json]],
    "README.md config.json model.safetensors selected_tags.csv sw_jax_cv_config.json")
  check.equal(chosen [[.gitattributes README.md config.json preprocessor_config.json pytorch_model.bin special_tokens_map.json tf_model.h5 tokenizer.json
    tokenizer_config.json vocab.txt]], "README.md config.json preprocessor_config.json pytorch_model.bin special_tokens_map.json tokenizer.json "
    .. "tokenizer_config.json vocab.txt")
end)

test("where nothing says what is one model, the only weights are taken or the names are asked for", function()
  check.equal(chosen "README.md lora.safetensors old.ckpt a.json picture.png", "README.md a.json lora.safetensors")
  check.equal(chosen "flux1-dev.v2.gguf", "flux1-dev.v2.gguf")
  local none, why, hint = chosen "a.safetensors b.safetensors"
  check.equal(none, nil)
  check.contains(why, "2 files of weights and nothing that says which are one model: a.safetensors, b.safetensors")
  check.contains(hint, "name the files")
  why = select(2, chosen "README.md picture.png")
  check.contains(why, "nothing in its root looks like a model")
end)

test("a pattern takes all that fit, and its letters mean themselves", function()
  local names = "a-b.json a+b.json vae/x.json vae/deep/y.bin vae.txt 100%.txt"
  check.equal(chosen(names, { pattern = "vae/*" }), "vae/deep/y.bin vae/x.json")
  check.equal(chosen(names, { pattern = "vae/" }), "vae/deep/y.bin vae/x.json")
  check.equal(chosen(names, { pattern = "a-b.json" }), "a-b.json")
  check.equal(chosen(names, { pattern = "a?b.json" }), "a+b.json a-b.json")
  check.equal(chosen(names, { pattern = "*%.txt" }), "100%.txt")
  check.equal(chosen(names, { pattern = "*.json" }), "a+b.json a-b.json vae/x.json")
  local none, why = chosen(names, { pattern = "[" })
  check.equal(none, nil)
  check.contains(why, "no file is '['")
end)

-- --- The command against the fake hub -----------------------------------------------------------------------------------------

local server <close> = fake.start()
local LARGE = "unet/diffusion_pytorch_model.safetensors"

local function folder_of(name)
  local path = tmp(name)
  assert(fs.make_folder(path))
  return path
end

local function run(folder, words, environment)
  local out = io.popen(("(%s) 2>&1; echo \"exit $?\""):format(fake.command(folder, words, environment)))
  local text, code = out:read("a"):match "^(.*)exit (%d+)\n$"
  out:close()
  return tonumber(code), text
end

local function get(folder, scenario, words, more)
  local environment = { HF_ENDPOINT = server:url(scenario) }
  for key, value in pairs(more or {}) do environment[key] = value end
  return run(folder, "get " .. words, environment)
end

local function ends(code, got, text, part)
  check.equal(got, code, text)
  if part then check.contains(text, part) end
  return text
end

local function files(folder)
  local names = {}
  for _, file in ipairs(fs.list(folder, true) or {}) do
    if file.kind == "file" then names[#names + 1] = file.path:sub(#folder + 2) end
  end
  return names
end

test("a model comes whole, and again nothing is fetched", function()
  local folder = folder_of "whole"
  local text = ends(0, get(folder, "ok=whole", "hf:fake/sd"))
  check.contains(text, "hf:fake/sd at 0123456789ab -> models/sd")
  check.contains(text, "11 files, 301 kB\n")
  check.contains(text, "models/sd is here, checked by hash")
  check.equal(#files(folder .. "/models/sd"), 12) -- and calotype.json
  local noted = assert(json.decode(assert(fs.read(folder .. "/models/sd/calotype.json"))))
  check.equal(noted.from, "hf:fake/sd")
  check.equal(noted.commit, "0123456789abcdef0123456789abcdef01234567")
  for name, file in pairs(noted.files) do check.ok(hubs.check(folder .. "/models/sd/" .. name, file.hash), name) end
  local before = #server:requests "ok=whole"
  text = ends(0, get(folder, "ok=whole", "hf:fake/sd"))
  check.contains(text, "11 files, 301 kB; nothing to fetch\nmodels/sd has all of it already")
  check.equal(#server:requests "ok=whole" - before, 2) -- what it is, and its list
  -- a file that is gone is all that is fetched; calotype.json is not needed for the others
  assert(fs.remove(folder .. "/models/sd/vae/config.json"))
  assert(fs.remove(folder .. "/models/sd/calotype.json"))
  text = ends(0, get(folder, "ok=whole", "hf:fake/sd"))
  check.contains(text, "11 files, 301 kB; 43 bytes to fetch")
end)

test("the list can be seen without fetching anything", function()
  local folder = folder_of "list"
  local text = ends(0, get(folder, "ok=list", "hf:fake/sd:vae/* list=yes"))
  check.contains(text, "  vae/config.json                            43 bytes\n")
  check.equal(#files(folder), 0)
  ends(0, get(folder, "pages=list", "hf:fake/sd@main list=yes"))
  check.contains(select(2, get(folder, "pages=list", "hf:fake/sd list=yes")), "11 files") -- in two pages
  check.contains(ends(75, get(folder, "pages,circle=list", "hf:fake/sd list=yes")), "its list goes in a circle")
end)

test("one file goes where one says, and the key not to the store", function()
  local folder = folder_of "one"
  local key = "hf_0123456789abcdefghijKLMN"
  local text = ends(0, get(folder, "renamed=one", ("https://huggingface.co/fake/sd:%s to=deep/er"):format(LARGE), { HF_TOKEN = key }))
  check.contains(text, "1 file, 100 kB")
  check.ok(not text:find(key, 1, true))
  check.ok(fs.stat(folder .. "/deep/er/" .. LARGE))
  local own, other = 0, 0
  for _, request in ipairs(server:requests "renamed=one") do
    if request.host == "other" then
      other = other + 1
      check.equal(request.headers.authorization, nil)
    else
      own = own + 1
      check.equal(request.headers.authorization, "Bearer " .. key)
    end
  end
  check.ok(own >= 4 and other == 1, ("%d and %d requests"):format(own, other))
end)

for _, case in ipairs {
  { "cut-once", "a cut connection" }, { "norange,cut-once", "no ranges" }, { "badsum-once", "wrong bytes" }, { "expired-once", "an old address" },
  { "503-once", "a busy hub" }, { "reset-once", "a reset" }, { "direct,cut-once", "without a store" }, { "noetag", "no etag" },
} do
  test("a file is right after " .. case[2], function()
    local folder = folder_of "faults"
    ends(0, get(folder, case[1] .. "=get", ("hf:fake/sd:%s to=m"):format(LARGE)))
    check.equal(table.concat(files(folder .. "/m"), " "), "calotype.json " .. LARGE)
    local noted = assert(json.decode(assert(fs.read(folder .. "/m/calotype.json")))).files[LARGE]
    check.ok(hubs.check(folder .. "/m/" .. LARGE, noted.hash))
  end)
end

test("Ctrl-C keeps the part, says how to go on, and the next run fetches the rest", function()
  local folder = folder_of "stop"
  local out = io.popen(("(%s) 2>&1 & "):format(fake.command(folder, ("get hf:fake/sd:%s to=m"):format(LARGE), { HF_ENDPOINT = server:url "stall-once=stop" }))
    .. ("cd '%s'; for i in $(seq 1200); do [ $(cat m/unet/*.part 2>/dev/null | wc -c) -ge 50000 ] && break; sleep 0.05; done; kill -INT $!; wait $!; echo \"exit $?\"")
    :format(folder))
  local text = out:read "a"
  out:close()
  check.contains(text, "exit 130")
  check.contains(text, ("stopped: fake/sd: %s; 50 kB of 100 kB are kept, and the same command goes on from there"):format(LARGE))
  local part = files(folder .. "/m")[1] or ""
  check.ok(part:find "%.%x+%.part$", part)
  local kept = fs.stat(folder .. "/m/" .. part).size
  check.ok(kept > 0 and kept < 100000)
  check.contains(ends(0, get(folder, "stall-once=stop", ("hf:fake/sd:%s to=m"):format(LARGE))), "going on after 50 kB\n")
  local range
  for _, request in ipairs(server:requests "stall-once=stop") do range = request.headers.range or range end
  check.equal(range, ("bytes=%d-"):format(kept))
  check.equal(table.concat(files(folder .. "/m"), " "), "calotype.json " .. LARGE)
end)

test("what the hub refuses is said with the next step", function()
  local folder, key = folder_of "refused", { HF_TOKEN = "hf_0123456789abcdefghijKLMN" }
  check.contains(ends(3, get(folder, "gated=a", "hf:fake/sd")), "fake/sd is gated: accept its terms at " .. server:url "gated=a" .. "/fake/sd in a browser")
  check.contains(ends(3, get(folder, "gated=b", "hf:fake/sd", key)), "accept its terms with the account that HF_TOKEN belongs to")
  check.contains(ends(3, get(folder, "norepo=a", "hf:fake/sd")), "there is no such repository, or it is private (401)")
  check.contains(ends(2, get(folder, "ok=refused", "hf:fake/sd:no/such.bin")), "hf:fake/sd: no file is 'no/such.bin'")
end)

test("what a repository's list says is not trusted", function()
  local folder = folder_of "evil"
  local text = ends(1, get(folder, "evilpaths", "hf:fake/sd"))
  check.contains(text, "its list has a name that could lead out of the folder: ../outside.txt")
  check.equal(#files(folder), 0)
end)

test("sizes that cannot be are refused before anything is fetched or counted", function()
  local folder = folder_of "sizes"
  check.contains(ends(75, get(folder, "hugesizes", "hf:fake/sd")),
    "fake/sd: its list of files cannot be right: vae/extra-1.safetensors with 900000000000000 bytes") -- the sum
  check.contains(ends(75, get(folder, "hugesize", "hf:fake/sd")), "vae/extra-0.safetensors with 1e+30 bytes")
  check.contains(ends(75, get(folder, "lesssize", "hf:fake/sd list=yes")), "vae/extra-0.safetensors with -5 bytes")
  check.contains(ends(0, get(folder, "nosize", "hf:fake/sd list=yes")), "11 files")
  check.equal(#files(folder), 0)
end)

test("what is there and is another file is never written over", function()
  local folder = folder_of "mine"
  assert(fs.write(folder .. "/m/vae/config.json", "mine"))
  local text = ends(1, get(folder, "ok=mine", "hf:fake/sd to=m"))
  check.contains(text, "m/vae/config.json is there and is another file than that of the hub")
  check.equal(#files(folder), 1)
  assert(fs.write(folder .. "/n/calotype.json", '{"from":"hf:other/model","files":{}}'))
  check.contains(ends(1, get(folder, "ok=mine", "hf:fake/sd to=n")), "n holds hf:other/model")
  assert(fs.write(folder .. "/n/calotype.json", "[]"))
  check.contains(ends(1, get(folder, "ok=mine", "hf:fake/sd to=n")), "n/calotype.json: it does not say where the files came from")
end)

test("wrong words are told before anything is asked", function()
  local folder = folder_of "words"
  local function says(words, part) check.contains(ends(2, get(folder, "words", words)), part) end
  says("fake/sd", "did you mean hf:fake/sd?")
  says("", "calotype get needs more words")
  says("hf:", "does not say where from")
  says("hf:../sd", "is no name of a repository")
  says("hf:a/b/c", "is no name of a repository")
  says("hf:datasets/a/b", "'datasets/a/b' is no model")
  says("hf:a/b@", "ends too early")
  says("hf:a/b vae.json", "one at a time: 'vae.json' is one too many")
  says("hf:a/b ot=x", "did you mean 'to'?")
  says("hf:a/b list=maybe", "list=yes or list=no")
  says("hf:a/b to=", "to= names no folder")
  says("hf:a/b variant=../x", "is no variant")
  check.contains(ends(2, run(folder, "get hf:a/b", { HF_ENDPOINT = "huggingface.co" })), "HF_ENDPOINT (environment) is no address of a server")
  check.contains(ends(75, run(folder, "get hf:a/b", { HF_ENDPOINT = "http://127.0.0.1:" .. server.closed })), "cannot be reached")
  local nowhere = ends(75, run(folder, "get hf:a/b", { HF_ENDPOINT = ("https://%s.invalid"):format(("x"):rep(64)) })) -- no name is so long: nobody is asked for it
  check.contains(nowhere, "no such host, or no network")
  check.contains(nowhere, "the folder of another machine does as well, as models/b")
end)

-- --- What is here -----------------------------------------------------------------------------------------------------------------

test("models ls says what lies there and where it came from", function()
  local folder = folder_of "ls"
  check.contains(ends(0, run(folder, "models ls")), "there is no folder models yet; calotype get hf:OWNER/NAME brings a model")
  ends(0, get(folder, "ok=ls", "hf:fake/sd"))
  assert(fs.write(folder .. "/models/blip/config.json", '{"model_type":"blip","architectures":["BlipForConditionalGeneration"]}'))
  assert(fs.write(folder .. "/models/lora.safetensors", "x"))
  assert(fs.write(folder .. "/models/notes/a.txt", "no model"))
  assert(fs.write(folder .. "/models/half/model.safetensors.0123456789abcdef.part", "x"))
  assert(fs.write(folder .. "/models/sd/vae/config.json", "changed"))
  local text = ends(0, run(folder, "models ls"))
  check.contains(text, "models/blip              BLIP that writes captions, no weights  70 bytes\n")
  check.contains(text, "models/lora.safetensors  safetensors                              1 byte\n")
  check.contains(text, 'train_lora { base = "models/sd" }; hf:fake/sd at 0123456789ab; 1 file is missing or changed\n')
  check.contains(text, "unfinished: calotype get goes on\n")
  check.ok(not text:find "notes")
  check.ok(text:find "remote, as known on %d%d%d%d%-%d%d%-%d%d; dollars for a million tokens\n  gemini  gemini%-", text)
  check.ok(text:find "gemini%-2%.0%-flash no longer answers since 2026%-06%-01: write gemini%-", text)
  assert(fs.write(folder .. "/own.lua", 'return { as_of = "2027-01-02", models = { { service = "openai", id = "own", prices = { { input = 0.105, output = 2 } } } } }'))
  check.contains(ends(0, run(folder, "models ls", { CALOTYPE_MODELS = folder .. "/own.lua" })), "  openai  own                       $0.105 in, $2.00 out\n")
  check.contains(ends(0, run(folder, "models ls in=models/notes/")), "models/notes: no models; calotype get")
end)

test("models ls says which words of a recipe read what lies there, also in PyTorch's files and where huggingface_hub keeps them", function()
  local folder = folder_of "reads"
  local function copy(from, to, names)
    for _, name in ipairs(names) do assert(fs.write(folder .. "/" .. to .. "/" .. name, assert(fs.read("tests/golden/" .. from .. "/" .. name)))) end
  end
  copy("wd14", "models/wd", { "config.json", "model.safetensors", "selected_tags.csv" })
  copy("blip/matcher", "models/itm", { "config.json", "model.safetensors" })
  copy("blip/captioner", "models/blip", { "config.json" })
  dofile "tests/pickle.lua".write(folder .. "/models/blip/pytorch_model.bin", "tests/golden/blip/captioner/model.safetensors")
  copy("blip/captioner", "models/tf", { "config.json" })
  assert(fs.write(folder .. "/models/tf/tf_model.h5", "x"))
  copy("pickle", "models", { "module.bin", "runs.bin" })
  copy("blip/captioner", "hub/models--a--b/blobs", { "config.json", "model.safetensors" })
  fs.make_folder(folder .. "/hub/models--a--b/snapshots/0123")
  check.ok(os.execute(("cd '%s/hub/models--a--b/snapshots/0123' && ln -s ../../blobs/* ."):format(folder)))
  local text = ends(0, run(folder, "models ls"))
  check.contains(text, 'wd14 { model = "models/wd" }\n')
  check.contains(text, ':score { by = "blip-itm", model = "models/itm" }\n')
  check.ok(text:find 'models/blip +BLIP that writes captions +%d+ kB  blip { model = "models/blip" }\n', text)
  check.ok(text:find "models/tf +BLIP that writes captions %(only TensorFlow%) +%d+ bytes\n", text)
  check.ok(text:find "models/module.bin +PyTorch +%d+ kB\n", text)
  check.ok(not text:find "runs.bin", text)
  check.contains(ends(0, run(folder, "models ls in=hub")), 'blip { model = "hub/models--a--b/snapshots/0123" }\n')
end)

test("a process that is killed leaves a part that the next one goes on with", function()
  local folder = folder_of "killed"
  local out = io.popen(("(%s) 2>&1 & "):format(fake.command(folder, ("get hf:fake/sd:%s to=m"):format(LARGE), { HF_ENDPOINT = server:url "stall-once=kill" }))
    .. ("cd '%s'; for i in $(seq 1200); do [ -s m/unet/*.part ] && break; sleep 0.05; done 2>/dev/null; kill -KILL $!; wait $!; echo \"exit $?\"")
    :format(folder))
  check.contains(out:read "a", "exit 137")
  out:close()
  check.contains(table.concat(files(folder .. "/m"), " "), ".part")
  check.contains(ends(0, run(folder, "models ls in=.")), "unfinished: calotype get goes on")
  ends(0, get(folder, "stall-once=kill", ("hf:fake/sd:%s to=m"):format(LARGE)))
  check.equal(table.concat(files(folder .. "/m"), " "), "calotype.json " .. LARGE)
end)

test("models has words of its own", function()
  local folder = folder_of "lswords"
  check.contains(ends(2, run(folder, "models")), "calotype models needs more words: ls")
  check.contains(ends(2, run(folder, "models lss")), "did you mean 'ls'?")
  check.contains(ends(2, run(folder, "models ls x")), "takes nothing more, not 'x'")
  check.contains(ends(2, run(folder, "models ls at=x")), "has no setting 'at'")
  check.contains(ends(0, run(folder, "help get")), "HF_TOKEN, in the environment or in .env")
  check.contains(ends(0, run(folder, "help models")), "calotype models ls [in=FOLDER]")
end)
