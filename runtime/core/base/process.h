/* process.h - another program at work beside this one: no shell, its lines as they come, no zombie left.
 *
 *   cal_error err = {0};
 *   const char *const words[] = {"ls", "-l", NULL};
 *   cal_process *p = cal_process_start(&(cal_process_options){.words = words, .folder = "photos"}, &err);
 *   if (!p) return err.code;
 *   cal_process_line line;
 *   int code;
 *   while (!cal_process_ended(p, &code))
 *     while (cal_process_read(p, &line)) printf("%s%.*s\n", line.from_err ? "! " : "", (int)line.size, line.text);
 *   cal_process_close(p);
 *
 * The program gets exactly the words, an empty stdin, pipes instead of a terminal, NO_COLOR=1, no open file of ours, and no
 * signal blocked or ignored. It is a process group of its own: a Ctrl-C at our terminal reaches it by cal_process_interrupt
 * alone, and once, which counts for its three stages. When this process dies without a word (kill -9), Linux interrupts it.
 * A detached one is on its own: a session without our terminal, stdin, stdout and stderr on /dev/null, alive after us. None
 * of the calls waits for the program but `close` for the end of what it killed. Several may run; calls from one thread.
 * uses: libc
 */
#ifndef CAL_BASE_PROCESS_H
#define CAL_BASE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/base/error.h"

typedef struct cal_process cal_process;

typedef struct {
  const char *name, *value; /* NULL as value: the program does not get it */
} cal_process_variable;

typedef struct {
  const char *const *words;              /* the program, then what it is given; NULL at the end. Without a slash it is looked for in PATH */
  const cal_process_variable *variables; /* over our environment */
  size_t variable_count;
  const char *folder; /* where it works; NULL: where we do */
  bool detached;
} cal_process_options;

/* CAL_E_NOTFOUND, CAL_E_DENIED, CAL_E_ARG (no words, a name with "="), CAL_E_IO: it did not start, and the sentence says what failed. */
cal_process *cal_process_start(const cal_process_options *options, cal_error *err);

enum { CAL_PROCESS_LINE = 64 << 10 }; /* a longer line comes in pieces */

typedef struct {
  const char *text; /* until the next call; without its end of line; any bytes, 0 behind it */
  size_t size;
  bool from_err; /* stderr */
} cal_process_line;

/* The next whole line that is there, or false; never waits. Each of both streams keeps its order, what stands between them may not. What
 * nobody reads stays with the program, which waits when its pipe is full. Also after its end. */
bool cal_process_read(cal_process *p, cal_process_line *line);

/* Its exit code; 128 + the number for one that a signal ended: 130 after an interrupt; 127 when
 * the system has forgotten it. False while it runs. */
bool cal_process_ended(cal_process *p, int *code);
void cal_process_interrupt(cal_process *p); /* SIGINT, as Ctrl-C; nothing when it has ended */
void cal_process_kill(cal_process *p);
int cal_process_id(const cal_process *p);
void cal_process_close(cal_process *p); /* one that still runs is killed with all that it started, unless it is detached */

char *cal_process_self(cal_error *err); /* the path of this program. Owned. */

#endif
