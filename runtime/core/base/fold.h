/* fold.h - lines that fit the terminal.
 *
 *   cal_buffer out = {0};
 *   cal_fold(&out, "warning: 3 captions are longer than what is read of them", 40);   // broken at a space, the rest two further in
 *   fwrite(out.data, 1, out.size, stderr);
 *   cal_buffer_free(&out);
 *
 * A line goes on two places further in than it began, or below the column that it has: what follows two spaces in the first half of the
 * terminal. Words are never broken; lines of a source ("   2 | ...") and those with a command
 * to copy ("go on with: ...") stay as they are. Columns count code points of UTF-8;
 * colours (CSI sequences) take none.
 * uses: base
 */
#ifndef CAL_BASE_FOLD_H
#define CAL_BASE_FOLD_H

#include "core/base/buffer.h"

/* Adds `text`, line by line, to `out`. columns < 40: as it is. */
void cal_fold(cal_buffer *out, const char *text, int columns);

int cal_terminal_columns(int fd); /* 0: it is no terminal; 80 where it does not say */

/* `text` on stderr: folded to its terminal and over a progress bar, if one is drawn; as it is elsewhere. */
void cal_stderr_put(const char *text);

#endif
