-- metadata.lua - what a LoRA's file says of its training: kohya's words (ss_*), those of modelspec, ours (facts: trainers 2.10).
--
--   lora_file.save(path, lora, plan, { dtype = "f16", metadata = metadata(job, 250) })

local json = require "native.json"
local lora_file = require "train.lora_file"

local MIXED = { f16 = "fp16", bf16 = "bf16" } -- kohya's words for what is mixed in

-- How many pictures of each size, as kohya counts them.
local function bucket_info(pictures)
  local names, of, info = {}, {}, {}
  for _, p in ipairs(pictures) do
    if not of[p.size] then
      of[p.size] = { count = 0, resolution = json.array { p.bucket.width, p.bucket.height } }
      names[#names + 1] = p.size
    end
    of[p.size].count = of[p.size].count + 1
  end
  table.sort(names)
  for i, name in ipairs(names) do info[tostring(i - 1)] = of[name] end
  return json.encode { buckets = info }
end

-- Pictures without the trigger, to keep the rest as it is.
local function count_others(pictures)
  local count = 0
  for _, p in ipairs(pictures) do if p.other then count = count + 1 end end
  return count
end

-- What the base is: SD 1 or 2, and what its network predicts.
local function of_base(job)
  local second, v = job.model.unet.config.cross_attention_dim == 1024, job.noise.prediction == "v_prediction"
  return {
    ss_base_model_version = second and (v and "sd_v2_v" or "sd_v2") or "sd_v1", ss_v2 = second and "True" or "False",
    ss_sd_model_name = job.model.path:match "([^/]+)/*$",
    ["modelspec.architecture"] = second and (v and "stable-diffusion-v2-768-v/lora" or "stable-diffusion-v2-512/lora") or "stable-diffusion-v1/lora",
    ["modelspec.prediction_type"] = v and "v" or job.noise.prediction,
    ["calotype.base_unet"] = job.base.unet, ["calotype.base_text_encoder"] = job.base.text_encoder, ["calotype.base_vae"] = job.base.vae,
  }
end

local function of_options(o)
  return {
    ss_resolution = ("(%d, %d)"):format(o.resolution, o.resolution), ss_learning_rate = o.lr.unet, ss_unet_lr = o.lr.unet,
    ss_text_encoder_lr = o.lr.text > 0 and o.lr.text or "None", ss_lr_warmup_steps = o.warmup,
    ss_lr_scheduler = o.cooldown > 0 and "warmup_stable_decay" or o.warmup > 0 and "constant_with_warmup" or "constant",
    ss_lr_decay_steps = o.cooldown > 0 and o.cooldown or nil,
    ss_optimizer = ("AdamW(weight_decay=%g,betas=(0.9, 0.999))"):format(o.weight_decay), ss_max_grad_norm = o.clip, ss_seed = o.seed,
    ss_min_snr_gamma = o.min_snr or "None", ss_caption_dropout_rate = o.caption_dropout, ss_clip_skip = o.clip_skip > 1 and o.clip_skip or "None",
    ss_network_args = o.targets == "everything" and json.encode { conv_dim = ("%d"):format(o.rank), conv_alpha = lora_file.text(o.alpha) } or nil,
    ss_batch_size_per_device = o.batch, ss_total_batch_size = o.batch, ss_max_train_steps = o.steps, ss_mixed_precision = MIXED[o.dtype] or "no",
    ss_cache_latents = "True", ["modelspec.resolution"] = ("%dx%d"):format(o.resolution, o.resolution),
  }
end

local function of_run(job, step)
  local others = count_others(job.pictures)
  return {
    ss_output_name = job.name, ss_num_train_images = #job.pictures - others, ss_num_validation_images = job.held and #job.held or 0,
    ss_num_reg_images = others, ss_bucket_info = bucket_info(job.pictures),
    ss_num_batches_per_epoch = job.order.per_epoch, ss_epoch = job.order:round(step), ss_steps = step,
    ss_training_started_at = job.note.started, ss_training_finished_at = os.time(),
    ["modelspec.title"] = job.title or job.name, ["modelspec.author"] = job.author, ["modelspec.date"] = os.date("!%Y-%m-%dT%H:%M:%SZ"),
    ["modelspec.trigger_phrase"] = job.trigger, ["modelspec.timestep_range"] = ("0,%d"):format(job.noise.steps),
    ["calotype.seconds"] = job.note.seconds, ["calotype.dataset"] = job.identity.pictures, ["calotype.device"] = job.device_name,
    ["calotype.training"] = json.encode(job.identity), ["calotype.resumed_at"] = job.from and json.encode(json.array(job.note.resumed)) or nil,
  }
end

---@param job calotype.Training
---@param step integer of the file
---@return table<string, any>
return function(job, step)
  local metadata = {}
  for _, part in ipairs { of_base(job), of_options(job.options), of_run(job, step), job.provenance or {} } do
    for key, value in pairs(part) do metadata[key] = value end
  end
  return metadata
end
