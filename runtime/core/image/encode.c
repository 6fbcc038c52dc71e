#include "core/image/encode.h"

#include <string.h>
#include <strings.h>

#include "core/image/jpeg.h"

cal_status cal_image_encode(const cal_image *im, cal_image_format format, const cal_encode_options *options, cal_buffer *out,
                            cal_error *err) {
  static const cal_encode_options usual = {0};
  if (!options) options = &usual;
  switch (format) {
    case CAL_IMAGE_JPEG: return cal_jpeg_encode(im, options->quality ? options->quality : 95, options->progress, out, err);
    case CAL_IMAGE_PNG: return cal_png_encode(im, options->text, options->text_count, options->progress, out, err);
    default: return cal_fail(err, CAL_E_ARG, "image: %s is not written; PNG and JPEG are", cal_image_format_name(format));
  }
}

cal_image_format cal_image_format_of_name(const char *path) {
  const char *dot = strrchr(path, '.');
  if (!dot) return CAL_IMAGE_UNKNOWN;
  if (strcasecmp(dot, ".png") == 0) return CAL_IMAGE_PNG;
  return strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0 ? CAL_IMAGE_JPEG : CAL_IMAGE_UNKNOWN;
}

cal_status cal_image_save(const cal_image *im, const cal_fs *fs, const char *path, const cal_encode_options *options, cal_error *err) {
  cal_image_format format = cal_image_format_of_name(path);
  if (!format) return cal_fail(err, CAL_E_ARG, "%s: the name does not end in .png, .jpg or .jpeg", path);
  cal_buffer bytes = {0};
  cal_status status = cal_image_encode(im, format, options, &bytes, err);
  if (status) cal_error_context(err, "%s", path);
  else status = cal_fs_write(fs, path, bytes.data, bytes.size, err);
  cal_buffer_free(&bytes);
  return status;
}
