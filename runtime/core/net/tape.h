/* tape.h - exchanges with a server, recorded once and played back without key or network.
 *
 *   cal_error err = {0};
 *   cal_fs *fs = cal_fs_new(NULL, 0, &err);
 *   cal_fs_grant(fs, ".", CAL_FS_READ | CAL_FS_WRITE, &err);            // the folder: a file that is not there cannot be granted
 *   cal_tape *tape = cal_tape_record(fs, "class.rec", &err);
 *   cal_tape_reply reply = {.status = 200, .content_type = "application/json", .body = "{\"a\":1}", .size = 7};
 *   cal_tape_add(tape, "POST", "/v1/caption", "{}", 2, &reply, &err);         // on the disk when it returns
 *   cal_tape_close(tape);
 *   tape = cal_tape_replay(fs, "class.rec", &err);
 *   if (!cal_tape_next(tape, "POST", "/v1/caption", "{}", 2, &reply, &err))   // CAL_E_NOTFOUND: nobody asked that before
 *     printf("%d %.*s\n", reply.status, (int)reply.size, (const char *)reply.body);
 *   cal_tape_close(tape);
 *   cal_fs_free(fs);
 *
 * A tape is JSON lines: {"tape":1}, then one line for each exchange. A request is known by the sha256 of method, path and body, so
 * a tape holds no pictures, and no keys as long as those are in headers; what is said again, after a 503 say, is answered in the order of
 * the recording, and after its end with the last reply once more. A line without its end, of a process that was killed while it wrote, is
 * no exchange: it is skipped, and cut off when recording goes on.
 * uses: base codec
 */
#ifndef CAL_NET_TAPE_H
#define CAL_NET_TAPE_H

#include <stddef.h>

#include "core/base/error.h"
#include "core/base/fs.h"

enum { CAL_TAPE_MOST = 512 << 20 }; /* bytes of a tape that is played */

typedef struct cal_tape cal_tape;

typedef struct {
  int status;
  const char *content_type, *retry_after, *rate_limit; /* of the headers of these names; NULL: not there */
  const void *body;
  size_t size;
} cal_tape_reply;

/* Goes on at the end of the file, which is made when it is not there. CAL_E_FORMAT: the file is there and is no tape; CAL_E_BUSY:
 * another process records on it. */
cal_tape *cal_tape_record(const cal_fs *fs, const char *path, cal_error *err);

/* The whole tape is read and checked at once. CAL_E_FORMAT with the line, CAL_E_LIMIT, CAL_E_NOTFOUND. */
cal_tape *cal_tape_replay(const cal_fs *fs, const char *path, cal_error *err);
void cal_tape_close(cal_tape *tape); /* NULL is fine */

/* One exchange, as one write and on the disk before it returns. CAL_E_ARG: a tape that is being played, or a header that is not UTF-8. */
cal_status cal_tape_add(cal_tape *tape, const char *method, const char *path, const void *body, size_t size, const cal_tape_reply *reply,
                        cal_error *err);

/* The next reply to this request; what it points to is the tape's until the next call. CAL_E_NOTFOUND, in words that say what to do. */
cal_status cal_tape_next(cal_tape *tape, const char *method, const char *path, const void *body, size_t size, cal_tape_reply *reply,
                         cal_error *err);

#endif
