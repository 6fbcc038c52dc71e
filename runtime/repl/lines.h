/* lines.h - lines from a person, one at a time: edited on a terminal, plain elsewhere.
 *
 *   cal_lines *in = cal_lines_open(NULL, NULL);
 *   char *line;
 *   while (in && (line = cal_lines_read(in, "> "))) cal_free(line);
 *   cal_lines_close(in);
 *
 * uses: base
 */
#ifndef CAL_REPL_LINES_H
#define CAL_REPL_LINES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct cal_lines cal_lines;

/* Asked at Tab with the text before the cursor: returns owned text to insert there (may be ""), or NULL for nothing. When
 * several things are possible it puts an owned list to show into *list. */
typedef char *(*cal_lines_complete)(void *context, const char *before, char **list);

cal_lines *cal_lines_open(cal_lines_complete complete, void *context); /* NULL: no memory */
void cal_lines_close(cal_lines *in);

/* What was read already comes before what is still to be read. `text` is borrowed until it is all handed out. */
void cal_lines_give(cal_lines *in, const char *text, size_t size);

/* The next line, without its newline; a piece that was pasted comes whole, newlines inside. Owned. NULL at the end of
 * input, and after Ctrl-C, when *stopped is true. */
char *cal_lines_read(cal_lines *in, const char *prompt);
bool cal_lines_stopped(const cal_lines *in);

/* Keep for the history, in $XDG_STATE_HOME/calotype/history, readable by its owner alone. Lines with something like a key
 * in quotes are not kept. */
void cal_lines_remember(cal_lines *in, const char *line);

#endif
