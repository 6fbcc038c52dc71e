#include "core/image/floats.h"

#include <math.h>

void cal_image_to_floats(const cal_image *im, float *out) {
  const size_t places = (size_t)im->width * (size_t)im->height;
  const unsigned char *p = im->pixels;
  for (size_t i = 0; i < places; i++, p += im->channels, out += 3)
    for (int k = 0; k < 3; k++) {
      float sample = p[im->channels == 1 ? 0 : k];
      if (im->channels == 4) sample = 255 + (sample - 255) * (float)p[3] / 255;
      out[k] = sample / 127.5F - 1;
    }
}

cal_image *cal_image_from_floats(const float *numbers, int width, int height, cal_error *err) {
  cal_image *im = cal_image_new(width, height, 3, err);
  if (!im) return NULL;
  const size_t count = cal_image_size(im);
  for (size_t i = 0; i < count; i++) {
    const float x = numbers[i];
    if (!isfinite(x)) {
      const int place = (int)(i / 3);
      cal_fail(err, CAL_E_FORMAT, "image: %s of the pixel at %d, %d is %f, not a finite number",
               (const char *[]){"red", "green", "blue"}[i % 3], place % width, place / width, (double)x);
      cal_image_free(im);
      return NULL;
    }
    im->pixels[i] = x >= 1 ? 255 : x > -1 ? (unsigned char)((x + 1) * 127.5F + 0.5F) : 0;
  }
  return im;
}
