#include "core/train/pixels.h"

void cal_pixels_read(const cal_image *im, float *out) {
  const size_t count = (size_t)im->width * (size_t)im->height;
  const int channels = im->channels, colour = channels >= 3;
  for (size_t i = 0; i < count; i++)
    for (int c = 0; c < 3; c++) out[i * 3 + (size_t)c] = (float)im->pixels[i * (size_t)channels + (size_t)(colour ? c : 0)] / 127.5f - 1.0f;
}

cal_image *cal_pixels_picture(const float *numbers, int width, int height, cal_error *err) {
  cal_image *im = cal_image_new(width, height, 3, err);
  if (!im) return NULL;
  const size_t count = (size_t)width * (size_t)height * 3;
  for (size_t i = 0; i < count; i++) {
    const float x = (numbers[i] + 1.0f) * 127.5f + 0.5f;
    im->pixels[i] = x >= 255.0f ? 255 : x > 0.0f ? (unsigned char)x : 0;
  }
  return im;
}
