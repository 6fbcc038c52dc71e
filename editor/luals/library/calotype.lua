---@meta calotype
-- Made from the schemas by stdlib/recipe/stubs.lua: `CALOTYPE_WRITE=1 make test T=stubs` writes it again.

---@class calotype.money
---@field usd number

---@class calotype.provider
---@field provider string

---A picture as callbacks get it.
---@class calotype.picture
---@field path string
---@field name string
---@field stem string
---@field width integer as displayed
---@field height integer
---@field format string
---@field sharpness number
---@field entropy number bits
---@field brightness table<string, number> percentiles p1 p5 p50 p95 p99 in 0 to 1
---@field caption? string may be changed by :edit
---@field match? number how well the caption belongs to it, 0 to 1, after :score
---@field weight number may be changed by :edit
---@field trigger? string

---A set of pictures. Verbs return new sets; nothing is computed until an output asks.
---@class calotype.images
---@operator len: integer
local images_set = {}

---A trained LoRA.
---@class calotype.lora
local lora = {}

---@class calotype.images_options
---@field from? string|string[] folders, or single picture files (a list of folders, required)
---@field recursive? boolean read the folders below them too (true or false, default false)

---@class calotype.join_options
---@field sets? calotype.images|calotype.images[] the sets to join (a list of stages, required)

---@class calotype.drawn_options
---@field base string a model as diffusers keeps it (a folder, required)
---@field prompts string|string[] what is drawn, in turn (a list of texts, required)
---@field count? integer how many pictures; one for each prompt when left out (a whole number, 1 to 100000)
---@field negative? string what guidance leads away from (text)
---@field seed? integer the noise of the first picture; the next has the next seed (a whole number, at least 0, default 0)
---@field steps? integer of the sampler (a whole number, 1 to 1000, default 20)
---@field cfg? number guidance; 1 follows the prompt as trained (a number, 0 to 100, default 7.5)
---@field sampler? "ddim"|"euler" how noise is taken away ("ddim" or "euler", default "ddim")
---@field width? integer the base's own when left out (a whole number, 8 to 4096 px)
---@field height? integer the base's own when left out (a whole number, 8 to 4096 px)
---@field to string where the pictures go, as PNG files (a folder, required)
---@field device? string "gpu", "cpu" or a part of a name; left out: a GPU, else what there is (text)

---@class calotype.reject_options
---@field side_below? number|string shorter side, as displayed (a number or "lowest 10%" or "highest 10%", 1 to 65535 px)
---@field aspect_above? number|string longer side divided by shorter side (a number or "lowest 10%" or "highest 10%", 1 to 100)
---@field sharpness_below? number|string variance of the Laplacian at 512 px, sharpest tile; below about 100 a picture looks soft (a number or "lowest 10%" or "highest 10%", at least 0)
---@field dark_below? number|string 99th percentile of the brightness: a picture is dark when even its bright spots are; cleanvision cuts at 0.32 (a number or "lowest 10%" or "highest 10%", 0 to 1)
---@field light_above? number|string 5th percentile of the brightness: a picture is washed out when even its shadows are light; cleanvision cuts at 0.95 (a number or "lowest 10%" or "highest 10%", 0 to 1)
---@field entropy_below? number|string information in the histogram; below about 3 a picture is nearly empty (a number or "lowest 10%" or "highest 10%", 0 to 10 bits)
---@field noise_above? number|string standard deviation of the noise in gray levels, in the calm parts; above about 12 it is seen. Fine texture all over counts, too (a number or "lowest 10%" or "highest 10%", 0 to 255)
---@field blocking_above? number|string steps at the borders of JPEG's squares; about 1.6 at quality 75, 2 at 50, 3 at 20 (a number or "lowest 10%" or "highest 10%", 1 to 1000)
---@field match_below? number|string how sure the model of :score is that the caption belongs to the picture; below about 0.1 it mostly does not (a number or "lowest 10%" or "highest 10%", 0 to 1)
---@field match_above? number|string the same: what is above goes, to look at the others (a number or "lowest 10%" or "highest 10%", 0 to 1)

---@class calotype.dedupe_options
---@field by? "phash"|"exact" how pictures are compared ("phash" or "exact", default "phash")
---@field distance? integer how far two hashes may differ (a whole number, 0 to 16 of 64 bits, default 4)
---@field flips? boolean find mirrored and turned copies too (true or false, default true)
---@field keep? "sharpest"|"largest"|"first"|"captioned" which one of a group stays ("sharpest", "largest", "first" or "captioned", default "sharpest")

---@class calotype.caption_tags
---@field on? boolean false leaves the provider's tags as they came (true or false, default true)
---@field first? string|string[] these lead, in this order, where they are there (a list of texts)
---@field without? string|string[] these go (a list of texts)
---@field redundant? boolean false drops a tag that ends another one: shirt, where there is white shirt (true or false, default true)
---@field count_above? integer more tags than this are dropped, from the end; the trigger stays and is not counted (a whole number, 1 to 1000)

---@class calotype.caption_options
---@field with? calotype.provider|calotype.provider[] who writes missing captions; auto {} when left out. Of a list each is asked for what those before it could not answer: down, no key, no quota (a provider such as template {}, or a list of providers)
---@field trigger? string the made-up word that will call the subject; put where [trigger] stands, else in front, and exactly once (text)
---@field prefix? string put before every caption that does not begin with it; may have [trigger] (text)
---@field suffix? string put after every caption that does not end with it; may have [trigger] (text)
---@field words_above? integer a caption of more words (prefix, suffix and trigger count) is cut after a sentence, or where a part of one ends; of tags, the last ones go (a whole number, 1 to 10000 words)
---@field tags? boolean|calotype.caption_tags captions are lists of tags: small letters, spaces for underscores but in faces like ^_^, each once. Left out: as the provider writes them (style = "tags") (true or false or { on, first, without, redundant, count_above })
---@field replace? boolean ask for all captions, people's too (theirs stay in the history) (true or false, default false)
---@field append? boolean ask for all, and put the answer after the caption that is there: sentences after one another, tags united (true or false, default false)
---@field prepend? boolean the same, with the answer in front (true or false, default false)
---@field only? fun(picture: calotype.picture): any, any? gets a picture, returns true for those that this :caption is about (a function)

---@class calotype.edit_options
---@field change? fun(picture: calotype.picture): any, any? gets a picture, returns it changed, or nil (a function, required)

---@class calotype.score_options
---@field by? "blip-itm" BLIP's image-text matching: softmax of its two answers ("blip-itm", default "blip-itm")
---@field model? string its folder, as the Hugging Face hub or its cache has it (a path, default "models/blip-itm-base-coco")
---@field batch? integer pictures looked at together; left out 4 on a CPU, 16 on a GPU, fewer where memory is short (a whole number, 1 to 64)
---@field dtype? "f32"|"bf16"|"f16" how weights are held; bf16 and f16 take half the memory. On a CPU rather bf16: f16 is computed as f32 there ("f32", "bf16" or "f16", default "f32")
---@field device? string "gpu", "cpu" or part of a name; a GPU where there is one when left out (text)

---@class calotype.keep_if_options
---@field test? fun(picture: calotype.picture): any, any? gets a picture, returns true to keep it (a function, required)

---@class calotype.take_options
---@field count? integer how many to keep (a whole number, at least 1, required)
---@field by? "first"|"sharpest"|"largest"|"random" which ones ("first", "sharpest", "largest" or "random", default "first")
---@field seed? integer for by = "random": another seed, another choice (a whole number, at least 0, default 0)

---@class calotype.split_options
---@field held_out integer how many pictures are held out (a whole number, at least 1, required)
---@field seed? integer another seed, another choice (a whole number, at least 0, default 0)

---@class calotype.weight_options
---@field times? number 1 is once (a number, 0.01 to 1000, required)

---@class calotype.bucket_options
---@field resolution? integer side of the square whose area no bucket exceeds (a whole number, 64 to 4096 px, default 512)
---@field min? integer shortest side of a bucket (a whole number, 32 to 4096 px, default 256)
---@field max? integer longest side of a bucket; with resolution 1024 take 2048 (a whole number, 32 to 8192 px, default 1024)
---@field step? integer sides are multiples of this (a whole number, 8 to 256 px, default 64)
---@field upscale? boolean enlarge small pictures to their bucket; false: their bucket shrinks instead (true or false, default true)

---@class calotype.sheet_options
---@field to string the PNG or JPEG to write; may have [trigger] (a path, required)
---@field columns? integer pictures beside each other (a whole number, 1 to 20, default 6)
---@field rejected? boolean show the rejected ones too (true or false, default true)

---@class calotype.preview_options
---@field rejected? boolean show the rejected ones too (true or false, default true)
---@field title? string of the window; the recipe's name when left out (text)

---@class calotype.export_options
---@field as "replicate"|"kohya"|"sidecars" replicate: a flat zip for replicate.com trainers: pictures with captions of the same name; kohya: N_trigger folders with captions for kohya's sd-scripts; weights become repeats; sidecars: name.txt for each picture: beside = true puts them beside the inputs, to = "folder" makes copies ("replicate", "kohya" or "sidecars", required)
---@field to? string the zip or folder to write; may have [trigger] (a path)
---@field beside? boolean sidecars: write name.txt beside the input pictures (true or false, default false)
---@field metadata? "files"|"lines" replicate: a .txt for each picture, or one metadata.txt with a line for each in file order ("files" or "lines", default "files")
---@field escape? boolean sidecars, kohya: brackets in captions get a backslash, for prompts in which they are weights (A1111, --weighted_captions); trainers want none (true or false, default false)
---@field quality? integer of JPEGs that had to be turned (a whole number, 50 to 100, default 95)

---@class calotype.report_options
---@field to string the page to write; may have [trigger] (a path, required)
---@field title? string the recipe's name when left out (text)

---@class calotype.expect_options
---@field count? number|number[] how many pictures are left (a number or { from, to }, at least 0)
---@field rejected? number|number[] how many were rejected on the way (a number or { from, to }, at least 0)
---@field captioned? boolean true: every picture has a caption (true or false)
---@field triggered? boolean true: every caption has the trigger as a whole word (true or false)
---@field words? number|number[] words in each caption (a number or { from, to }, at least 0)
---@field side? number|number[] shorter side of each picture (a number or { from, to }, at least 1 px)

---@class calotype.train_lora_lr
---@field unet? number of the UNet's LoRA (a number, 0 to 1, default 0.0001)
---@field text? number of the text encoder's LoRA; 0: it is not trained (a number, 0 to 1, default 0)

---@class calotype.train_lora_sample
---@field every? integer steps (a whole number, at least 1, default 250)
---@field prompts string|string[] what is drawn; may have [trigger] (a list of texts, required)
---@field negative? string what guidance leads away from (text)
---@field steps? integer of the sampler (a whole number, 1 to 1000, default 20)
---@field cfg? number guidance; 1 follows the prompt as trained (a number, 0 to 100, default 7.5)
---@field seed? integer the noise that all samples begin with (a whole number, at least 0, default 0)
---@field sampler? "ddim"|"euler" how noise is taken away ("ddim" or "euler", default "ddim")

---@class calotype.train_lora_checkpoint
---@field every? integer steps (a whole number, at least 1, default 250)
---@field to? string each run gets a folder of its own below it; may have [trigger] (a folder, default "checkpoints")

---@class calotype.train_lora_options
---@field base string a model as diffusers keeps it: a folder with unet, vae, text_encoder, tokenizer, scheduler (a folder, required)
---@field resolution? integer side of the square whose area pictures are scaled to where no :bucket was asked for; also the size of samples (a whole number, 8 to 4096 px, default 512)
---@field rank? integer columns of each LoRA pair (a whole number, 1 to 1024, default 16)
---@field alpha? number what is learned counts alpha / rank times; the rank when left out (a number, 0.001 to 4096)
---@field targets? "transformers"|"attention"|"everything" transformers: every linear layer and 1x1 convolution of the transformers, as kohya trains; attention: their attention's four projections only, as diffusers trains; everything: the resnets' and samplers' convolutions too ("transformers", "attention" or "everything", default "transformers")
---@field steps? integer updates; may be raised when a run goes on (a whole number, 1 to 10000000, default 1500)
---@field batch? integer pictures of one size in a step (a whole number, 1 to 1024, default 1)
---@field lr? number|calotype.train_lora_lr how fast is learned; a number is for the UNet and leaves the text encoder as it is (a number or { unet, text }, default 0.0001)
---@field warmup? integer steps over which lr rises from 0 (a whole number, 0 to 1000000, default 0)
---@field cooldown? integer steps at the end over which lr falls to 0: fewer steps learn the same; the run then belongs to its number of steps (a whole number, 0 to 10000000, default 0)
---@field weight_decay? number of AdamW (a number, 0 to 1, default 0.01)
---@field clip? number the norm of the gradients is held to it; 0: it is not (a number, at least 0, default 1)
---@field min_snr? number weigh timesteps by min(SNR, this) / SNR (Hang et al. 2023); 5 is usual (a number, 0.1 to 1000)
---@field caption_dropout? number share of pictures that are shown with an empty caption (a number, 0 to 1, default 0)
---@field clip_skip? integer 2 leaves the text encoder's last block out (a whole number, 1 to 12, default 1)
---@field seed? integer decides everything random (a whole number, at least 0, default 0)
---@field dtype? "f32"|"bf16"|"f16" how the base's weights and what flows between its layers are kept; left out: weights as in their files, f32 between. The LoRA is always f32 ("f32", "bf16" or "f16")
---@field validate? calotype.images pictures held out by :split; their loss is measured at fixed noise with every checkpoint (a set of pictures)
---@field sample? calotype.train_lora_sample pictures drawn while training, into the folder of the checkpoints ({ every, prompts, negative, steps, cfg, seed, sampler })
---@field checkpoint? integer|calotype.train_lora_checkpoint what is kept on the way; every one is kept until you remove it (a whole number or { every, to })
---@field device? string "gpu", "cpu" or a part of a name; left out: a GPU, else what there is. The first line of a run says which (text)
---@field memory? number the most that may be used; what the device has when left out (a number, at least 0.001 GB)

---@class calotype.samples_options
---@field prompts string|string[] what is drawn; may have [trigger] (a list of texts, required)
---@field negative? string what guidance leads away from (text)
---@field strength? number|number[] how much the LoRA counts; 0 is the base alone (a list of numbers, -8 to 8, default { 0, 1 })
---@field seeds? integer|integer[] the noise a picture begins with, the same for every strength (a list of integers, at least 0, default { 0, 1, 2, 3 })
---@field steps? integer of the sampler (a whole number, 1 to 1000, default 20)
---@field cfg? number guidance; 1 follows the prompt as trained (a number, 0 to 100, default 7.5)
---@field sampler? "ddim"|"euler" how noise is taken away ("ddim" or "euler", default "ddim")
---@field width? integer the training's resolution when left out (a whole number, 8 to 4096 px)
---@field height? integer the training's resolution when left out (a whole number, 8 to 4096 px)
---@field noise? string a .safetensors file whose tensor "noise" [n, 4, h, w] stands for the seeds, in order: to compare with other programs (a path)
---@field count? fun(picture: calotype.bitmap, how: { prompt: string, seed: integer, strength: number }): any gets a picture (as from image.load) and { prompt, seed, strength }, returns true for those that are counted (a function)
---@field counting? string what is counted, for the line that tells it: "concept shown" (text, default "counted")
---@field columns? integer pictures beside each other; the other seeds stand below (a whole number, 1 to 64, default 16)
---@field to string the PNG or JPEG to write; may have [trigger] (a path, required)
---@field pictures? string write each picture as a PNG of its own here too: prompt-strength-seed, counted from 1 (a folder)

---@class calotype.lora_export_options
---@field to string the file to write; may have [trigger] (a path, required)
---@field title? string what it is called in lists; the file's name when left out (text)
---@field about? string a sentence or two for the metadata (text)
---@field license? string of the LoRA, as SPDX names it (text)

---@class calotype.lora_report_options
---@field to string the page to write; may have [trigger] (a path, required)
---@field title? string the recipe's name when left out (text)

---@class calotype.gemini_options
---@field model? string|string[] the model; several are asked one after another, the next when one is gone, full or out of quota (a list of texts)
---@field style? "detailed"|"concise"|"tags" a paragraph, one sentence, or tags ("detailed", "concise" or "tags", default "detailed")
---@field focus? "all"|"character"|"style"|"scene" what the LoRA shall learn: what belongs to it is left out of the captions, what changes is named ("all", "character", "style" or "scene", default "all")
---@field language? string of the question and of the captions: de, en, es, fr, ja, zh, or a file of your own (CALOTYPE_PROMPTS) (text, default "en")
---@field tag_language? "en"|"same" tags are English, as taggers write them; "same": in `language` ("en" or "same", default "en")
---@field instructions? string added to the question (text)
---@field take? integer 2, 3, ...: another answer to a question that was answered before; it is paid again (a whole number, 2 to 10000)
---@field max_tokens? integer the longest answer, thinking included; 2048 when left out, of servers of your own 1024 (a whole number, 16 to 65536)
---@field thinking? "least"|"minimal"|"low"|"medium"|"high" how long the model thinks before it writes; it is paid as output ("least", "minimal", "low", "medium" or "high", default "least")
---@field resolution? "low"|"medium"|"high" how much of a picture is looked at: 280, 560 or 1120 tokens (3.x) ("low", "medium" or "high", default "high")
---@field safety? "off"|"block_none"|"block_only_high"|"block_medium_and_above"|"block_low_and_above" the service's own filter, for all of its categories; its default when left out ("off", "block_none", "block_only_high", "block_medium_and_above" or "block_low_and_above")
---@field batch? boolean half the price, answers within a day: the run waits for them, and finds them again when it was stopped. Up to 20 MB of questions go inside the call, more as a file of up to 2 GB (true or false, default false)
---@field in_flight? integer questions under way at once; 16 when left out, of servers of your own 4 (a whole number, 1 to 64)
---@field per_minute? integer questions a minute at most (a whole number, 1 to 100000)
---@field tokens_per_minute? integer tokens a minute at most, as a service's quota counts them (a whole number, 1000 to 1000000000)
---@field spend? calotype.money a ceiling for this step in one run: no question is asked that could cross it (an amount like usd(0.50))
---@field again? boolean ask also for pictures that were blocked in an earlier run (true or false, default false)
---@field record? string a file that keeps all questions and answers (a path)
---@field replay? string answers from such a file: no key is needed, nothing is sent and nothing paid (a path)

---@class calotype.openai_options
---@field model? string|string[] the model; several are asked one after another, the next when one is gone, full or out of quota (a list of texts)
---@field style? "detailed"|"concise"|"tags" a paragraph, one sentence, or tags ("detailed", "concise" or "tags", default "detailed")
---@field focus? "all"|"character"|"style"|"scene" what the LoRA shall learn: what belongs to it is left out of the captions, what changes is named ("all", "character", "style" or "scene", default "all")
---@field language? string of the question and of the captions: de, en, es, fr, ja, zh, or a file of your own (CALOTYPE_PROMPTS) (text, default "en")
---@field tag_language? "en"|"same" tags are English, as taggers write them; "same": in `language` ("en" or "same", default "en")
---@field instructions? string added to the question (text)
---@field take? integer 2, 3, ...: another answer to a question that was answered before; it is paid again (a whole number, 2 to 10000)
---@field max_tokens? integer the longest answer, thinking included; 2048 when left out, of servers of your own 1024 (a whole number, 16 to 65536)
---@field free? boolean the server is your own and asking costs nothing; otherwise a model that is not in the table has an unknown price (true or false, default false)
---@field thinking? "least"|"low"|"medium"|"high" how long the model thinks before it writes; a server of your own is told not to ("least", "low", "medium" or "high", default "least")
---@field detail? "low"|"high"|"auto" how much of a picture is looked at; for OpenAI ("low", "high" or "auto")
---@field schema_as? "json_schema"|"json_object"|"none" how the form of the answer is asked for, for servers that know less than a schema ("json_schema", "json_object" or "none")
---@field in_flight? integer questions under way at once; 16 when left out, of servers of your own 4 (a whole number, 1 to 64)
---@field per_minute? integer questions a minute at most (a whole number, 1 to 100000)
---@field tokens_per_minute? integer tokens a minute at most, as a service's quota counts them (a whole number, 1000 to 1000000000)
---@field spend? calotype.money a ceiling for this step in one run: no question is asked that could cross it (an amount like usd(0.50))
---@field again? boolean ask also for pictures that were blocked in an earlier run (true or false, default false)
---@field record? string a file that keeps all questions and answers (a path)
---@field replay? string answers from such a file: no key is needed, nothing is sent and nothing paid (a path)

---@class calotype.huggingface_options
---@field model? string|string[] the model; several are asked one after another, the next when one is gone, full or out of quota (a list of texts)
---@field style? "detailed"|"concise"|"tags" a paragraph, one sentence, or tags ("detailed", "concise" or "tags")
---@field focus? "all"|"character"|"style"|"scene" what the LoRA shall learn: what belongs to it is left out of the captions, what changes is named ("all", "character", "style" or "scene")
---@field language? string of the question and of the captions: de, en, es, fr, ja, zh, or a file of your own (CALOTYPE_PROMPTS) (text)
---@field tag_language? "en"|"same" tags are English, as taggers write them; "same": in `language` ("en" or "same")
---@field instructions? string added to the question (text)
---@field take? integer 2, 3, ...: another answer to a question that was answered before; it is paid again (a whole number, 2 to 10000)
---@field max_tokens? integer the longest answer, thinking included; 2048 when left out, of servers of your own 1024 (a whole number, 16 to 65536)
---@field task? "image-to-text"|"chat" how the server is spoken to; image-to-text when HF_BASE_URL is set, chat when it is not ("image-to-text" or "chat")
---@field free? boolean the server is your own and asking costs nothing (true or false, default false)
---@field in_flight? integer questions under way at once; 16 when left out, of servers of your own 4 (a whole number, 1 to 64)
---@field per_minute? integer questions a minute at most (a whole number, 1 to 100000)
---@field tokens_per_minute? integer tokens a minute at most, as a service's quota counts them (a whole number, 1000 to 1000000000)
---@field spend? calotype.money a ceiling for this step in one run: no question is asked that could cross it (an amount like usd(0.50))
---@field again? boolean ask also for pictures that were blocked in an earlier run (true or false, default false)
---@field record? string a file that keeps all questions and answers (a path)
---@field replay? string answers from such a file: no key is needed, nothing is sent and nothing paid (a path)

---@class calotype.blip_options
---@field model? string its folder, as the Hugging Face hub or its cache has it (a path, default "models/blip-image-captioning-base")
---@field prompt? string the words that captions go on from (text)
---@field beams? integer texts that are followed at once; 1 takes the likeliest word each time (a whole number, 1 to 16, default 3)
---@field longest? integer most pieces of words of a caption, prompt and end with them (a whole number, 2 to 512 tokens, default 30)
---@field shortest? integer it does not end before it has so many (a whole number, 0 to 512 tokens, default 5)
---@field penalty? number more than 1 makes words that were said less likely: against captions that go in circles (a number, 1 to 10, default 1)
---@field batch? integer pictures looked at together; left out 4 on a CPU, 16 on a GPU, fewer where memory is short (a whole number, 1 to 64)
---@field dtype? "f32"|"bf16"|"f16" how weights are held; bf16 and f16 take half the memory. On a CPU rather bf16: f16 is computed as f32 there ("f32", "bf16" or "f16", default "f32")
---@field device? string "gpu", "cpu" or part of a name; a GPU where there is one when left out (text)

---@class calotype.wd14_options
---@field model? string its folder, as the Hugging Face hub or its cache has it (a path, default "models/wd-vit-tagger-v3")
---@field threshold? number how sure it must be of a tag (a number, 0.01 to 1, default 0.35)
---@field character_threshold? number how sure of who somebody is; 1 names nobody (a number, 0.01 to 1, default 0.75)
---@field rating? boolean begin with how it rates the picture: general, sensitive, questionable, explicit (true or false, default false)
---@field without? string|string[] these tags are never given (a list of texts)
---@field batch? integer pictures looked at together; left out 4 on a CPU, 16 on a GPU, fewer where memory is short (a whole number, 1 to 64)
---@field dtype? "f32"|"bf16"|"f16" how weights are held; bf16 and f16 take half the memory. On a CPU rather bf16: f16 is computed as f32 there ("f32", "bf16" or "f16", default "f32")
---@field device? string "gpu", "cpu" or part of a name; a GPU where there is one when left out (text)

---@class calotype.ensemble_options
---@field members? calotype.provider[] two providers or more, all with tags or all with sentences (a list of providers, required)
---@field votes? integer how many members must have a tag; more than half of those that answered when left out (a whole number, at least 1)
---@field rule? "agreement"|"first"|"longest"|"join" of sentences: the caption that has most words in common with the others; the first member's; the longest; all sentences, each once ("agreement", "first", "longest" or "join", default "agreement")

---@class calotype.template_options
---@field text? string may have {stem}, {name}, {folder}, {width}, {height} and [trigger] (text, default "a photo of {stem}")

---@class calotype.fake_options
---@field seed? integer another seed, other words (a whole number, at least 0, default 0)

---@class calotype.auto_options
---@field model? string|string[] the model; several are asked one after another, the next when one is gone, full or out of quota (a list of texts)
---@field style? "detailed"|"concise"|"tags" a paragraph, one sentence, or tags ("detailed", "concise" or "tags")
---@field focus? "all"|"character"|"style"|"scene" what the LoRA shall learn: what belongs to it is left out of the captions, what changes is named ("all", "character", "style" or "scene")
---@field language? string of the question and of the captions: de, en, es, fr, ja, zh, or a file of your own (CALOTYPE_PROMPTS) (text)
---@field tag_language? "en"|"same" tags are English, as taggers write them; "same": in `language` ("en" or "same")
---@field instructions? string added to the question (text)
---@field take? integer 2, 3, ...: another answer to a question that was answered before; it is paid again (a whole number, 2 to 10000)
---@field max_tokens? integer the longest answer, thinking included; 2048 when left out, of servers of your own 1024 (a whole number, 16 to 65536)
---@field in_flight? integer questions under way at once; 16 when left out, of servers of your own 4 (a whole number, 1 to 64)
---@field per_minute? integer questions a minute at most (a whole number, 1 to 100000)
---@field tokens_per_minute? integer tokens a minute at most, as a service's quota counts them (a whole number, 1000 to 1000000000)
---@field spend? calotype.money a ceiling for this step in one run: no question is asked that could cross it (an amount like usd(0.50))
---@field again? boolean ask also for pictures that were blocked in an earlier run (true or false)
---@field record? string a file that keeps all questions and answers (a path)
---@field replay? string answers from such a file: no key is needed, nothing is sent and nothing paid (a path)

---Write pictures upright: a picture that a camera stored turned is turned when it is exported. Sizes and measures are always those of the upright picture.
---@return calotype.images
function images_set:orient() end

---Leave out pictures by a measured number. A cut is a number, or a share of the pictures that arrive: "lowest 10%".
---@param options? calotype.reject_options
---@return calotype.images
function images_set:reject(options) end

---Keep one of each picture. Files with the same content are always found; by = "phash" also finds pictures that look the same (scaled, recompressed, mirrored, turned). The caption of a picture that goes is given to the one that stays, if that has none.
---@param options? calotype.dedupe_options
---@return calotype.images
function images_set:dedupe(options) end

---Give each picture words. A caption found beside a picture was written by a person and wins; the provider is asked for the missing ones only, and every answer is kept in the store as it came, with who wrote it. Prefix, trigger, tags and word limits are put on afterwards: changing them asks nobody again. The trigger is declared here, once for the recipe.
---@param options? calotype.caption_options
---@return calotype.images
function images_set:caption(options) end

---Change captions and weights (0.01 to 1000, as in :weight) with a function. It gets a copy of a picture's fields and returns it; returning nil means unchanged.
---@param change (fun(picture: calotype.picture): any, any?)|calotype.edit_options
---@param options? calotype.edit_options
---@return calotype.images
function images_set:edit(change, options) end

---Ask a model on this machine whether each caption belongs to its picture: a number from 0 to 1, `match`, for :reject, :keep_if, reports and sheets. Nothing is sent, nothing costs, and no caption of a picture is asked about twice. The trigger is left out; a long caption is read up to 35 pieces of words. The model is Salesforce/blip-itm-base-coco of the hub (0.9 GB): `calotype get hf:NAME`.
---@param options? calotype.score_options
---@return calotype.images
function images_set:score(options) end

---Keep the pictures for which a function says true. It gets a picture's fields: name, width, height, sharpness, caption, match ... It may return a reason as its second value.
---@param test (fun(picture: calotype.picture): any, any?)|calotype.keep_if_options
---@param options? calotype.keep_if_options
---@return calotype.images
function images_set:keep_if(test, options) end

---Keep at most so many pictures.
---@param count integer|calotype.take_options
---@param options? calotype.take_options
---@return calotype.images
function images_set:take(count, options) end

---Two sets: what is trained on, and what is held out to look at honestly. Which pictures are held out depends on their content and the seed, not on names or order.
---@param options calotype.split_options
---@return calotype.images, calotype.images
function images_set:split(options) end

---How often each picture counts in training compared with others. Folders for kohya get it as repeats.
---@param times number|calotype.weight_options
---@param options? calotype.weight_options
---@return calotype.images
function images_set:weight(times, options) end

---Give each picture the training size whose shape is nearest to its own, by kohya's algorithm. Pictures are not changed here.
---@param options? calotype.bucket_options
---@return calotype.images
function images_set:bucket(options) end

---A contact sheet: every picture small, with its name, size and the beginning of its caption; rejected ones framed, with the reason.
---@param options calotype.sheet_options
---@return calotype.images
function images_set:sheet(options) end

---Look at the pictures in a window while the run goes on: captions as they go out, what the trainer sees of each picture, the rejected ones with their reason. Shown again, the window that is open follows. At the prompt also preview(photos). Without a display the run says so and goes on.
---@param options? calotype.preview_options
---@return calotype.images
function images_set:preview(options) end

---Write the pictures and their captions as a trainer wants them. Input pictures are never changed.
---@param options calotype.export_options
---@return calotype.images
function images_set:export(options) end

---One HTML page that needs nothing else: the pictures with their captions, the rejected ones with their reasons, a histogram of each measured quantity with the cut drawn in, buckets, parameters and versions.
---@param options calotype.report_options
---@return calotype.images
function images_set:report(options) end

---Say what must be true of the result; the run ends with code 4 when it is not. Expectations are looked at before any output is written.
---@param options? calotype.expect_options
---@return calotype.images
function images_set:expect(options) end

---Train a LoRA of a base on the pictures and their captions. Latents and text states are made once and kept; checkpoints are LoRA files that can be used as they are. Ctrl-C finishes the step and keeps it: the same command goes on from there, bit for bit.
---@param options calotype.train_lora_options
---@return calotype.lora
function images_set:train_lora(options) end

---Draw pictures with the LoRA and without it from the same noise, in one labelled grid: a row for each prompt and strength, a column for each seed. A function may look at the pictures and say which of them show what was learned: these get a frame, and the run's last line tells how many there are at each strength. Each picture is kept as soon as it is drawn, and not drawn again.
---@param options calotype.samples_options
---@return calotype.lora
function lora:samples(options) end

---Write the LoRA as one .safetensors file that diffusers, ComfyUI and A1111 open: kohya's names, alpha, 16-bit floats, and metadata that say how it was made. No path, no caption and no text given to a parameter is in it; an author is named only where the recipe's header names one.
---@param options calotype.lora_export_options
---@return calotype.lora
function lora:export(options) end

---One HTML page that needs nothing else: the grids of its :samples, how the loss fell, the held-out pictures' loss, samples drawn on the way, every option, the checkpoints, what it was made from and with.
---@param options calotype.lora_report_options
---@return calotype.lora
function lora:report(options) end

---The pictures of folders, in the order of their names. Captions beside them (name.txt) come along. Files that are no pictures are left alone; a picture that cannot be read is rejected with the decoder's reason.
---@class calotype.images_function
---@overload fun(from: string|string[]|calotype.images_options, options?: calotype.images_options): calotype.images
images = {}

---Several sets of pictures as one, in the given order. Weights given before are kept.
---@param sets calotype.images[]
---@return calotype.images
function images.join(sets) end

---Pictures that a base draws by itself, each with its prompt as the caption. Joined to a few pictures of something new, they keep a LoRA from drawing it everywhere: what trainers call class or regularisation pictures. Each one is kept as soon as it is drawn.
---@param options calotype.drawn_options
---@return calotype.images
function images.drawn(options) end

---Google's Gemini. Needs a key in .env: GEMINI_API_KEY=... The pictures are sent to Google. Without `model` the models of a dated table are asked in turn, the next when one is gone, full or out of quota; every caption has the name of the model that answered.
---@param options? calotype.gemini_options
---@return calotype.provider
function gemini(options) end

---Any server that speaks OpenAI's chat completions: llama.cpp, vLLM, Ollama, LM Studio, OpenAI. Its address stands in .env: OPENAI_BASE_URL=http://127.0.0.1:8080; a key, where it wants one, too: OPENAI_API_KEY=... The pictures are sent there.
---@param options? calotype.openai_options
---@return calotype.provider
function openai(options) end

---Hugging Face. With HF_BASE_URL=https://... in .env: an inference endpoint of your own that captions by itself (BLIP, BLIP-2); it is waited for while it loads. Without it: a model that is chatted with through the router; `model` names it. Needs HF_TOKEN=... in .env. The pictures are sent there.
---@param options? calotype.huggingface_options
---@return calotype.provider
function huggingface(options) end

---A short sentence by BLIP on this machine: nothing is sent, nothing costs. Of the hub's models Salesforce/blip-image-captioning-base (1 GB) and -large (1.9 GB): `calotype get hf:NAME`. `prompt` is how each caption begins.
---@param options? calotype.blip_options
---@return calotype.provider
function blip(options) end

---Booru tags by SmilingWolf's WD14 tagger on this machine: nothing is sent, nothing costs. Of the hub's models SmilingWolf/wd-vit-tagger-v3 (0.4 GB) and wd-vit-large-tagger-v3 (1.3 GB): `calotype get hf:NAME`. A comma in a tag becomes a space: commas part tags.
---@param options? calotype.wd14_options
---@return calotype.provider
function wd14(options) end

---Several providers asked about the same pictures. Tags are united by vote: those that at least `votes` members have, most votes first. Of sentences one is chosen, or all are joined, by `rule`. What each member wrote is kept too, so nothing is paid twice.
---@param options? calotype.ensemble_options
---@return calotype.provider
function ensemble(options) end

---Captions from name.txt (or name.caption) beside each picture, and nothing else.
---@param options? {}
---@return calotype.provider
function sidecar(options) end

---The same sentence for every picture, with its name filled in.
---@param options? calotype.template_options
---@return calotype.provider
function template(options) end

---Invented words, the same each time for the same picture: to try a recipe without asking anyone.
---@param options? calotype.fake_options
---@return calotype.provider
function fake(options) end

---Whoever the environment or .env names: gemini with USE_GEMINI=1 (GEMINI_MODEL_NAME is its model), openai with OPENAI_BASE_URL, huggingface with HF_BASE_URL, gemini with a key alone. `check` and `plan` say who that is; captions found beside the pictures are used first.
---@param options? calotype.auto_options
---@return calotype.provider
function auto(options) end

---@class calotype.analyze_options
---@field folder? string the pictures (a folder, required)
---@field side? integer the shorter side that is wanted: what the base draws (a whole number, 64 to 8192 px, default 512)
---@field trigger? string the made-up word that captions should have once (text)
---@field recursive? boolean read the folders below it too (true or false, default false)

---How good, consistent and diverse a folder is, what is wrong with which picture, and a recipe that cuts it.
---@param folder string|calotype.analyze_options
---@param options? calotype.analyze_options
---@return table
function analyze(folder, options) end

---@class calotype.outliers_options
---@field folder? string the pictures (a folder, required)
---@field above? number how many deviations from the middle make an outlier (a number, 2 to 100, default 3.5)
---@field by? string which kinds are looked for, with commas between (text, default "quality,style,artefacts")
---@field recursive? boolean read the folders below it too (true or false, default false)

---The pictures of a folder that are unlike the others, with the measure that tells.
---@param folder string|calotype.outliers_options
---@param options? calotype.outliers_options
---@return table
function outliers(folder, options) end

---@class calotype.recommend_options
---@field folder? string the pictures (a folder, required)
---@field goal? "character"|"style"|"scene"|"object" what is to be learned ("character", "style", "scene" or "object", default "object")
---@field base? string the base, a folder as diffusers keeps it; the first in models/ when left out (text)
---@field trigger? string the made-up word that will call it; made from the folder's name when left out (text)
---@field memory? number what may be used; what the device has when left out (a number, 0.001 to 100000 GB)
---@field recursive? boolean read the folders below it too (true or false, default false)

---Hyperparameters for a folder, each with its reason, and the recipe with them.
---@param folder string|calotype.recommend_options
---@param options? calotype.recommend_options
---@return table
function recommend(folder, options) end

---@class calotype.tags_options
---@field folder? string the pictures (a folder, required)
---@field quality? "first"|"keep"|"drop" words like masterpiece or best quality: in front, where they are, away ("first", "keep" or "drop", default "first")
---@field trigger? string the made-up word: it stays as it is (text)
---@field without? string tags that go, with commas between (text)
---@field recursive? boolean read the folders below it too (true or false, default false)

---Which lists of tags of a folder would be mended, and how.
---@param folder string|calotype.tags_options
---@param options? calotype.tags_options
---@return table
function tags(folder, options) end

---@class calotype.recipe_options
---@field about? string one line: what comes in and what comes out (text)
---@field author? string who wrote it (text)
---@field license? string of the recipe, as SPDX names it: MIT, CC0-1.0 (text)
---@field version? string of the recipe (text)
---@field needs? string the oldest calotype that can run it: ">=0.1" (text)
---@field allow? table all it may touch: { read = { ... }, write = { ... }, net = { ... }, spend = { ... }, gpu = true } (a table)

---What the recipe is, for those it is shared with. Optional.
---@param name string
---@return fun(header: calotype.recipe_options)
function recipe(name) end

---Declare what can be changed with -p name=value. Each parameter is { default, ... }; the result is a read-only table of the values.
---@generic T
---@param declared T
---@return table<string, any>
function params(declared) end

---A path beside the recipe's own file; other relative paths are relative to the working folder.
---@param path string
---@return string
function here(path) end

---Another file of the recipe, beside it: its text runs once, sees what the recipe sees, and gives what it returns.
---@param name string
---@return any
function require(name) end

---An amount of money. Money always has its unit.
---@param amount number
---@return calotype.money
function usd(amount) end

---A picture in memory: 8-bit sRGB.
---@class calotype.bitmap
local bitmap = {}
---@return integer
function bitmap:width() end
---@return integer
function bitmap:height() end
---@return integer
function bitmap:channels() end
---@param x integer
---@param y integer
---@return integer r, integer g, integer b, integer a
function bitmap:get(x, y) end
---@param x integer
---@param y integer
---@param color integer[]
function bitmap:set(x, y, color) end
---@return calotype.bitmap
function bitmap:copy() end
---@param width integer 0 keeps the aspect
---@param height integer 0 keeps the aspect
---@param filter? "lanczos"|"area"|"bilinear"|"bicubic"
---@return calotype.bitmap
function bitmap:resize(width, height, filter) end
---@return calotype.bitmap
function bitmap:crop(x, y, width, height) end
---@return calotype.bitmap
function bitmap:gray() end
---@return string bytes row by row, one for each channel
function bitmap:bytes() end
---@return calotype.bitmap
function bitmap:flip() end
---@param quarter_turns integer
---@return calotype.bitmap
function bitmap:rotate(quarter_turns) end
---@return string sixteen_hex_digits
function bitmap:hash() end
---@return table
function bitmap:measure() end
---@param path string
---@param options? table
---@return boolean?, string?, string?
function bitmap:save(path, options) end

---Pictures as plain values.
image = {}
---@param width integer
---@param height integer
---@param color? integer[]
---@return calotype.bitmap
function image.new(width, height, color) end
---@param path string
---@return calotype.bitmap?, string?, string?
function image.load(path) end

---Files below the folders a recipe may use.
fs = {}
---@param path string
---@return string?, string?, string?
function fs.read(path) end
---Whole or not at all.
---@param path string
---@param text string
---@return boolean?, string?, string?
function fs.write(path, text) end
---@param folder string
---@param recursive? boolean
---@return { path: string, kind: "file"|"folder"|"other", size: integer, mtime_ns: integer }[]?, string?, string?
function fs.list(folder, recursive) end
---@param path string
---@return { kind: "file"|"folder"|"other", size: integer, mtime_ns: integer, stamp: string }?, string?, string?
function fs.stat(path) end

---Formats of :export: replicate, kohya, sidecars
