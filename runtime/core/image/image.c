#include "core/image/image.h"

#include <string.h>

#include "core/base/memory.h"

static cal_image *allocate(int width, int height, int channels, cal_error *err) {
  if (width < 1 || height < 1) return cal_fail(err, CAL_E_ARG, "image: %d x %d is no size; both sides are at least 1", width, height), NULL;
  if (channels != 1 && channels != 3 && channels != 4)
    return cal_fail(err, CAL_E_ARG, "image: %d channels; there are pictures with 1, 3 or 4", channels), NULL;
  if (width > CAL_IMAGE_SIDE || height > CAL_IMAGE_SIDE || (long long)width * height > CAL_IMAGE_PIXELS)
    return cal_fail(err, CAL_E_LIMIT, "image: %d x %d is too large; a side has at most %d pixels, a picture %d million", width, height,
                    CAL_IMAGE_SIDE, CAL_IMAGE_PIXELS / 1000000),
           NULL;
  cal_image *im = cal_alloc(sizeof *im, err);
  if (!im) return NULL;
  *im = (cal_image){.width = width, .height = height, .channels = channels};
  im->pixels = cal_alloc(cal_image_size(im), err);
  if (!im->pixels) {
    cal_free(im);
    return NULL;
  }
  return im;
}

cal_image *cal_image_new(int width, int height, int channels, cal_error *err) {
  cal_image *im = allocate(width, height, channels, err);
  if (im) memset(im->pixels, 0, cal_image_size(im));
  return im;
}

cal_image *cal_image_copy(const cal_image *im, cal_error *err) {
  cal_image *out = allocate(im->width, im->height, im->channels, err);
  if (out) memcpy(out->pixels, im->pixels, cal_image_size(im));
  return out;
}

void cal_image_free(cal_image *im) {
  if (!im) return;
  cal_free(im->pixels);
  cal_free(im);
}

size_t cal_image_size(const cal_image *im) { return (size_t)im->width * (size_t)im->height * (size_t)im->channels; }

cal_image *cal_image_crop(const cal_image *im, int x, int y, int width, int height, cal_error *err) {
  if (x < 0 || y < 0 || width < 1 || height < 1 || width > im->width - x || height > im->height - y)
    return cal_fail(err, CAL_E_ARG, "image: a crop of %d x %d at %d, %d does not lie inside %d x %d", width, height, x, y, im->width,
                    im->height),
           NULL;
  cal_image *out = allocate(width, height, im->channels, err);
  if (!out) return NULL;
  for (int row = 0; row < height; row++)
    memcpy(cal_image_at(out, 0, row), cal_image_at(im, x, y + row), (size_t)width * (size_t)im->channels);
  return out;
}

/* Every symmetry of the square is one walk over the source: it starts at a corner and has one step per output column and
 * one per output row. Blocks of 32 keep both pictures' lines in the cache when rows become columns. */
static cal_image *walk(const cal_image *im, int transpose, int from_right, int from_bottom, cal_error *err) {
  cal_image *out = allocate(transpose ? im->height : im->width, transpose ? im->width : im->height, im->channels, err);
  if (!out) return NULL;
  const ptrdiff_t c = im->channels, line = (ptrdiff_t)im->width * c;
  const ptrdiff_t step_x = from_right ? -c : c, step_y = from_bottom ? -line : line;
  const unsigned char *start = cal_image_at(im, from_right ? im->width - 1 : 0, from_bottom ? im->height - 1 : 0);
  const ptrdiff_t column = transpose ? step_y : step_x, row = transpose ? step_x : step_y;
  for (int top = 0; top < out->height; top += 32)
    for (int left = 0; left < out->width; left += 32)
      for (int y = top; y < out->height && y < top + 32; y++) {
        unsigned char *to = cal_image_at(out, left, y);
        const unsigned char *from = start + y * row + left * column;
        for (int x = left; x < out->width && x < left + 32; x++, from += column)
          for (ptrdiff_t k = 0; k < c; k++) *to++ = from[k];
      }
  return out;
}

cal_image *cal_image_flip(const cal_image *im, cal_error *err) { return walk(im, 0, 1, 0, err); }

cal_image *cal_image_rotate(const cal_image *im, int quarter_turns, cal_error *err) {
  switch (quarter_turns & 3) { /* the low bits count modulo 4 for negative numbers too */
    case 1: return walk(im, 1, 0, 1, err);
    case 2: return walk(im, 0, 1, 1, err);
    case 3: return walk(im, 1, 1, 0, err);
    default: return cal_image_copy(im, err);
  }
}

/* Exif 2.3, tag 0x0112: which side of the scene the stored first row and first column show. */
cal_image *cal_image_orient(const cal_image *im, int orientation, cal_error *err) {
  switch (orientation) {
    case 2: return walk(im, 0, 1, 0, err);
    case 3: return walk(im, 0, 1, 1, err);
    case 4: return walk(im, 0, 0, 1, err);
    case 5: return walk(im, 1, 0, 0, err);
    case 6: return walk(im, 1, 0, 1, err);
    case 7: return walk(im, 1, 1, 1, err);
    case 8: return walk(im, 1, 1, 0, err);
    default: return cal_image_copy(im, err);
  }
}

cal_image *cal_image_gray(const cal_image *im, cal_error *err) {
  if (im->channels == 1) return cal_image_copy(im, err);
  cal_image *out = allocate(im->width, im->height, 1, err);
  if (!out) return NULL;
  const unsigned char *p = im->pixels;
  const size_t count = cal_image_size(out), step = (size_t)im->channels;
  for (size_t i = 0; i < count; i++, p += step) out->pixels[i] = cal_image_luma(p);
  return out;
}

cal_image *cal_image_rgb(const cal_image *im, const unsigned char *background, cal_error *err) {
  static const unsigned char white[3] = {255, 255, 255};
  if (im->channels == 3) return cal_image_copy(im, err);
  if (!background) background = white;
  cal_image *out = allocate(im->width, im->height, 3, err);
  if (!out) return NULL;
  const size_t count = (size_t)im->width * (size_t)im->height;
  const unsigned char *p = im->pixels;
  unsigned char *q = out->pixels;
  if (im->channels == 1) {
    for (size_t i = 0; i < count; i++, q += 3) q[0] = q[1] = q[2] = p[i];
    return out;
  }
  for (size_t i = 0; i < count; i++, p += 4, q += 3)
    for (int k = 0; k < 3; k++) q[k] = (unsigned char)((p[k] * p[3] + background[k] * (255 - p[3]) + 127) / 255);
  return out;
}
