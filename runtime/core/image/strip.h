/* strip.h - a picture's file without what it tells about where, when and with what it was made.
 *
 *   cal_error err = {0};
 *   const unsigned char bytes[] = {0xff, 0xd8, 0xff, 0xd9};
 *   cal_buffer clean = {0};
 *   if (cal_image_strip(bytes, sizeof bytes, CAL_IMAGE_JPEG, &clean, &err)) puts(err.text);
 *   cal_buffer_free(&clean);
 *
 * Cameras write the place into EXIF, programs the prompt into PNG texts. Pixels, colour profiles and what a decoder needs stay
 * as they are, byte for byte. The orientation goes with EXIF: turn such pictures instead. Sources: ITU T.81 B.1, the PNG
 * specification, the WebP container.
 * uses: base
 */
#ifndef CAL_IMAGE_STRIP_H
#define CAL_IMAGE_STRIP_H

#include "core/base/buffer.h"
#include "core/image/header.h"

/* Append. JPEG: without APP1, APP3 to APP13, APP15 and comments. PNG: without eXIf, tEXt, zTXt, iTXt, tIME, and what stands after IEND.
 * WebP: without EXIF and XMP. CAL_E_ARG for other formats; CAL_E_FORMAT where the parts cannot be told apart. */
cal_status cal_image_strip(const void *bytes, size_t size, cal_image_format format, cal_buffer *out, cal_error *err);

#endif
