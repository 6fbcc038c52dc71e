#include "core/codec/zip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <zip.h>

#include "core/base/interrupt.h"

/* ---- names ---- */

/* What is wrong with `name`, or NULL. */
static const char *fault_of_name(const char *name, bool folders) {
  size_t size = strlen(name);
  if (!size) return "is empty";
  if (size > 1000) return "is longer than 1000 bytes";
  if (!cal_utf8_valid(name, size, NULL)) return "is not UTF-8";
  if (*name == '/') return "is an absolute path";
  for (const char *p = name; *p; p++)
    if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '\\' || *p == ':') return "has a control character, a backslash or a colon";
  if (!folders && strchr(name, '/')) return "has a folder part; trainers read the top level only";
  for (const char *part = name; *part;) {
    size_t length = strcspn(part, "/");
    bool dots = (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.');
    if (!length || dots) return "has an empty part, \".\" or \"..\"";
    part += length;
    part += *part == '/';
  }
  return NULL;
}

static cal_status refuse_name(cal_error *err, cal_status code, const char *name, const char *fault) {
  cal_buffer shown = {0};
  cal_buffer_add_printable(&shown, name, strnlen(name, 200));
  cal_fail(err, code, "zip: the entry name \"%s\" %s", shown.data ? shown.data : "", fault);
  cal_buffer_free(&shown);
  return code;
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }
static int by_name_any_case(const void *a, const void *b) { return strcasecmp(*(const char *const *)a, *(const char *const *)b); }

/* Sorts `names`. */
static cal_status refuse_twins(const char **names, size_t count, int (*order)(const void *, const void *), cal_status code,
                               cal_error *err) {
  if (count) qsort(names, count, sizeof *names, order);
  for (size_t i = 1; i < count; i++)
    if (order(&names[i - 1], &names[i]) == 0)
      return refuse_name(err, code, names[i], strcmp(names[i - 1], names[i]) ? "differs from another only in case" : "stands twice");
  return CAL_OK;
}

static cal_status fail_zip(cal_error *err, zip_error_t *error, const char *path, const char *doing) {
  int code = zip_error_code_zip(error);
  if (code == ZIP_ER_CANCELLED) return cal_fail(err, CAL_E_INTERRUPT, "interrupted");
  cal_status status = code == ZIP_ER_MEMORY                         ? CAL_E_MEMORY
                      : zip_error_system_type(error) == ZIP_ET_SYS  ? CAL_E_IO
                      : code == ZIP_ER_READ || code == ZIP_ER_WRITE ? CAL_E_IO
                                                                    : CAL_E_FORMAT;
  return cal_fail(err, status, "%s cannot be %s: %s", path, doing, zip_error_strerror(error));
}

/* ---- writing ---- */

/* libzip asks for bytes and hands out bytes through callbacks, so that its files, too, are a cal_fs's. What went wrong
 * in a callback is kept in `err` here; libzip itself only learns that it did. */
typedef struct {
  const cal_fs *fs;
  cal_fs_file *file;
  int fd;
  cal_error err;
  zip_error_t error;
  cal_progress *progress;
  size_t count;
} output;

typedef struct {
  output *out;
  const char *path;
  int fd;
} input;

static zip_int64_t fault(output *out, int zip_code) {
  zip_error_set(&out->error, zip_code, 0);
  return -1;
}

static zip_int64_t move(output *out, void *data, zip_uint64_t size) {
  zip_source_args_seek_t *args = ZIP_SOURCE_GET_ARGS(zip_source_args_seek_t, data, size, &out->error);
  if (!args) return -1;
  return lseek(out->fd, (off_t)args->offset, args->whence) < 0 ? fault(out, ZIP_ER_SEEK) : 0;
}

static zip_int64_t write_archive(void *context, void *data, zip_uint64_t size, zip_source_cmd_t command) {
  output *out = context;
  switch (command) {
    case ZIP_SOURCE_SUPPORTS: return ZIP_SOURCE_SUPPORTS_WRITABLE;
    case ZIP_SOURCE_ERROR: return zip_error_to_data(&out->error, data, size);
    case ZIP_SOURCE_STAT:
      zip_stat_init(data);
      ((zip_stat_t *)data)->valid = ZIP_STAT_SIZE;
      return sizeof(zip_stat_t);
    case ZIP_SOURCE_WRITE:
      if (cal_fs_file_add(out->file, data, (size_t)size, &out->err)) return fault(out, ZIP_ER_WRITE);
      return (zip_int64_t)size;
    case ZIP_SOURCE_SEEK:
    case ZIP_SOURCE_SEEK_WRITE: return move(out, data, size);
    case ZIP_SOURCE_TELL:
    case ZIP_SOURCE_TELL_WRITE: return lseek(out->fd, 0, SEEK_CUR);
    case ZIP_SOURCE_READ: return 0; /* it is empty when libzip looks */
    default: return 0;
  }
}

static zip_int64_t read_entry(void *context, void *data, zip_uint64_t size, zip_source_cmd_t command) {
  input *in = context;
  switch (command) {
    case ZIP_SOURCE_OPEN: in->fd = cal_fs_open(in->out->fs, in->path, &in->out->err); return in->fd < 0 ? fault(in->out, ZIP_ER_OPEN) : 0;
    case ZIP_SOURCE_READ: {
      ssize_t got;
      do got = read(in->fd, data, size < (1u << 30) ? (size_t)size : (size_t)1 << 30);
      while (got < 0 && errno == EINTR);
      if (got >= 0) return got;
      cal_fail_errno(&in->out->err, errno, "%s cannot be read", in->path);
      return fault(in->out, ZIP_ER_READ);
    }
    case ZIP_SOURCE_CLOSE:
      if (in->fd >= 0) close(in->fd);
      in->fd = -1;
      return 0;
    case ZIP_SOURCE_STAT: {
      cal_fs_info info;
      if (cal_fs_stat(in->out->fs, in->path, &info, &in->out->err)) return fault(in->out, ZIP_ER_OPEN);
      zip_stat_init(data);
      ((zip_stat_t *)data)->size = info.size;
      ((zip_stat_t *)data)->valid = ZIP_STAT_SIZE;
      return sizeof(zip_stat_t);
    }
    case ZIP_SOURCE_ERROR: return zip_error_to_data(&in->out->error, data, size);
    case ZIP_SOURCE_SUPPORTS: return ZIP_SOURCE_SUPPORTS_READABLE;
    default: return 0;
  }
}

static bool compressed_already(const char *name) {
  static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".zip", ".mp4"};
  const char *dot = strrchr(name, '.');
  for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
    if (strcasecmp(dot, endings[i]) == 0) return true;
  return false;
}

static int stop_wanted(zip_t *z, void *context) { return (void)z, (void)context, cal_interrupt_level() > 0; }

static void show_progress(zip_t *z, double part, void *context) {
  (void)z;
  output *out = context;
  cal_progress_set(out->progress, (size_t)(part * (double)out->count));
}

static cal_status check_entries(const cal_zip_entry *entries, size_t count, unsigned flags, cal_error *err) {
  const char **names = cal_alloc(count * sizeof *names, err);
  if (!names) return CAL_E_MEMORY;
  cal_status status = CAL_OK;
  for (size_t i = 0; i < count && !status; i++) {
    const char *wrong = fault_of_name(entries[i].name, flags & CAL_ZIP_FOLDERS);
    names[i] = entries[i].name;
    if (!wrong && names[i][strlen(names[i]) - 1] == '/') wrong = "names a folder; only files are written";
    if (wrong) status = refuse_name(err, CAL_E_ARG, names[i], wrong);
  }
  if (!status) status = refuse_twins(names, count, by_name_any_case, CAL_E_ARG, err);
  cal_free(names);
  return status;
}

static bool add_entry(zip_t *z, const cal_zip_entry *entry, input *in) {
  zip_source_t *source = entry->path ? zip_source_function(z, read_entry, in) : zip_source_buffer(z, entry->bytes, entry->size, 0);
  if (!source) return false;
  zip_int64_t at = zip_file_add(z, entry->name, source, ZIP_FL_ENC_UTF_8);
  if (at < 0) return zip_source_free(source), false;
  bool stored = compressed_already(entry->name);
  return !zip_set_file_compression(z, (zip_uint64_t)at, stored ? ZIP_CM_STORE : ZIP_CM_DEFLATE, stored ? 0 : 9) &&
         !zip_file_set_dostime(z, (zip_uint64_t)at, 12 << 11, 1 << 5 | 1, 0);
}

/* What the archive itself could not take names it already; what is wrong with an entry does not. */
static bool names_path(const cal_error *err, const char *path) { return strncmp(err->text, path, strlen(path)) == 0; }

cal_status cal_zip_write(const cal_fs *fs, const char *path, const cal_zip_entry *entries, size_t count, unsigned flags,
                         cal_progress *progress, cal_error *err) {
  if (!count) return cal_fail(err, CAL_E_ARG, "zip: %s would be empty; an archive needs at least one entry", path);
  cal_status status = check_entries(entries, count, flags, err);
  if (status) return status;
  output out = {.fs = fs, .progress = progress, .count = count};
  zip_error_init(&out.error);
  input *inputs = cal_alloc_zero(count, sizeof *inputs, err);
  if (!inputs) return CAL_E_MEMORY;
  zip_error_t error;
  zip_error_init(&error);
  zip_t *z = NULL;
  zip_source_t *archive = NULL;
  out.file = cal_fs_create(fs, path, &out.err);
  if (!out.file) goto done;
  out.fd = cal_fs_file_descriptor(out.file);
  archive = zip_source_function_create(write_archive, &out, &error);
  if (archive) z = zip_open_from_source(archive, ZIP_CREATE | ZIP_TRUNCATE, &error);
  if (!z) {
    zip_source_free(archive);
    status = fail_zip(err, &error, path, "written");
    goto done;
  }
  for (size_t i = 0; i < count && !status; i++) {
    inputs[i] = (input){&out, entries[i].path, -1};
    if (!add_entry(z, &entries[i], &inputs[i])) status = fail_zip(err, zip_get_error(z), path, "written");
  }
  zip_register_cancel_callback_with_state(z, stop_wanted, NULL, NULL);
  if (progress) zip_register_progress_callback_with_state(z, 0.001, show_progress, NULL, &out);
  if (!status && zip_close(z) == 0) z = NULL;
  else if (!status && !out.err.code) status = fail_zip(err, zip_get_error(z), path, "written");
done:
  if (z) zip_discard(z);
  if (!status && out.err.code) {
    if (err) *err = out.err;
    status = out.err.code;
    if (out.file && !names_path(&out.err, path)) cal_error_context(err, "%s", path);
  }
  if (status) cal_fs_file_discard(out.file);
  else status = cal_fs_file_commit(out.file, err);
  for (size_t i = 0; i < count; i++)
    if (inputs[i].path && inputs[i].fd >= 0) close(inputs[i].fd);
  cal_free(inputs);
  zip_error_fini(&error);
  zip_error_fini(&out.error);
  return status;
}

/* ---- reading ---- */

struct cal_zip {
  zip_t *z;
  char *path;
  size_t count;
  const char **names; /* owned by libzip */
  uint64_t *sizes;
  const unsigned char *bytes; /* of cal_zip_open_bytes: the archive itself */
  size_t byte_count;
  const unsigned char **views; /* of each entry, made when the first is asked for */
};

static cal_status take_list(cal_zip *z, cal_error *err) {
  z->count = (size_t)zip_get_num_entries(z->z, 0);
  z->names = cal_alloc(z->count * sizeof *z->names, err);
  z->sizes = cal_alloc(z->count * sizeof *z->sizes, err);
  const char **sorted = cal_alloc(z->count * sizeof *sorted, err);
  cal_status status = z->names && z->sizes && sorted ? CAL_OK : CAL_E_MEMORY;
  for (size_t i = 0; i < z->count && !status; i++) {
    zip_stat_t st;
    sorted[i] = z->names[i] = zip_get_name(z->z, i, ZIP_FL_ENC_GUESS);
    if (!z->names[i] || zip_stat_index(z->z, i, 0, &st) != 0 || !(st.valid & ZIP_STAT_SIZE)) {
      status = fail_zip(err, zip_get_error(z->z), z->path, "read");
      break;
    }
    z->sizes[i] = st.size;
    const char *wrong = fault_of_name(z->names[i], true);
    if (wrong) status = refuse_name(err, CAL_E_FORMAT, z->names[i], wrong);
  }
  if (!status) status = refuse_twins(sorted, z->count, by_name, CAL_E_FORMAT, err);
  cal_free(sorted);
  return status;
}

static cal_zip *open_source(zip_source_t *source, const char *path, cal_error *err) {
  cal_zip *z = cal_alloc_zero(1, sizeof *z, err);
  zip_error_t error;
  zip_error_init(&error);
  if (z && (z->path = cal_copy_text(path, err))) {
    z->z = zip_open_from_source(source, ZIP_RDONLY, &error);
    if (!z->z) {
      int code = zip_error_code_zip(&error);
      if (code == ZIP_ER_NOZIP) cal_fail(err, CAL_E_FORMAT, "%s is not a zip archive, or is cut short", path);
      else fail_zip(err, &error, path, "read");
    }
  }
  zip_error_fini(&error);
  if (!z || !z->z) zip_source_free(source);
  bool good = z && z->z;
  if (good && take_list(z, err)) {
    if (err && err->code == CAL_E_FORMAT) cal_error_context(err, "%s", path);
    good = false;
  }
  if (!good) cal_zip_close(z), z = NULL;
  return z;
}

cal_zip *cal_zip_open(const cal_fs *fs, const char *path, cal_error *err) {
  int fd = cal_fs_open(fs, path, err);
  if (fd < 0) return NULL;
  FILE *stream = fdopen(fd, "rb");
  if (!stream) {
    cal_fail_errno(err, errno, "%s cannot be read", path);
    close(fd);
    return NULL;
  }
  zip_source_t *source = zip_source_filep_create(stream, 0, -1, NULL);
  if (source) return open_source(source, path, err);
  cal_fail(err, CAL_E_MEMORY, "%s: not enough memory to read it", path);
  fclose(stream);
  return NULL;
}

cal_zip *cal_zip_open_bytes(const void *bytes, size_t size, const char *name, cal_error *err) {
  zip_source_t *source = zip_source_buffer_create(bytes, size, 0, NULL);
  if (source) {
    cal_zip *z = open_source(source, name, err);
    if (z) z->bytes = bytes, z->byte_count = size;
    return z;
  }
  cal_fail(err, CAL_E_MEMORY, "%s: not enough memory to read it", name);
  return NULL;
}

void cal_zip_close(cal_zip *z) {
  if (!z) return;
  if (z->z) zip_discard(z->z);
  cal_free(z->names);
  cal_free(z->sizes);
  cal_free(z->views);
  cal_free(z->path);
  cal_free(z);
}

size_t cal_zip_count(const cal_zip *z) { return z->count; }
const char *cal_zip_name(const cal_zip *z, size_t index) { return z->names[index]; }
uint64_t cal_zip_size(const cal_zip *z, size_t index) { return z->sizes[index]; }

bool cal_zip_find(const cal_zip *z, const char *name, size_t *index) {
  for (size_t i = 0; i < z->count; i++) {
    if (strcmp(z->names[i], name) != 0) continue;
    *index = i;
    return true;
  }
  return false;
}

cal_status cal_zip_read(cal_zip *z, size_t index, uint64_t most, cal_buffer *out, cal_error *err) {
  const char *name = z->names[index];
  uint64_t claimed = z->sizes[index];
  if (claimed > most)
    return cal_fail(err, CAL_E_LIMIT, "%s: %s has %llu bytes; at most %llu are read", z->path, name, (unsigned long long)claimed,
                    (unsigned long long)most);
  zip_file_t *file = zip_fopen_index(z->z, index, 0);
  if (!file) {
    fail_zip(err, zip_get_error(z->z), name, "read");
    return cal_error_context(err, "%s", z->path), err ? err->code : CAL_E_FORMAT;
  }
  size_t before = out->size;
  cal_status status = CAL_OK;
  for (;;) { /* room grows with what really comes, whatever size was claimed */
    if (!cal_buffer_reserve(out, 65536)) {
      status = cal_fail(err, CAL_E_MEMORY, "%s: not enough memory for %s", z->path, name);
      break;
    }
    zip_int64_t got = zip_fread(file, out->data + out->size, 65536);
    if (got < 0) {
      fail_zip(err, zip_file_get_error(file), name, "read");
      status = (cal_error_context(err, "%s", z->path), err ? err->code : CAL_E_FORMAT);
    }
    if (got <= 0) break;
    out->size += (size_t)got;
    if (out->size - before > claimed || (status = cal_interrupt_check(err))) break;
  }
  if (!status && out->size - before != claimed)
    status = cal_fail(err, CAL_E_FORMAT, "%s: %s claims %llu bytes and has %s", z->path, name, (unsigned long long)claimed,
                      out->size - before > claimed ? "more" : "less");
  zip_fclose(file);
  if (!out->failed) {
    if (status) out->size = before;
    out->data[out->size] = 0;
  }
  return status;
}

/* ---- where stored bytes lie ----
 *
 * libzip does not tell where in the file an entry's bytes are, and copies them when it reads. The directory is walked again for that
 * (PKWARE's APPNOTE 4.3), beside libzip's list: what is not the same in both is not pointed at. */

static uint64_t number(const unsigned char *at, int width) {
  uint64_t n = 0;
  while (width--) n = n << 8 | at[width];
  return n;
}

/* Where `size` bytes from `at` on begin with the signature PK `a` `b`; NULL when they do not, or are not there. */
static const unsigned char *record(const cal_zip *z, uint64_t at, uint64_t size, char a, char b) {
  if (at > z->byte_count || size > z->byte_count - at) return NULL;
  const unsigned char *p = z->bytes + at;
  return p[0] == 'P' && p[1] == 'K' && p[2] == (unsigned char)a && p[3] == (unsigned char)b ? p : NULL;
}

/* Where the central directory begins; UINT64_MAX when there is none. */
static uint64_t find_directory(const cal_zip *z) {
  const unsigned char *end = NULL;
  uint64_t at = z->byte_count;
  for (int comment = 0; !end && comment <= 0xffff && at >= 22u + (unsigned)comment; comment++) {
    end = record(z, at - 22 - (unsigned)comment, 22, 5, 6);
    if (end && number(end + 20, 2) != (unsigned)comment) end = NULL;
  }
  if (!end) return UINT64_MAX;
  uint64_t directory = number(end + 16, 4), end_at = (uint64_t)(end - z->bytes);
  if (directory != 0xffffffff) return directory;
  const unsigned char *locator = end_at >= 20 ? record(z, end_at - 20, 20, 6, 7) : NULL;
  const unsigned char *large = locator ? record(z, number(locator + 8, 8), 56, 6, 6) : NULL;
  return large ? number(large + 48, 8) : UINT64_MAX;
}

/* Numbers of 32 bits that are full stand in the entry's extra field, in 64: size, packed size, place. False when they do not. */
static bool widen(const unsigned char *extra, size_t length, uint64_t *const numbers[3]) {
  while (length >= 4) {
    size_t own = (size_t)number(extra + 2, 2), at = 0;
    if (own > length - 4) return false;
    for (int i = 0; i < 3 && number(extra, 2) == 1; i++) {
      if (*numbers[i] != 0xffffffff) continue;
      if (own - at < 8) return false;
      *numbers[i] = number(extra + 4 + at, 8);
      at += 8;
    }
    extra += 4 + own, length -= 4 + own;
  }
  return true;
}

static void find_views(cal_zip *z) {
  uint64_t at = find_directory(z);
  for (size_t i = 0; i < z->count; i++) {
    const unsigned char *entry = record(z, at, 46, 1, 2);
    if (!entry) return;
    size_t name = (size_t)number(entry + 28, 2), extra = (size_t)number(entry + 30, 2),
           all = 46 + name + extra + (size_t)number(entry + 32, 2);
    if (!record(z, at, all, 1, 2)) return;
    at += all;
    uint64_t size = number(entry + 24, 4), packed = number(entry + 20, 4), place = number(entry + 42, 4);
    if (!widen(entry + 46 + name, extra, (uint64_t *const[3]){&size, &packed, &place})) continue;
    bool plain = !(number(entry + 8, 2) & 1) && number(entry + 10, 2) == 0 && packed == size && size == z->sizes[i];
    if (!plain || strlen(z->names[i]) != name || memcmp(z->names[i], entry + 46, name) != 0) continue;
    const unsigned char *own = record(z, place, 30, 3, 4);
    if (!own) continue;
    uint64_t from = place + 30 + number(own + 26, 2) + number(own + 28, 2);
    if (from <= z->byte_count && size <= z->byte_count - from) z->views[i] = z->bytes + from;
  }
}

const unsigned char *cal_zip_view(cal_zip *z, size_t index) {
  if (!z->bytes) return NULL;
  if (!z->views) {
    z->views = cal_alloc_zero(z->count, sizeof *z->views, NULL);
    if (!z->views) return NULL;
    find_views(z);
  }
  return z->views[index];
}
