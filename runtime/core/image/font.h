/* font.h - glyphs as strokes.
 *
 *   const char *o = cal_font_glyph('o');       // "i@aeieioao": 8 units wide, one closed curve through four corners
 *   const char *box = cal_font_glyph(0x1f4f7);
 *
 * Inside core/image only. The grid: letters a, b, c ... are 0, 1, 2 ...; a point is two letters, x and y. Capitals stand from
 * y = a to the baseline o (14), small letters begin at e (4), descenders end at s (18). A glyph is its width and then
 * strokes, separated by spaces: "-" a line through its points, "~" a quadratic B-spline that begins and ends at its first
 * and last point and bends towards the others, "@" a closed one, "." a dot.
 * uses: libc
 */
#ifndef CAL_IMAGE_FONT_H
#define CAL_IMAGE_FONT_H

enum { CAL_FONT_SPACING = 4, CAL_FONT_LINE = 20, CAL_FONT_BASELINE = 14 }; /* units: between glyphs, of `size`, from the capitals' top */

const char *cal_font_glyph(int code_point); /* a box for what is not printable ASCII; never NULL */

#endif
