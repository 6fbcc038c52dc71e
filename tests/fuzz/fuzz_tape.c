/* Any bytes as a recording: it is played or refused with a sentence, and when recording goes on, what was there can still be played. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/net/tape.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static char path[64];
  static cal_fs *fs;
  cal_error err = {0};
  if (!fs) {
    snprintf(path, sizeof path, "%s/calotype-fuzz-tape.%ld", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (long)getpid());
    fs = cal_fs_new(NULL, 0, &err);
    if (!fs || cal_fs_grant(fs, path, CAL_FS_READ | CAL_FS_WRITE, &err)) abort();
  }
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(bytes, 1, size, f) != size || fclose(f)) abort();
  cal_tape *before = cal_tape_replay(fs, path, &err);
  if (!before && (!err.code || !err.text[0])) abort();
  cal_tape_reply reply = {.status = 200, .body = bytes, .size = size};
  cal_tape *recorder = cal_tape_record(fs, path, &err);
  if (before && !recorder) abort();
  if (recorder && cal_tape_add(recorder, "POST", "/x", "y", 1, &reply, &err)) abort();
  cal_tape_close(recorder);
  cal_tape *after = before ? cal_tape_replay(fs, path, &err) : NULL;
  if (before && !after) abort();
  if (after && cal_tape_next(after, "POST", "/x", "y", 1, &reply, &err)) abort();
  cal_tape_close(before);
  cal_tape_close(after);
  unlink(path);
  return 0;
}
