/* gif.h - the first frame of a GIF.
 *
 *   const unsigned char bytes[] = {'G', 'I', 'F'};
 *   cal_error err = {0};
 *   cal_image *im = cal_gif_decode(bytes, sizeof bytes, "cat.gif", &err);     // NULL: "cat.gif: the GIF is cut off ..."
 *   cal_image_free(im);
 *
 * Inside core/image; decode.h is the door. Why an own reader: SDL2_image fills what is missing at the end of a damaged
 * frame with the first colour of the palette and says nothing. giflib (5.2.1) takes an LZW code beyond the next free one
 * for a string and shows its garbage as pixels, without an error; to refuse it every code would have to be read twice,
 * and the blocks, limits, rows and colours around its LZW would stay ours. Its memory is outside our cap, too.
 * Source: GIF89a, 1990, appendices A and F.
 * uses: base
 */
#ifndef CAL_IMAGE_GIF_H
#define CAL_IMAGE_GIF_H

#include "core/image/image.h"

/* As large as the logical screen. 3 channels, or 4 when the frame has a transparent colour or leaves some of the screen free. */
cal_image *cal_gif_decode(const unsigned char *bytes, size_t size, const char *name, cal_error *err);

#endif
