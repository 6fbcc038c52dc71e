#include "core/net/env_file.h"

#include <stdbool.h>
#include <string.h>

#include "core/base/buffer.h"
#include "core/base/memory.h"

typedef struct {
  char *name, *value;
} pair;

struct cal_env_file {
  pair *pairs;
  size_t count, room;
};

static bool blank(char c) { return c == ' ' || c == '\t'; }
static bool letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
static bool digit(char c) { return c >= '0' && c <= '9'; }

void cal_env_file_free(cal_env_file *file) {
  if (!file) return;
  for (size_t i = 0; i < file->count; i++) {
    cal_free(file->pairs[i].name);
    cal_free(file->pairs[i].value);
  }
  cal_free(file->pairs);
  cal_free(file);
}

size_t cal_env_file_count(const cal_env_file *file) { return file->count; }
const char *cal_env_file_name(const cal_env_file *file, size_t index) { return file->pairs[index].name; }
const char *cal_env_file_value(const cal_env_file *file, size_t index) { return file->pairs[index].value; }

const char *cal_env_file_find(const cal_env_file *file, const char *name) {
  for (size_t i = 0; file && i < file->count; i++)
    if (strcmp(file->pairs[i].name, name) == 0) return file->pairs[i].value;
  return NULL;
}

/* Takes both texts, also when it fails. */
static cal_status keep(cal_env_file *file, char *name, char *value, cal_error *err) {
  if (!name || !value) return cal_free(name), cal_free(value), cal_fail(err, CAL_E_MEMORY, "not enough memory for a line");
  for (size_t i = 0; i < file->count; i++) {
    if (strcmp(file->pairs[i].name, name) != 0) continue;
    cal_free(file->pairs[i].value);
    file->pairs[i].value = value;
    cal_free(name);
    return CAL_OK;
  }
  if (file->count == file->room) {
    size_t room = file->room ? 2 * file->room : 16;
    pair *pairs = cal_resize(file->pairs, room * sizeof *pairs, err);
    if (!pairs) return cal_free(name), cal_free(value), CAL_E_MEMORY;
    file->pairs = pairs;
    file->room = room;
  }
  file->pairs[file->count++] = (pair){name, value};
  return CAL_OK;
}

/* The value that begins at *at; afterwards *at is behind it, or behind its closing quote. */
static cal_status read_value(const char *line, size_t size, size_t *at, cal_buffer *out, cal_error *err) {
  char quote = *at < size ? line[*at] : 0;
  if (quote != '\'' && quote != '"') {
    size_t from = *at, end = from;
    for (; *at < size && !(line[*at] == '#' && blank(line[*at - 1])); ++*at)
      if (!blank(line[*at])) end = *at + 1;
    cal_buffer_add(out, line + from, end - from);
    return CAL_OK;
  }
  for (++*at; *at < size && line[*at] != quote; ++*at) {
    char c = line[*at];
    if (quote == '"' && c == '\\') {
      static const char known[] = "n\nt\tr\r\"\"\\\\$$";
      const char *escape = NULL;
      for (size_t i = 0; i < sizeof known - 1 && *at + 1 < size; i += 2)
        if (line[*at + 1] == known[i]) escape = known + i + 1;
      if (!escape) return cal_fail(err, CAL_E_FORMAT, "this escape is not known; in \"...\" write \\\\ for a backslash, or use '...'");
      c = *escape;
      ++*at;
    }
    cal_buffer_add_byte(out, c);
  }
  if (*at >= size) return cal_fail(err, CAL_E_FORMAT, "the quote %c is not closed on its line", quote);
  ++*at;
  return CAL_OK;
}

static cal_status read_line(cal_env_file *file, const char *line, size_t size, cal_error *err) {
  size_t at = 0;
  while (at < size && blank(line[at])) at++;
  if (at == size || line[at] == '#') return CAL_OK;
  if (size - at > 7 && memcmp(line + at, "export", 6) == 0 && blank(line[at + 6])) {
    for (at += 7; at < size && blank(line[at]);) at++;
  }
  size_t from = at;
  while (at < size && (letter(line[at]) || (at > from && digit(line[at])))) at++;
  size_t to = at;
  while (at < size && blank(line[at])) at++;
  if (to == from || at == size || line[at] != '=')
    return cal_fail(err, CAL_E_FORMAT, "a line is NAME=value, the name of letters, digits and _; # begins a comment");
  for (at++; at < size && blank(line[at]);) at++;
  cal_buffer name = {0}, value = {0};
  cal_buffer_add(&name, line + from, to - from);
  cal_buffer_add(&value, "", 0);
  cal_status status = read_value(line, size, &at, &value, err);
  while (!status && at < size && blank(line[at])) at++;
  if (!status && at < size && line[at] != '#') status = cal_fail(err, CAL_E_FORMAT, "text stands after the closing quote");
  if (status) return cal_buffer_free(&name), cal_buffer_free(&value), status;
  return keep(file, cal_buffer_take(&name), cal_buffer_take(&value), err);
}

cal_env_file *cal_env_file_parse(const char *bytes, size_t size, cal_error *err) {
  if (size > CAL_ENV_FILE_MOST) return cal_fail(err, CAL_E_LIMIT, "more than %d bytes", CAL_ENV_FILE_MOST), NULL;
  cal_env_file *file = cal_alloc_zero(1, sizeof *file, err);
  if (!file) return NULL;
  if (size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) bytes += 3, size -= 3;
  cal_status status = CAL_OK;
  int number = 0;
  for (size_t at = 0; at < size && !status;) {
    const char *line = bytes + at;
    const char *end = memchr(line, '\n', size - at);
    size_t length = end ? (size_t)(end - line) : size - at;
    at += length + (end != NULL);
    number++;
    if (length && line[length - 1] == '\r') length--;
    for (size_t i = 0; i < length && !status; i++) {
      unsigned char c = (unsigned char)line[i];
      if ((c < 32 && c != '\t') || c == 127) status = cal_fail(err, CAL_E_FORMAT, "byte %zu is a control character (%d)", i + 1, c);
    }
    if (!status && !cal_utf8_valid(line, length, NULL)) status = cal_fail(err, CAL_E_FORMAT, "the bytes are not UTF-8");
    if (!status) status = read_line(file, line, length, err);
  }
  if (!status) return file;
  if (status != CAL_E_MEMORY) cal_error_context(err, "line %d", number);
  cal_env_file_free(file);
  return NULL;
}
