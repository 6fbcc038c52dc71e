/* download.h - one file of the hub: whole and checked under its name, or a part to go on from.
 *
 *   cal_error err = {0};
 *   cal_fs *fs = cal_fs_new(NULL, CAL_FS_GUARDED, &err);
 *   cal_fs_grant(fs, "models/sd15", CAL_FS_READ | CAL_FS_WRITE, &err);
 *   cal_hub *hub = cal_hub_open(&err);
 *   cal_download file = {.fs = fs, .repository = "owner/name", .revision = "main"};
 *   file.path = "vae/config.json";
 *   file.to = "models/sd15/vae/config.json";
 *   cal_download_result done;
 *   if (!cal_download_file(hub, &file, &done, &err)) printf("%s of commit %s\n", done.hash, done.commit);
 *   cal_hub_close(hub);
 *   cal_fs_free(fs);
 *
 * A HEAD tells commit, size and hash; the GET asks for that commit. Bytes go to TO.0123456789abcdef.part, whose name says of which
 * content they are; it is given its own name in one step when size and hash are right: sha256 for large files, git's sha1 of a blob
 * for small ones. Whatever ends a transfer, the part stays, and the next call goes on behind it with a Range. A server that does
 * not know ranges sends all of it again. Attempts are counted anew whenever more has come than ever before.
 * uses: base
 */
#ifndef CAL_NET_DOWNLOAD_H
#define CAL_NET_DOWNLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/net/hub.h"

typedef struct {
  const cal_fs *fs;
  const char *repository; /* "owner/name" */
  const char *revision;   /* a commit, branch or tag */
  const char *path;       /* in the repository; see cal_download_path_ok */
  const char *to;         /* file on this machine; takes the place of one that is there */
  const char *hash;       /* that the list of files gives: 64 (sha256) or 40 (git) hexadecimal digits; NULL: not known */
  uint64_t size;          /* that the list gives; 0: not known */
  void (*progress)(void *context, uint64_t done); /* bytes of this file that are here, also at the start; may be NULL */
  void *context;
} cal_download;

typedef struct {
  char commit[72]; /* of the repository; "" when the hub does not say */
  char hash[72];   /* that was found right; "" when there was none to compare with */
  uint64_t size;
  uint64_t kept; /* bytes that a part of before already had */
} cal_download_result;

/* CAL_E_INTERRUPT within 50 ms of Ctrl-C, with what is kept; CAL_E_IO: no room, said before anything is fetched, or a disk that fails;
 * CAL_E_BUSY: another process fetches it; CAL_E_FORMAT: twice the bytes were not those promised; CAL_E_ARG: a path that could lead out; and
 * what cal_hub_explain says. */
cal_status cal_download_file(cal_hub *hub, const cal_download *file, cal_download_result *result, cal_error *err);

/* Names come from a server: a path is relative, without empty parts, ".", "..", a part that ends in "." or " ", backslashes, colons and
 * control characters, and is valid UTF-8 of at most 1,024 bytes. */
bool cal_download_path_ok(const char *path);

/* Whether the file `path` has this hash (64: sha256, 40: git). CAL_E_FORMAT: it has not. */
cal_status cal_download_check(const cal_fs *fs, const char *path, const char *hash, cal_error *err);

/* "1.2 GB", "34 MB", "512 bytes". `out` holds at least 32 bytes. */
char *cal_download_size(uint64_t bytes, char *out);

#endif
