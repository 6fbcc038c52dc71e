/* fonts.h - which font files this machine has, and in which order they are asked for a letter.
 *
 *   cal_error err = {0};
 *   cal_fonts *fonts = cal_fonts_find(&err);
 *   if (!fonts) return err.code;
 *   const int *chain = fonts->chains[CAL_FONT_MONO];
 *   if (fonts->lengths[CAL_FONT_MONO] > 0) printf("%s\n", fonts->files[chain[0]].path);       // ".../DejaVuSansMono.ttf"
 *   cal_fonts_free(fonts);
 *
 * CALOTYPE_FONT, a file, comes first; then fonts we know to be good and wide (DejaVu, Noto, Liberation, those of macOS, CJK), then every
 * other upright one in the system's and the person's font folders, at most 160 files.
 * uses: base
 */
#ifndef CAL_WINDOW_FONTS_H
#define CAL_WINDOW_FONTS_H

#include <stddef.h>

#include "core/base/error.h"

enum { CAL_FONT_BOLD = 1, CAL_FONT_MONO = 2, CAL_FONT_STYLES = 4, CAL_FONTS_MOST = 160 };

typedef struct {
  char *path;
  long face; /* in collections: the one for the language of LANG */
} cal_font_file;

typedef struct {
  cal_font_file files[CAL_FONTS_MOST];
  int count;
  int chains[CAL_FONT_STYLES][CAL_FONTS_MOST], lengths[CAL_FONT_STYLES]; /* by CAL_FONT_BOLD | CAL_FONT_MONO */
} cal_fonts;

/* Only names are read. No font at all is fine. CAL_E_NOTFOUND: CALOTYPE_FONT is no file. */
cal_fonts *cal_fonts_find(cal_error *err);
void cal_fonts_free(cal_fonts *fonts);

#endif
