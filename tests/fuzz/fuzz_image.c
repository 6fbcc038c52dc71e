/* fuzz_image.c - whatever the bytes, decoding ends with a picture that can be worked on or with an error; stripped bytes give the
 * same picture. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/image/decode.h"
#include "core/image/measure.h"
#include "core/image/resize.h"
#include "core/image/strip.h"

static void strip(const uint8_t *bytes, size_t size, const cal_image_info *info, const cal_image_hint *hint, const cal_image *im) {
  cal_buffer out = {0};
  cal_error err = {0};
  cal_status status = cal_image_strip(bytes, size, info->format, &out, &err);
  if (status && !err.text[0]) abort();
  if (!status && info->orientation == 1) {
    cal_image *same = cal_image_decode(out.data, out.size, "stripped", hint, NULL, &err);
    if (!same && out.size < size) return cal_buffer_free(&out); /* libwebp reads what stands behind a broken picture's end */
    if (!same || out.size > size || cal_image_size(same) != cal_image_size(im) || memcmp(same->pixels, im->pixels, cal_image_size(im)) != 0)
      abort();
    cal_image_free(same);
  }
  cal_buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  cal_error err = {0};
  cal_image_info info;
  cal_measures m;
  const cal_image_hint hint = {.min_side = size % 5 ? 0 : 8, .max_pixels = 1 << 18};
  cal_image *im = cal_image_decode(bytes, size, "fuzz", &hint, &info, &err);
  if (!im) {
    if (!err.code || !err.text[0]) abort();
    cal_buffer out = {0}; /* broken bytes are stripped or refused, too */
    const cal_image_format formats[] = {CAL_IMAGE_JPEG, CAL_IMAGE_PNG, CAL_IMAGE_WEBP};
    for (int i = 0; i < 3; i++) cal_image_strip(bytes, size, formats[i], &out, &err);
    cal_buffer_free(&out);
    return 0;
  }
  strip(bytes, size, &info, &hint, im);
  if (cal_image_measure(im, &info, &m, &err)) abort();
  cal_image_free(cal_image_resize(im, 31, 0, CAL_AREA, &err));
  cal_image_free(im);
  return 0;
}
