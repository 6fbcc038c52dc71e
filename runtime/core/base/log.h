/* log.h - lines for people, on stderr.
 *
 *   cal_log(CAL_INFO, "%d pictures in %s", 37, "photos/");
 *   cal_log(CAL_WARNING, "cat.jpg: no caption");            // "warning: cat.jpg: no caption"
 *
 * Everything is made printable on the way out: a file name cannot move the cursor. stdout stays for data.
 * CALOTYPE_DEBUG=1..5 shows CAL_DEBUG lines up to that depth: 1 devices, 2 requests, 3 kernels, 4 graph, 5 source.
 * uses: libc
 */
#ifndef CAL_BASE_LOG_H
#define CAL_BASE_LOG_H

#include "core/base/error.h"

typedef enum { CAL_ERROR, CAL_WARNING, CAL_INFO } cal_log_level;

void cal_log(cal_log_level level, const char *format, ...) CAL_PRINTF(2, 3);
void cal_debug(int depth, const char *format, ...) CAL_PRINTF(2, 3);
int cal_debug_depth(void);
void cal_log_quiet(int quiet); /* 1: only errors */

/* Tests listen here instead of reading stderr; NULL brings stderr back. */
void cal_log_listen(void (*listener)(void *context, cal_log_level level, const char *line), void *context);

#endif
