/* decode.h - picture files into pictures.
 *
 *   cal_error err = {0};
 *   cal_fs *fs = cal_fs_new(NULL, 0, &err);
 *   cal_image_hint hint = {.min_side = 256};                    // for a thumbnail: JPEGs may come smaller than stored
 *   cal_image_info info;
 *   cal_image *im = cal_image_load(fs, "photos/cat.jpg", &hint, &info, &err);
 *   if (!im) cal_error_context(&err, "thumbnail");              // "thumbnail: photos/cat.jpg: the JPEG is cut off ..."
 *   cal_image_free(im);
 *   cal_fs_free(fs);
 *
 * What a file is follows from its bytes, never from its name. JPEG goes through libjpeg-turbo, PNG through libpng, GIF
 * through an own reader, the others through SDL2_image, opened on first use. Of animations the first frame is shown. A
 * picture has 3 channels, or 4 where the file has transparency; gray files give three equal channels, 16 bits give
 * their upper 8. EXIF orientation is applied. Damaged or cut-off files are refused, never half shown.
 * uses: base
 */
#ifndef CAL_IMAGE_DECODE_H
#define CAL_IMAGE_DECODE_H

#include "core/base/fs.h"
#include "core/image/header.h"
#include "core/image/image.h"

enum { CAL_IMAGE_MAX_PIXELS = 200 * 1000 * 1000 };

typedef struct {
  int min_side;         /* > 0: the smallest useful side. JPEGs are then decoded at 1/2, 1/4 or 1/8, with twice this side left */
  long long max_pixels; /* of the stored picture; 0: CAL_IMAGE_MAX_PIXELS. CAL_E_LIMIT above, before pixels are read */
} cal_image_hint;

/* `hint` and `info` may be NULL; `info` describes the file (the size as stored), not the picture that came out.
 * NULL on failure: the codes of cal_fs_read, CAL_E_FORMAT (names the file, the format seen, and the byte where reading
 * stopped), CAL_E_LIMIT, CAL_E_MEMORY, CAL_E_MISSING (SDL2_image is not installed). */
cal_image *cal_image_load(const cal_fs *fs, const char *path, const cal_image_hint *hint, cal_image_info *info, cal_error *err);

/* The same for bytes in memory; `name` stands in messages. */
cal_image *cal_image_decode(const void *bytes, size_t size, const char *name, const cal_image_hint *hint, cal_image_info *info,
                            cal_error *err);

/* Format, stored size and orientation from the header alone: a few kilobytes are read, no pixel is decoded. */
cal_status cal_image_probe(const cal_fs *fs, const char *path, cal_image_info *info, cal_error *err);

/* The size as displayed: orientations 5 .. 8 swap the sides. */
static inline int cal_image_shown_width(const cal_image_info *info) { return info->orientation > 4 ? info->height : info->width; }
static inline int cal_image_shown_height(const cal_image_info *info) { return info->orientation > 4 ? info->width : info->height; }

#endif
