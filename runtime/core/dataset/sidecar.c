#include "core/dataset/sidecar.h"

#include <string.h>

static char *beside(const char *picture, const char *ending, cal_error *err) {
  const char *name = strrchr(picture, '/');
  name = name ? name + 1 : picture;
  const char *dot = strrchr(name, '.');
  size_t stem = dot && dot > name ? (size_t)(dot - picture) : strlen(picture);
  cal_buffer path = {0};
  cal_buffer_add(&path, picture, stem);
  cal_buffer_add_text(&path, ending);
  char *text = cal_buffer_take(&path);
  if (!text) cal_fail(err, CAL_E_MEMORY, "%s: not enough memory for its caption", picture);
  return text;
}

/* In place: line ends to LF, none at the end. */
static size_t tidy(char *text, size_t size) {
  size_t out = 0;
  for (size_t i = 0; i < size; i++) {
    bool pair = text[i] == '\r' && i + 1 < size && text[i + 1] == '\n';
    if (!pair) text[out++] = text[i] == '\r' ? '\n' : text[i];
  }
  while (out && text[out - 1] == '\n') out--;
  return out;
}

static cal_status check_text(const char *path, const char *text, size_t size, size_t skipped, cal_error *err) {
  size_t at = 0;
  if (size >= 2 && (!memcmp(text, "\xff\xfe", 2) || !memcmp(text, "\xfe\xff", 2)))
    return cal_fail(err, CAL_E_FORMAT, "%s is UTF-16; save it as UTF-8", path);
  const char *nul = memchr(text, 0, size);
  bool good = cal_utf8_valid(text, size, &at);
  if (nul && (good || (size_t)(nul - text) < at)) good = false, at = (size_t)(nul - text);
  if (good) return CAL_OK;
  return cal_fail(err, CAL_E_FORMAT, "%s: byte %zu (0x%02x) is not UTF-8 text; save the file as UTF-8", path, skipped + at + 1,
                  (unsigned char)text[at]);
}

cal_status cal_sidecar_read(const cal_fs *fs, const char *picture, cal_buffer *text, char **path, cal_error *err) {
  static const char *const endings[] = {".txt", ".caption"};
  *path = NULL;
  for (int i = 0; i < 2; i++) {
    char *file = beside(picture, endings[i], err);
    if (!file) return CAL_E_MEMORY;
    if (!cal_fs_allows(fs, file, CAL_FS_READ)) { /* a picture was named by itself: what lies beside it was not */
      cal_free(file);
      continue;
    }
    cal_error inner = {0};
    size_t before = text->size;
    cal_status status = cal_fs_read(fs, file, CAL_SIDECAR_MOST, text, &inner);
    if (!status) {
      char *bytes = text->data + before;
      size_t size = text->size - before, mark = size >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3) ? 3 : 0;
      status = check_text(file, bytes + mark, size - mark, mark, &inner);
      if (!status) {
        memmove(bytes, bytes + mark, size - mark);
        text->size = before + tidy(bytes, size - mark);
        text->data[text->size] = 0;
        *path = file;
        return CAL_OK;
      }
    }
    if (!text->failed) text->size = before;
    cal_free(file);
    if (status == CAL_E_NOTFOUND) continue;
    if (err) *err = inner;
    return status;
  }
  return CAL_OK;
}
