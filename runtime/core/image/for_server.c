#include "core/image/for_server.h"

#include <string.h>

#include "core/image/decode.h"
#include "core/image/encode.h"
#include "core/image/resize.h"
#include "core/image/strip.h"

enum { LEAST_SIDE = 64, LEAST_BYTES = 4 << 10, MOST_BYTES = 4 << 20, MOST_SIDE = 2048 };

static const char *mime_of(cal_image_format format) {
  return format == CAL_IMAGE_JPEG ? "image/jpeg" : format == CAL_IMAGE_PNG ? "image/png" : format == CAL_IMAGE_WEBP ? "image/webp" : NULL;
}

static bool animated(const cal_buffer *file, cal_image_format format) {
  return format == CAL_IMAGE_WEBP && file->size > 20 && !memcmp(file->data + 12, "VP8X", 4) && file->data[20] & 2;
}

static bool see_through(const cal_image *im) {
  if (im->channels != 4) return false;
  for (size_t i = 3, size = cal_image_size(im); i < size; i += 4)
    if (im->pixels[i] != 255) return true;
  return false;
}

/* May the file stay as it is, if its pixels are whole? */
static bool fits(const cal_buffer *file, const cal_image_info *info, const cal_for_server *o) {
  return mime_of(info->format) && o->formats >> info->format & 1 && info->orientation == 1 && info->width <= o->largest_side &&
         info->height <= o->largest_side && file->size <= o->largest_bytes && info->bits <= 8 && info->samples <= 4 &&
         !(info->format == CAL_IMAGE_JPEG && info->samples == 4) && !animated(file, info->format);
}

/* Takes `im`. Of a side of at most `side`, smaller and coarser until it has at most `most` bytes. */
static cal_status encode(cal_image *im, const char *path, int side, size_t most, cal_buffer *out, cal_error *err) {
  const size_t before = out->size;
  cal_image *rgb = cal_image_rgb(im, NULL, err);
  cal_image_free(im);
  cal_status status = rgb ? CAL_OK : err->code;
  for (int quality = 90; !status;) {
    const int longest = rgb->width > rgb->height ? rgb->width : rgb->height;
    if (longest > side) {
      const bool wide = rgb->width >= rgb->height;
      cal_image *small = cal_image_resize(rgb, wide ? side : 0, wide ? 0 : side, longest >= 2 * side ? CAL_AREA : CAL_LANCZOS3, err);
      cal_image_free(rgb);
      if (!(rgb = small)) {
        status = err->code;
        break;
      }
    }
    if (out->data) out->data[out->size = before] = 0;
    status = cal_image_encode(rgb, CAL_IMAGE_JPEG, &(cal_encode_options){.quality = quality}, out, err);
    if (status || out->size - before <= most) break;
    if (quality > 70) quality -= 10;
    else if (side > LEAST_SIDE) side = (side < longest ? side : longest) * 3 / 4;
    else
      status =
          cal_fail(err, CAL_E_LIMIT, "%s: %zu bytes even at a side of %d; at most %zu are wanted", path, out->size - before, side, most);
  }
  cal_image_free(rgb);
  return status;
}

/* The file without its history, when that is a picture still; `out` is as before when it is not, or is better sent otherwise. */
static bool as_it_is(const cal_buffer *file, const char *path, cal_image_format format, cal_buffer *out) {
  const size_t before = out->size;
  cal_error err = {0};
  cal_image *im = NULL;
  if (!cal_image_strip(file->data, file->size, format, out, &err))
    im = cal_image_decode(out->data + before, out->size - before, path, &(cal_image_hint){.min_side = 1}, NULL,
                          &err); /* only looked through */
  const bool good = im && !see_through(im);
  cal_image_free(im);
  if (!good && out->data) out->data[out->size = before] = 0;
  return good;
}

static cal_status convert(const cal_buffer *file, const char *path, const cal_image_info *info, const cal_for_server *o, cal_buffer *out,
                          const char **mime, cal_error *err) {
  *mime = mime_of(info->format);
  if (fits(file, info, o) && as_it_is(file, path, info->format, out)) return CAL_OK;
  const int shorter = info->width < info->height ? info->width : info->height;
  const int longer = info->width < info->height ? info->height : info->width;
  const int wanted = longer > o->largest_side ? (int)((long long)shorter * o->largest_side / longer) : shorter;
  cal_image_hint hint = {.min_side = wanted ? wanted : 1};
  cal_image *im = cal_image_decode(file->data, file->size, path, &hint, NULL, err);
  if (!im) return err->code;
  *mime = "image/jpeg";
  return encode(im, path, o->largest_side, o->largest_bytes, out, err);
}

cal_status cal_image_for_server(const cal_fs *fs, const char *path, const cal_for_server *options, cal_buffer *out, const char **mime,
                                cal_error *err) {
  cal_error own = {0};
  if (!err) err = &own;
  cal_for_server o = options ? *options : (cal_for_server){0};
  if (!o.largest_bytes) o.largest_bytes = MOST_BYTES;
  if (!o.largest_side) o.largest_side = MOST_SIDE;
  if (!o.formats) o.formats = 1u << CAL_IMAGE_PNG | 1u << CAL_IMAGE_WEBP;
  o.formats |= 1u << CAL_IMAGE_JPEG;
  if (o.largest_side < LEAST_SIDE || o.largest_bytes < LEAST_BYTES)
    return cal_fail(err, CAL_E_ARG, "a server's pictures: a largest side of %d and %zu bytes; at least %d and %d are expected",
                    o.largest_side, o.largest_bytes, LEAST_SIDE, LEAST_BYTES);
  cal_buffer file = {0};
  cal_image_info info;
  bool cut;
  const size_t before = out->size;
  cal_status status = cal_fs_read(fs, path, (uint64_t)1 << 30, &file, err);
  if (!status) status = cal_image_header((const unsigned char *)(file.data ? file.data : ""), file.size, path, &info, &cut, err);
  if (!status) status = convert(&file, path, &info, &o, out, mime, err);
  if (status && out->data) out->data[out->size = before] = 0;
  cal_buffer_free(&file);
  return status;
}
