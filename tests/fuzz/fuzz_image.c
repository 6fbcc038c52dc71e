/* fuzz_image.c - whatever the bytes, decoding ends with a picture that can be worked on or with an error. */
#include <stdint.h>
#include <stdlib.h>

#include "core/image/decode.h"
#include "core/image/measure.h"
#include "core/image/resize.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  cal_error err = {0};
  cal_image_info info;
  cal_measures m;
  cal_image *im =
      cal_image_decode(bytes, size, "fuzz", &(cal_image_hint){.min_side = size % 5 ? 0 : 8, .max_pixels = 1 << 18}, &info, &err);
  if (!im) {
    if (!err.code || !err.text[0]) abort();
    return 0;
  }
  if (cal_image_measure(im, &info, &m, &err)) abort();
  cal_image_free(cal_image_resize(im, 31, 0, CAL_AREA, &err));
  cal_image_free(im);
  return 0;
}
