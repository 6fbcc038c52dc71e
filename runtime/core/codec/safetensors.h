/* safetensors.h - named tensors in a file: read by mapping, written as a stream.
 *
 *   cal_error err = {0};
 *   cal_fs *fs = cal_fs_new(NULL, 0, &err);
 *   cal_fs_grant(fs, "models", CAL_FS_READ | CAL_FS_WRITE, &err);
 *   cal_st *st = cal_st_open(fs, "models/unet.safetensors", &err);
 *   const cal_st_tensor *t = st ? cal_st_find(st, "conv_in.weight") : NULL;
 *   if (t) printf("%s, %d dimensions, %zu bytes at %p\n", cal_st_dtype_name(t->dtype), t->rank, (size_t)t->size, (void *)t->data);
 *   cal_st_close(st);
 *
 *   cal_st_tensor down = {.name = "down", .dtype = CAL_ST_F32, .rank = 2, .shape = {4, 320}};
 *   cal_st_writer *w = cal_st_create(fs, "models/lora.safetensors", &down, 1, NULL, 0, &err);
 *   float rows[4 * 320] = {0};
 *   if (w && !cal_st_write(w, "down", 0, rows, sizeof rows, &err)) cal_st_commit(w, &err);
 *   else cal_st_discard(w);
 *   cal_fs_free(fs);
 *
 * The format: 8 bytes of header length (little-endian), a JSON header {"name": {dtype, shape, data_offsets}}, then the
 * data. A header is not believed: every number is checked against the file and against every other before anything
 * points into it. Data lies where the file says and may be unaligned.
 * uses: base
 */
#ifndef CAL_CODEC_SAFETENSORS_H
#define CAL_CODEC_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/error.h"
#include "core/base/fs.h"

typedef enum {
  CAL_ST_BOOL,
  CAL_ST_U8,
  CAL_ST_I8,
  CAL_ST_F8_E5M2,
  CAL_ST_F8_E4M3,
  CAL_ST_U16,
  CAL_ST_I16,
  CAL_ST_F16,
  CAL_ST_BF16,
  CAL_ST_U32,
  CAL_ST_I32,
  CAL_ST_F32,
  CAL_ST_U64,
  CAL_ST_I64,
  CAL_ST_F64,
} cal_st_dtype;

const char *cal_st_dtype_name(cal_st_dtype type); /* "F32", as the format writes it */
size_t cal_st_dtype_size(cal_st_dtype type);      /* bytes */

enum { CAL_ST_DIMENSIONS = 8, CAL_ST_HEADER_MOST = 32 << 20 };

typedef struct {
  const char *name;
  cal_st_dtype dtype;
  int rank; /* 0: a single number */
  uint64_t shape[CAL_ST_DIMENSIONS];
  uint64_t offset, size;     /* bytes, from the start of the file; 0: not in it as they are, but unpacked from it */
  const unsigned char *data; /* lives as long as the file is open; may be unaligned */
} cal_st_tensor;

typedef struct {
  const char *key, *value;
} cal_st_note; /* one entry of __metadata__ */

typedef struct cal_st cal_st;

/* NULL and CAL_E_FORMAT naming the tensor and the numbers, CAL_E_LIMIT (header above 32 MiB, more than 8 dimensions), or
 * what the fs says. Refused besides what is no safetensors at all: unknown dtypes, sizes that do not follow from the
 * shape, offsets beyond the file, overlaps, bytes that belong to no tensor, names that stand twice. */
cal_st *cal_st_open(const cal_fs *fs, const char *path, cal_error *err);
cal_st *cal_st_open_bytes(const void *bytes, size_t size, const char *name, cal_error *err); /* bytes are borrowed */
void cal_st_close(cal_st *st);
void cal_st_unneeded(const cal_st *st, const cal_st_tensor *t); /* was read: its pages may leave memory, and come back when they are read */

/* The tensors of another format (pickle.h) behind the same questions. Takes `map`, the file (empty: somebody else's), `tensors`, which are
 * sorted here, and `keep`, in which names and unpacked data live and which `release` frees when this is closed; all of them also when it
 * fails: CAL_E_FORMAT for a name that stands twice. */
cal_st *cal_st_take(const char *format, cal_mapping map, cal_st_tensor *tensors, size_t count, void *keep, void (*release)(void *keep),
                    cal_error *err);
const char *cal_st_format(const cal_st *st); /* "safetensors", or that of cal_st_take */

size_t cal_st_count(const cal_st *st);
const cal_st_tensor *cal_st_tensors(const cal_st *st); /* sorted by name */
const cal_st_tensor *cal_st_find(const cal_st *st, const char *name);
const cal_st_note *cal_st_notes(const cal_st *st, size_t *count); /* sorted by key */
const char *cal_st_note_text(const cal_st *st, const char *key);

/* Write: the header first, from what is declared (name, dtype, rank, shape; the rest is ignored), then the data in any
 * order and any pieces. Names and metadata are sorted and data is laid out by width of its numbers, then name, which
 * keeps all of it aligned: the same tensors give the same bytes. The file appears with `commit`, whole; CAL_E_ARG there when
 * a tensor was not written from its first byte to its last. `commit` and `discard` free the writer. */
typedef struct cal_st_writer cal_st_writer;
cal_st_writer *cal_st_create(const cal_fs *fs, const char *path, const cal_st_tensor *tensors, size_t count, const cal_st_note *notes,
                             size_t note_count, cal_error *err);
/* `at`: the byte inside the tensor. Pieces of one tensor come in order, without gaps. */
cal_status cal_st_write(cal_st_writer *w, const char *name, uint64_t at, const void *bytes, size_t size, cal_error *err);
cal_status cal_st_commit(cal_st_writer *w, cal_error *err);
void cal_st_discard(cal_st_writer *w);

#endif
