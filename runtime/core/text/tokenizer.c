/* tokenizer.c - what all tokenizers do alike: special tokens that are written out, windows, spelling. */
#include "core/text/tokenizer.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/text/tokenizing.h"

enum { LONGEST_TEXT = 16 << 20 };

cal_status cal_tokenizer_find_specials(cal_tokenizer *t, const cal_special_tokens *special, const char *const usual[CAL_SPECIALS_MOST],
                                       cal_error *err) {
  static const char *const roles[CAL_SPECIALS] = {"begin", "end", "pad", "unknown"};
  const char *spelled[CAL_SPECIALS_MOST] = {0};
  if (special) spelled[0] = special->begin, spelled[1] = special->end, spelled[2] = special->pad, spelled[3] = special->unknown;
  for (int i = 0; i < CAL_SPECIALS_MOST; i++) {
    const char *name = spelled[i] ? spelled[i] : usual[i];
    int32_t id = name ? cal_vocabulary_find(t->vocabulary, name, strlen(name)) : -1;
    if (id < 0 && i >= CAL_SPECIALS) break;
    if (id < 0) return cal_fail(err, CAL_E_FORMAT, "vocabulary: the %s token \"%s\" is not in it", roles[i], name);
    t->special_id[i] = id;
    t->special[i] = cal_vocabulary_token(t->vocabulary, id, &t->special_size[i]);
    if (!t->special_size[i]) return cal_fail(err, CAL_E_FORMAT, "vocabulary: the %s token is empty", roles[i]);
    t->specials = i + 1;
  }
  return CAL_OK;
}

void cal_tokenizer_free(cal_tokenizer *t) {
  if (!t) return;
  if (t->kind->free) t->kind->free(t);
  cal_vocabulary_free(t->vocabulary);
  cal_free(t);
}

void cal_tokens_free(cal_tokens *tokens) {
  cal_free(tokens->ids);
  *tokens = (cal_tokens){0};
}

cal_status cal_tokens_add(cal_tokens *tokens, int32_t id, cal_error *err) {
  if (tokens->count == tokens->capacity) {
    size_t capacity = tokens->capacity ? 2 * tokens->capacity : 64;
    int32_t *ids = cal_resize(tokens->ids, capacity * sizeof *ids, err);
    if (!ids) return CAL_E_MEMORY;
    tokens->ids = ids, tokens->capacity = capacity;
  }
  tokens->ids[tokens->count++] = id;
  return CAL_OK;
}

cal_status cal_tokenizer_encode(const cal_tokenizer *t, const char *text, size_t size, cal_tokens *out, cal_error *err) {
  size_t bad;
  if (size > LONGEST_TEXT) return cal_fail(err, CAL_E_LIMIT, "tokenizer: a text of %zu bytes; at most %d", size, LONGEST_TEXT);
  if (!cal_utf8_valid(text, size, &bad)) return cal_fail(err, CAL_E_FORMAT, "tokenizer: the text is not UTF-8 at byte %zu", bad);
  cal_status status = CAL_OK;
  size_t from = 0;
  for (size_t at = 0; at < size && !status;) {
    int found = -1; /* the longest special token that begins here */
    for (int i = 0; i < t->specials; i++)
      if (t->special_size[i] <= size - at && !memcmp(text + at, t->special[i], t->special_size[i]) &&
          (found < 0 || t->special_size[i] > t->special_size[found]))
        found = i;
    if (found < 0) {
      at++;
      continue;
    }
    if (at > from) status = t->kind->encode(t, text + from, at - from, out, err);
    if (!status) status = cal_tokens_add(out, t->special_id[found], err);
    from = at += t->special_size[found];
  }
  if (!status && size > from) status = t->kind->encode(t, text + from, size - from, out, err);
  return status;
}

size_t cal_tokenizer_window(const cal_tokenizer *t, const cal_tokens *tokens, int32_t *window, size_t length) {
  size_t kept = tokens->count < length - 2 ? tokens->count : length - 2, at = 0;
  window[at++] = t->special_id[CAL_BEGIN];
  for (size_t i = 0; i < kept; i++) window[at++] = tokens->ids[i];
  window[at++] = t->special_id[CAL_END];
  while (at < length) window[at++] = t->special_id[CAL_PAD];
  return tokens->count - kept;
}

cal_status cal_tokenizer_decode(const cal_tokenizer *t, const int32_t *ids, size_t count, cal_buffer *out, cal_error *err) {
  cal_buffer bytes = {0};
  for (size_t i = 0; i < count; i++) {
    size_t size;
    const char *token = cal_vocabulary_token(t->vocabulary, ids[i], &size);
    if (!token) {
      cal_buffer_free(&bytes);
      return cal_fail(err, CAL_E_ARG, "tokenizer: no token has the id %d; there are %d", ids[i], cal_tokenizer_size(t));
    }
    t->kind->spell(token, size, i == 0, i + 1 == count, &bytes);
  }
  for (size_t at = 0; at < bytes.size;) {
    size_t was = at;
    if (cal_utf8_next(bytes.data, bytes.size, &at) < 0) cal_buffer_add_text(out, "\xef\xbf\xbd");
    else cal_buffer_add(out, bytes.data + was, at - was);
  }
  bool failed = bytes.failed || out->failed;
  cal_buffer_free(&bytes);
  return failed ? cal_fail(err, CAL_E_MEMORY, "tokenizer: no memory for the text of %zu tokens", count) : CAL_OK;
}

int32_t cal_tokenizer_size(const cal_tokenizer *t) { return cal_vocabulary_size(t->vocabulary); }
int32_t cal_tokenizer_id(const cal_tokenizer *t, const char *token, size_t size) { return cal_vocabulary_find(t->vocabulary, token, size); }
const char *cal_tokenizer_token(const cal_tokenizer *t, int32_t id) { return cal_vocabulary_token(t->vocabulary, id, NULL); }
