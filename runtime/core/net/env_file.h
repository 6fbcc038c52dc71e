/* env_file.h - the lines of a .env file.
 *
 *   cal_error err = {0};
 *   const char text[] = "# keys\nexport GEMINI_API_KEY='AQ.abc'  # of the class\n";
 *   cal_env_file *file = cal_env_file_parse(text, sizeof text - 1, &err);
 *   if (!file) return err.code;                                             // "line 3: ..."
 *   const char *key = cal_env_file_find(file, "GEMINI_API_KEY");            // "AQ.abc", borrowed; NULL: not there
 *   printf("%zu names, one has %zu bytes\n", cal_env_file_count(file), key ? strlen(key) : 0);
 *   cal_env_file_free(file);
 *
 * A line is NAME=value, with `export` in front if one likes; # begins a comment at the start of a line and after white space.
 * A plain value ends at such a comment and is trimmed. 'single' quotes keep every byte; "double" quotes know \n \t \r \" \\ \$.
 * A quote ends on its line. Nothing is expanded: $NAME stays as it is. Of a name given twice the last line counts. A byte order
 * mark and CRLF are fine. No sentence of an error shows what a line holds: it may be a key.
 * uses: base
 */
#ifndef CAL_NET_ENV_FILE_H
#define CAL_NET_ENV_FILE_H

#include <stddef.h>

#include "core/base/error.h"

enum { CAL_ENV_FILE_MOST = 64 << 10 }; /* bytes of a file; more is CAL_E_LIMIT */

typedef struct cal_env_file cal_env_file;

/* Owned. NULL and CAL_E_FORMAT with the line: no '=', a name that is none, an open quote, text after a quote, an unknown
 * escape, a control character, bytes that are not UTF-8. CAL_E_LIMIT, CAL_E_MEMORY. */
cal_env_file *cal_env_file_parse(const char *bytes, size_t size, cal_error *err);
void cal_env_file_free(cal_env_file *file);

size_t cal_env_file_count(const cal_env_file *file); /* different names */
const char *cal_env_file_name(const cal_env_file *file, size_t index);
const char *cal_env_file_value(const cal_env_file *file, size_t index);
const char *cal_env_file_find(const cal_env_file *file, const char *name); /* NULL: not there. `file` may be NULL */

#endif
