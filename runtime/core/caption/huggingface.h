/* huggingface.h - a picture in, one line out, as Hugging Face serves image-to-text models: the format "huggingface".
 *
 *   cal_error err = {0};
 *   cal_wire_picture picture = {"...", 3, "image/jpeg"};
 *   cal_wire_question question = {.model = "Salesforce/blip-image-captioning-base", .pictures = &picture, .picture_count = 1};
 *   cal_buffer path = {0}, body = {0};
 *   const char *content_type;
 *   if (cal_wire_huggingface.build(&question, &path, &body, &content_type, &err)) puts(err.text);
 *   cal_buffer_free(&path);     // /models/Salesforce/blip-image-captioning-base; "/" for an endpoint of one's own, without a model
 *   cal_buffer_free(&body);     // the picture's own bytes
 *
 * Such models take no prompt: a system text, a user text or a schema is CAL_E_ARG. Models that can be asked are reached
 * with "openai" at https://router.huggingface.co. Settings:
 * - form: raw (the picture's bytes) or json (base64 with parameters); without it, json only where max_tokens is set
 * uses: base codec
 */
#ifndef CAL_CAPTION_HUGGINGFACE_H
#define CAL_CAPTION_HUGGINGFACE_H

#include "core/caption/wire.h"

extern const cal_wire cal_wire_huggingface;

#endif
