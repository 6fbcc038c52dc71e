/* clip.c - the byte-level BPE of CLIP, as the newest CLIPTokenizer of transformers does it (its fast form: no ftfy). */
#include <string.h>
#include <utf8proc.h>

#include "core/base/memory.h"
#include "core/text/tokenizing.h"

typedef struct {
  int32_t left, right; /* left < 0: empty slot */
  int32_t rank, joined;
} merge;

typedef struct {
  cal_tokenizer all;
  merge *merges; /* open addressing on (left, right) */
  size_t merge_slots, merge_count;
  int32_t byte_id[256], last_byte_id[256]; /* the byte alone, and as a word's last; the unknown token where there is none */
} clip;

/* ---- bytes as characters: printable Latin-1 stands for itself, the other 68 bytes for U+0100 and up, in order ------- */

static bool stands_for_itself(int byte) { return (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173); }

static int32_t character_of_byte(int byte) {
  if (stands_for_itself(byte)) return byte;
  int32_t before = 0;
  for (int i = 0; i < byte; i++) before += !stands_for_itself(i);
  return 256 + before;
}

/* -1: the character stands for no byte. */
static int byte_of_character(int32_t c) {
  if (c >= 0 && c < 256) return stands_for_itself(c) ? c : -1;
  for (int byte = 0; byte < 256; byte++)
    if (character_of_byte(byte) == c) return byte;
  return -1;
}

static size_t spell_byte(int byte, char out[8]) { return (size_t)utf8proc_encode_char(character_of_byte(byte), (utf8proc_uint8_t *)out); }

/* ---- merges ----------------------------------------------------------------------------------------------------------- */

static size_t merge_slot(const clip *t, int32_t left, int32_t right) {
  uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9e3779b97f4a7c15u;
  size_t slot = (h >> 20) & (t->merge_slots - 1);
  while (t->merges[slot].left >= 0 && (t->merges[slot].left != left || t->merges[slot].right != right))
    slot = (slot + 1) & (t->merge_slots - 1);
  return slot;
}

static const merge *find_merge(const clip *t, int32_t left, int32_t right) {
  const merge *m = &t->merges[merge_slot(t, left, right)];
  return m->left >= 0 ? m : NULL;
}

static cal_status add_merge(clip *t, const char *line, size_t size, size_t number, cal_error *err) {
  const char *space = memchr(line, ' ', size);
  if (!space || space == line || space == line + size - 1 || memchr(space + 1, ' ', (size_t)(line + size - space - 1)))
    return cal_fail(err, CAL_E_FORMAT, "merges: line %zu is not two tokens with a space between", number);
  size_t left_size = (size_t)(space - line), right_size = size - left_size - 1;
  int32_t left = cal_vocabulary_find(t->all.vocabulary, line, left_size),
          right = cal_vocabulary_find(t->all.vocabulary, space + 1, right_size);
  char joined[512];
  if (size >= sizeof joined)
    return cal_fail(err, CAL_E_LIMIT, "merges: line %zu has %zu bytes; at most %zu are expected", number, size, sizeof joined - 1);
  memcpy(joined, line, left_size);
  memcpy(joined + left_size, space + 1, right_size);
  int32_t id = cal_vocabulary_find(t->all.vocabulary, joined, left_size + right_size);
  if (left < 0 || right < 0 || id < 0)
    return cal_fail(err, CAL_E_FORMAT,
                    "merges: line %zu: \"%.*s\" is not in the vocabulary; vocab.json and merges.txt belong to different models", number,
                    (int)(left < 0    ? left_size
                          : right < 0 ? right_size
                                      : left_size + right_size),
                    left < 0    ? line
                    : right < 0 ? space + 1
                                : joined);
  merge *m = &t->merges[merge_slot(t, left, right)];
  *m = (merge){left, right, (int32_t)t->merge_count++, id};
  return CAL_OK;
}

static cal_status read_merges(clip *t, const char *text, size_t size, cal_error *err) {
  size_t lines = 1;
  for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
  for (t->merge_slots = 64; t->merge_slots < 2 * lines; t->merge_slots *= 2) {
  }
  if (!(t->merges = cal_alloc(t->merge_slots * sizeof *t->merges, err))) return CAL_E_MEMORY;
  for (size_t i = 0; i < t->merge_slots; i++) t->merges[i].left = -1;
  for (size_t at = 0, number = 1; at < size; number++) {
    const char *line = text + at, *end = memchr(line, '\n', size - at);
    size_t length = end ? (size_t)(end - line) : size - at;
    at += length + 1;
    if (length && line[length - 1] == '\r') length--;
    if (!length || (length >= 8 && !memcmp(line, "#version", 8))) continue;
    cal_status status = add_merge(t, line, length, number, err);
    if (status) return status;
  }
  return CAL_OK;
}

/* ---- opening ---------------------------------------------------------------------------------------------------------- */

static void find_bytes(clip *t) {
  for (int byte = 0; byte < 256; byte++) {
    char spelling[16];
    size_t size = spell_byte(byte, spelling);
    t->byte_id[byte] = cal_vocabulary_find(t->all.vocabulary, spelling, size);
    memcpy(spelling + size, "</w>", 4);
    t->last_byte_id[byte] = cal_vocabulary_find(t->all.vocabulary, spelling, size + 4);
    if (t->byte_id[byte] < 0) t->byte_id[byte] = t->all.special_id[CAL_UNKNOWN];
    if (t->last_byte_id[byte] < 0) t->last_byte_id[byte] = t->all.special_id[CAL_UNKNOWN];
  }
}

static void free_clip(cal_tokenizer *t) { cal_free(((clip *)t)->merges); }

/* ---- one piece: its bytes, merged. A heap holds the possible merges, the earliest rank and then the leftmost on top; a merge
 * whose neighbours have changed meanwhile is dropped when it comes up. n log n, so that a word of a megabyte is fine. ---- */

typedef struct {
  int32_t id, before, after; /* neighbours, -1: none */
} symbol;

typedef struct {
  int32_t rank, at, joined;
} candidate;

/* Memory of one stretch of text, reused from piece to piece. */
typedef struct {
  const clip *t;
  cal_tokens *out;
  cal_error *err;
  symbol *symbols;
  candidate *heap;
  size_t symbol_capacity, heap_count;
} encoder;

static bool earlier(const candidate *a, const candidate *b) { return a->rank < b->rank || (a->rank == b->rank && a->at < b->at); }

static void push(encoder *e, int32_t at) {
  if (at < 0 || e->symbols[at].after < 0) return;
  const merge *m = find_merge(e->t, e->symbols[at].id, e->symbols[e->symbols[at].after].id);
  if (!m) return;
  candidate c = {m->rank, at, m->joined};
  size_t i = e->heap_count++;
  for (; i && earlier(&c, &e->heap[(i - 1) / 2]); i = (i - 1) / 2) e->heap[i] = e->heap[(i - 1) / 2];
  e->heap[i] = c;
}

static candidate pop(encoder *e) {
  candidate top = e->heap[0], last = e->heap[--e->heap_count];
  size_t i = 0;
  for (size_t child; (child = 2 * i + 1) < e->heap_count; i = child) {
    if (child + 1 < e->heap_count && earlier(&e->heap[child + 1], &e->heap[child])) child++;
    if (!earlier(&e->heap[child], &last)) break;
    e->heap[i] = e->heap[child];
  }
  e->heap[i] = last;
  return top;
}

static cal_status encode_piece(encoder *e, const char *bytes, size_t size) {
  if (size > e->symbol_capacity) {
    size_t capacity = size + size / 2 + 64;
    symbol *symbols = cal_resize(e->symbols, capacity * sizeof *symbols, e->err);
    if (!symbols) return CAL_E_MEMORY;
    e->symbols = symbols;
    /* Every merge removes a symbol and adds at most two candidates to the size - 1 of the beginning. */
    candidate *heap = cal_resize(e->heap, 3 * capacity * sizeof *heap, e->err);
    if (!heap) return CAL_E_MEMORY;
    e->heap = heap, e->symbol_capacity = capacity;
  }
  for (size_t i = 0; i < size; i++) {
    bool last = i + 1 == size;
    unsigned char byte = (unsigned char)bytes[i];
    e->symbols[i] = (symbol){last ? e->t->last_byte_id[byte] : e->t->byte_id[byte], (int32_t)i - 1, last ? -1 : (int32_t)i + 1};
  }
  e->heap_count = 0;
  for (size_t i = 0; i + 1 < size; i++) push(e, (int32_t)i);
  while (e->heap_count) {
    candidate c = pop(e);
    symbol *left = &e->symbols[c.at];
    if (left->id < 0 || left->after < 0) continue; /* gone, or nothing is right of it any more */
    symbol *right = &e->symbols[left->after];
    const merge *m = find_merge(e->t, left->id, right->id);
    if (!m || m->joined != c.joined) continue;
    left->id = m->joined, left->after = right->after;
    right->id = -1;
    if (left->after >= 0) e->symbols[left->after].before = c.at;
    push(e, left->before);
    push(e, c.at);
  }
  for (int32_t i = 0; i >= 0; i = e->symbols[i].after) {
    cal_status status = cal_tokens_add(e->out, e->symbols[i].id, e->err);
    if (status) return status;
  }
  return CAL_OK;
}

/* ---- a stretch of text without special tokens: composed, lower-cased, cut into pieces --------------------------------- */

static bool is_space(int32_t c) { /* Unicode's White_Space */
  return (c >= 9 && c <= 13) || c == 32 || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
         c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static bool is_letter(int32_t c) {
  utf8proc_category_t k = utf8proc_category(c);
  return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

static bool is_number(int32_t c) {
  utf8proc_category_t k = utf8proc_category(c);
  return k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
}

static size_t begins_with(const int32_t *text, size_t size, const char *word) {
  size_t i = 0;
  for (; word[i]; i++)
    if (i == size || text[i] != word[i]) return 0;
  return i;
}

/* How many code points the piece at text[0] has; it is not white space. */
static size_t piece_size(const int32_t *text, size_t size) {
  static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    size_t n = begins_with(text, size, endings[i]);
    if (n) return n;
  }
  size_t n = 1;
  if (is_number(text[0])) return 1;
  if (is_letter(text[0]))
    while (n < size && is_letter(text[n])) n++;
  else
    while (n < size && !is_space(text[n]) && !is_letter(text[n]) && !is_number(text[n])) n++;
  return n;
}

/* CLIP's own names of its specials are looked for once more after lower-casing; written "<|ENDOFTEXT|>" they fall apart into
 * three pieces, of which the last does not run on into what follows. */
static cal_status encode_points(encoder *e, const int32_t *text, size_t count, cal_buffer *bytes) {
  static const char *const own[] = {"<|startoftext|>", "<|endoftext|>"};
  for (size_t at = 0; at < count;) {
    if (is_space(text[at])) {
      at++;
      continue;
    }
    size_t parts[3] = {0, 0, 0};
    for (int i = 0; i < 2 && !parts[0]; i++) {
      size_t n = begins_with(text + at, count - at, own[i]);
      if (n) parts[0] = 2, parts[1] = n - 4, parts[2] = 2;
    }
    if (!parts[0]) parts[0] = piece_size(text + at, count - at);
    for (int i = 0; i < 3 && parts[i]; at += parts[i++]) {
      bytes->size = 0;
      for (size_t k = 0; k < parts[i]; k++) {
        char spelled[8];
        cal_buffer_add(bytes, spelled, (size_t)utf8proc_encode_char(text[at + k], (utf8proc_uint8_t *)spelled));
      }
      if (bytes->failed) return cal_fail(e->err, CAL_E_MEMORY, "tokenizer: no memory for a piece of %zu characters", parts[i]);
      cal_status status = encode_piece(e, bytes->data, bytes->size);
      if (status) return status;
    }
  }
  return CAL_OK;
}

static cal_status encode_stretch(encoder *e, const char *text, size_t size) {
  const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
  const utf8proc_option_t options = UTF8PROC_COMPOSE | UTF8PROC_STABLE;
  utf8proc_ssize_t count = utf8proc_decompose(bytes, (utf8proc_ssize_t)size, NULL, 0, options);
  if (count < 0) return cal_fail(e->err, CAL_E_FORMAT, "tokenizer: %s", utf8proc_errmsg(count));
  /* A letter that becomes two by lower-casing needs the second half; utf8proc_reencode wants one element more. */
  int32_t *points = cal_alloc((2 * (size_t)count + 1) * sizeof *points, e->err);
  if (!points) return CAL_E_MEMORY;
  utf8proc_decompose(bytes, (utf8proc_ssize_t)size, points, count, options);
  count = utf8proc_normalize_utf32(points, count, options);
  int32_t *lower = points + count;
  size_t n = 0;
  memmove(lower, points, (size_t)count * sizeof *points);
  for (utf8proc_ssize_t i = 0; i < count; i++) {
    int32_t c = lower[i];
    points[n++] = c == 0x130 ? 'i' : utf8proc_tolower(c);
    if (c == 0x130) points[n++] = 0x307; /* the only letter whose lower case is two characters */
  }
  cal_buffer piece = {0};
  cal_status status = encode_points(e, points, n, &piece);
  cal_buffer_free(&piece);
  cal_free(points);
  return status;
}

static cal_status encode_clip(const cal_tokenizer *t, const char *text, size_t size, cal_tokens *out, cal_error *err) {
  encoder e = {.t = (const clip *)t, .out = out, .err = err};
  cal_status status = encode_stretch(&e, text, size);
  cal_free(e.symbols);
  cal_free(e.heap);
  return status;
}

static void spell_clip(const char *token, size_t size, bool first, bool last, cal_buffer *bytes) {
  (void)first;
  bool ends = size >= 4 && !memcmp(token + size - 4, "</w>", 4);
  if (ends) size -= 4;
  for (size_t at = 0; at < size;) {
    size_t was = at;
    int byte = byte_of_character(cal_utf8_next(token, size, &at));
    if (byte >= 0) cal_buffer_add_byte(bytes, (char)byte);
    else cal_buffer_add(bytes, token + was, at - was); /* a character that is no spelling of a byte: as it stands */
  }
  if (ends && !last) cal_buffer_add_byte(bytes, ' ');
}

cal_tokenizer *cal_tokenizer_new_clip(const char *vocab, size_t vocab_size, const char *merges, size_t merges_size,
                                      const cal_special_tokens *special, cal_error *err) {
  static const cal_tokenizer_kind kind = {encode_clip, spell_clip, free_clip};
  static const char *const usual[CAL_SPECIALS_MOST] = {"<|startoftext|>", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>"};
  clip *t = cal_alloc_zero(1, sizeof *t, err);
  if (!t) return NULL;
  t->all.kind = &kind;
  t->all.vocabulary = cal_vocabulary_read_json(vocab, vocab_size, err);
  if (!t->all.vocabulary || cal_tokenizer_find_specials(&t->all, special, usual, err)) return cal_tokenizer_free(&t->all), NULL;
  find_bytes(t);
  if (read_merges(t, merges, merges_size, err)) return cal_tokenizer_free(&t->all), NULL;
  return &t->all;
}
