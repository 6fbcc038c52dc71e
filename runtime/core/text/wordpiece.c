/* wordpiece.c - BERT's WordPiece (Wu et al., "Google's neural machine translation system", 2016), as transformers' BertTokenizer cuts. */
#include <string.h>
#include <utf8proc.h>

#include "core/base/memory.h"
#include "core/text/tokenizing.h"

enum { LONGEST_WORD = 100 }; /* characters; longer words are unknown */

typedef struct {
  cal_tokenizer all;
  bool lower;
} wordpiece;

/* ---- characters ------------------------------------------------------------------------------------------------------- */

static bool is_space(int32_t c) { /* Unicode's White_Space */
  return (c >= 9 && c <= 13) || c == 32 || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
         c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* What has no look of its own and goes: controls, formats, private characters, the mark of a broken one. */
static bool is_nothing(int32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  utf8proc_category_t k = utf8proc_category(c);
  return !c || c == 0xfffd || k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_CO;
}

/* Characters of languages that write without spaces between words: each is a word. */
static bool is_ideograph(int32_t c) {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
         (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) || (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

/* All of ASCII that is no letter, digit or space, and what Unicode says is punctuation. */
static bool is_point(int32_t c) {
  if (c < 128) return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
  utf8proc_category_t k = utf8proc_category(c);
  return k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO;
}

/* ---- words ------------------------------------------------------------------------------------------------------------- */

/* The longest token that the word begins with, then of what is left as "##", and so on; a word of which some part is no token is unknown.
 */
static cal_status encode_word(const wordpiece *t, const char *word, size_t size, size_t characters, cal_tokens *out, cal_error *err) {
  const size_t before = out->count;
  const int32_t unknown = t->all.special_id[CAL_UNKNOWN];
  if (characters > LONGEST_WORD) return cal_tokens_add(out, unknown, err);
  char part[2 + 4 * LONGEST_WORD] = "##";
  for (size_t at = 0; at < size;) {
    int32_t id = -1;
    size_t end = size, front = at ? 2 : 0;
    for (; end > at; end--) {
      if (end < size && ((unsigned char)word[end] & 0xc0) == 0x80) continue; /* within a character */
      memcpy(part + 2, word + at, end - at);
      id = cal_vocabulary_find(t->all.vocabulary, part + 2 - front, end - at + front);
      if (id >= 0) break;
    }
    if (id < 0) {
      out->count = before;
      return cal_tokens_add(out, unknown, err);
    }
    if (cal_tokens_add(out, id, err)) return CAL_E_MEMORY;
    at = end;
  }
  return CAL_OK;
}

/* A word under way: its bytes and how many characters they are. */
typedef struct {
  char bytes[4 * LONGEST_WORD + 4];
  size_t size, characters;
} word;

static cal_status end_word(const wordpiece *t, word *w, cal_tokens *out, cal_error *err) {
  cal_status status = w->characters ? encode_word(t, w->bytes, w->size, w->characters, out, err) : CAL_OK;
  w->size = w->characters = 0;
  return status;
}

static cal_status add_character(const wordpiece *t, word *w, int32_t c, cal_tokens *out, cal_error *err) {
  if (is_space(c)) return end_word(t, w, out, err);
  const bool alone = is_point(c) || is_ideograph(c);
  if (alone && end_word(t, w, out, err)) return err ? err->code : CAL_E_MEMORY;
  if (w->characters++ < LONGEST_WORD) w->size += (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)w->bytes + w->size);
  return alone ? end_word(t, w, out, err) : CAL_OK;
}

/* Small letters without their accents: decomposed, marks dropped, each made small. */
static cal_status encode_wordpiece(const cal_tokenizer *all, const char *text, size_t size, cal_tokens *out, cal_error *err) {
  const wordpiece *t = (const wordpiece *)all;
  word w = {.size = 0};
  cal_status status = CAL_OK;
  int32_t *points = NULL;
  utf8proc_ssize_t count = 0;
  const utf8proc_option_t options = t->lower ? UTF8PROC_DECOMPOSE | UTF8PROC_STABLE : UTF8PROC_STABLE;
  count = utf8proc_decompose((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, NULL, 0, options);
  if (count < 0) return cal_fail(err, CAL_E_FORMAT, "tokenizer: %s", utf8proc_errmsg(count));
  if (!(points = cal_alloc(((size_t)count + 1) * sizeof *points, err))) return CAL_E_MEMORY;
  utf8proc_decompose((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, points, count, options);
  for (utf8proc_ssize_t i = 0; i < count && !status; i++) {
    int32_t c = points[i];
    if (is_nothing(c) || (t->lower && utf8proc_category(c) == UTF8PROC_CATEGORY_MN)) continue;
    status = add_character(t, &w, t->lower ? utf8proc_tolower(c) : c, out, err);
  }
  if (!status) status = end_word(t, &w, out, err);
  cal_free(points);
  return status;
}

static void spell_wordpiece(const char *token, size_t size, bool first, bool last, cal_buffer *out) {
  (void)last;
  const bool goes_on = size > 2 && token[0] == '#' && token[1] == '#';
  if (!first && !goes_on) cal_buffer_add_byte(out, ' ');
  cal_buffer_add(out, token + 2 * goes_on, size - 2 * goes_on);
}

cal_tokenizer *cal_tokenizer_new_wordpiece(const char *vocab, size_t vocab_size, bool lower, cal_error *err) {
  static const cal_tokenizer_kind kind = {encode_wordpiece, spell_wordpiece, NULL};
  static const char *const usual[CAL_SPECIALS_MOST] = {"[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"};
  wordpiece *t = cal_alloc_zero(1, sizeof *t, err);
  if (!t) return NULL;
  t->all.kind = &kind, t->lower = lower;
  t->all.vocabulary = cal_vocabulary_read_lines(vocab, vocab_size, err);
  if (!t->all.vocabulary || cal_tokenizer_find_specials(&t->all, NULL, usual, err)) return cal_tokenizer_free(&t->all), NULL;
  return &t->all;
}
