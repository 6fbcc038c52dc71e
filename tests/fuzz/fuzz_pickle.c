/* Any bytes: an archive of tensors is read, and then every tensor lies inside the file or what was unpacked of it; or refused. What begins
 * as a pickle does is put into an archive with six floats, so that its instructions are tried without a checksum in the way. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/codec/pickle.h"

static unsigned char *put(unsigned char *at, uint64_t n, int width) {
  for (; width--; n >>= 8) *at++ = (unsigned char)n;
  return at;
}

static unsigned char *put_bytes(unsigned char *at, const void *bytes, size_t size) {
  if (size) memcpy(at, bytes, size);
  return at + size;
}

/* An archive of a/data.pkl and a/data/0, stored; freed by the caller. */
static unsigned char *archive_of(const uint8_t *pickle, size_t size, size_t *whole) {
  static const float six[6] = {1, 2, 3, 4, 5, 6};
  const struct {
    const char *name;
    const void *bytes;
    size_t size;
  } parts[2] = {{"a/data.pkl", pickle, size}, {"a/data/0", six, sizeof six}};
  unsigned char *file = malloc(size + 512), *at = file, *places[2];
  for (int i = 0; i < 2; i++) {
    places[i] = at;
    at = put_bytes(at, "PK\3\4\x0a\0\0\0\0\0\0\0\0\0", 14);
    at = put(at, crc32(0, parts[i].bytes, (uInt)parts[i].size), 4);
    at = put(put(put(at, parts[i].size, 4), parts[i].size, 4), strlen(parts[i].name), 4);
    at = put_bytes(put_bytes(at, parts[i].name, strlen(parts[i].name)), parts[i].bytes, parts[i].size);
  }
  unsigned char *directory = at;
  for (int i = 0; i < 2; i++) {
    at = put_bytes(at, "PK\1\2\x0a\0", 6);
    at = put_bytes(at, places[i] + 4, 26); /* what both records say; a comment's length and a disk are 0 */
    at = put(put(at, 0, 10), (uint64_t)(places[i] - file), 4);
    at = put_bytes(at, parts[i].name, strlen(parts[i].name));
  }
  uint64_t length = (uint64_t)(at - directory);
  at = put_bytes(at, "PK\5\6\0\0\0\0\2\0\2\0", 12);
  at = put(put(put(at, length, 4), (uint64_t)(directory - file), 4), 0, 2);
  *whole = (size_t)(at - file);
  return file;
}

static uint64_t look(const uint8_t *bytes, size_t size) {
  cal_error err = {0};
  cal_st *st = cal_pickle_open_bytes(bytes, size, "fuzz", &err);
  if (!st) return err.code && err.text[0] ? 0 : (abort(), 0);
  uint64_t sum = 0;
  for (size_t i = 0; i < cal_st_count(st); i++) {
    const cal_st_tensor *t = &cal_st_tensors(st)[i];
    uint64_t numbers = 1;
    for (int d = 0; d < t->rank; d++) numbers *= t->shape[d];
    if (t->offset > size || t->size > size - t->offset) {
      if (t->offset) abort();
    }
    if (numbers * cal_st_dtype_size(t->dtype) != t->size || cal_st_find(st, t->name) != t) abort();
    if (t->size) sum += t->data[0] + t->data[t->size - 1];
  }
  cal_st_close(st);
  return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (size < 2 || bytes[0] != 0x80) return look(bytes, size) > UINT64_MAX / 2;
  size_t whole;
  unsigned char *file = archive_of(bytes, size, &whole);
  uint64_t sum = look(file, whole);
  free(file);
  return sum > UINT64_MAX / 2;
}
