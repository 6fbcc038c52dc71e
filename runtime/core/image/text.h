/* text.h - letters for sheets and figures.
 *
 *   cal_error err = {0};
 *   const unsigned char black[4] = {0, 0, 0, 255};
 *   double width = cal_text_width("37 pictures", 14);
 *   cal_image *im = cal_image_new((int)width + 8, 22, 3, &err);
 *   if (im) cal_draw_text(im, 4, 4, "37 pictures", 14, black, &err);
 *   cal_image_free(im);
 *
 * An own font of strokes for printable ASCII (font.h); every other code point, and every byte that is not UTF-8, is a box.
 * `size` is the height of a line in pixels, from above the capitals to below the descenders; capitals are 0.7 of it.
 * A newline begins a new line, 1.25 sizes lower.
 * uses: base
 */
#ifndef CAL_IMAGE_TEXT_H
#define CAL_IMAGE_TEXT_H

#include "core/image/image.h"

double cal_text_width(const char *text, double size); /* of the longest line, in pixels */

/* x, y: the upper left corner of the first line. CAL_E_ARG for sizes that are not above 0 and at most 4096. */
cal_status cal_draw_text(cal_image *im, double x, double y, const char *text, double size, const unsigned char color[4], cal_error *err);

#endif
