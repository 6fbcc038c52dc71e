#include "core/codec/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *hook_alloc(size_t bytes) { return cal_alloc(bytes, NULL); }

static void set_hooks(void) { cJSON_InitHooks(&(cJSON_Hooks){hook_alloc, cal_free}); }

static void start(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, set_hooks);
}

static cal_status no_memory(cal_error *err) { return cal_fail(err, CAL_E_MEMORY, "json: not enough memory"); }

/* ---- the check before cJSON reads ---- */

typedef struct {
  const char *text;
  size_t size, at;
  int depth;
  cal_error *err;
} cursor;

static cal_status bad(const cursor *c, size_t at, const char *what) {
  size_t line = 1, column = 1;
  for (size_t i = 0; i < at; i++) {
    column++;
    if (c->text[i] == '\n') line++, column = 1;
  }
  return cal_fail(c->err, CAL_E_FORMAT, "json: line %zu, column %zu: %s", line, column, what);
}

static void skip_space(cursor *c) {
  while (c->at < c->size && strchr(" \t\r\n", c->text[c->at]) && c->text[c->at]) c->at++;
}

static char peek(const cursor *c) { return c->at < c->size ? c->text[c->at] : 0; }
static bool digit(char byte) { return byte >= '0' && byte <= '9'; }

/* Four hexadecimal digits at c->at, or -1. */
static int hex4(cursor *c) {
  int code = 0;
  for (int i = 0; i < 4; i++, c->at++) {
    char byte = peek(c);
    int nibble = digit(byte)                  ? byte - '0'
                 : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                 : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                              : -1;
    if (nibble < 0) return -1;
    code = code << 4 | nibble;
  }
  return code;
}

static cal_status check_escape(cursor *c) {
  size_t from = c->at++;
  char kind = peek(c);
  if (kind && strchr("\"\\/bfnrt", kind)) return c->at++, CAL_OK;
  if (kind != 'u') return bad(c, from, "an unknown escape in a string");
  c->at++;
  int code = hex4(c);
  if (code < 0) return bad(c, from, "\\u without four hexadecimal digits");
  if (code == 0) return bad(c, from, "a string with the character \\u0000 is not supported");
  if (code < 0xd800 || code >= 0xe000) return CAL_OK;
  int low = -1;
  if (code < 0xdc00 && peek(c) == '\\') {
    c->at++;
    if (peek(c) == 'u') c->at++, low = hex4(c);
  }
  return low >= 0xdc00 && low < 0xe000 ? CAL_OK : bad(c, from, "half of a surrogate pair");
}

static cal_status check_string(cursor *c) {
  size_t from = c->at++;
  while (c->at < c->size) {
    unsigned char byte = (unsigned char)c->text[c->at];
    if (byte == '"') return c->at++, CAL_OK;
    if (byte < 0x20) return bad(c, c->at, "a raw control character in a string");
    size_t here = c->at;
    if (byte == '\\') {
      cal_status status = check_escape(c);
      if (status) return status;
    } else if (cal_utf8_next(c->text, c->size, &c->at) < 0) {
      return bad(c, here, "a byte that is not UTF-8");
    }
  }
  return bad(c, from, "a string that is not closed");
}

static bool digits(cursor *c) {
  if (!digit(peek(c))) return false;
  while (digit(peek(c))) c->at++;
  return true;
}

static cal_status check_number(cursor *c) {
  size_t from = c->at;
  if (peek(c) == '-') c->at++;
  bool good = true;
  if (peek(c) == '0') c->at++;
  else good = digits(c);
  if (good && peek(c) == '.') c->at++, good = digits(c);
  if (good && (peek(c) == 'e' || peek(c) == 'E')) {
    c->at++;
    if (peek(c) == '+' || peek(c) == '-') c->at++;
    good = digits(c);
  }
  if (!good) return bad(c, from, "not a number as JSON writes it");
  return c->at - from < 64 ? CAL_OK : bad(c, from, "a number with more than 63 characters"); /* cJSON's buffer */
}

static cal_status check_word(cursor *c) {
  static const char *const words[] = {"true", "false", "null"};
  for (int i = 0; i < 3; i++) {
    size_t size = strlen(words[i]);
    if (c->size - c->at < size || memcmp(c->text + c->at, words[i], size) != 0) continue;
    c->at += size;
    return CAL_OK;
  }
  return bad(c, c->at, c->at < c->size ? "a value was expected" : "the text ends where a value was expected");
}

static cal_status check_value(cursor *c);

static cal_status check_members(cursor *c, char close) {
  size_t from = c->at++;
  if (++c->depth > CAL_JSON_DEPTH) return cal_fail(c->err, CAL_E_LIMIT, "json: more than %d levels at byte %zu", CAL_JSON_DEPTH, from);
  skip_space(c);
  for (bool first = true; first || peek(c) != close; first = false) {
    if (first && peek(c) == close) break;
    cal_status status = CAL_OK;
    if (!first) {
      if (c->at >= c->size) return bad(c, from, close == ']' ? "a list that is not closed" : "an object that is not closed");
      if (peek(c) != ',') return bad(c, c->at, close == ']' ? "a comma or ] was expected" : "a comma or } was expected");
      c->at++;
      skip_space(c);
    }
    if (close == '}') {
      if (peek(c) != '"') return bad(c, c->at, "a key in quotes was expected");
      if ((status = check_string(c))) return status;
      skip_space(c);
      if (peek(c) != ':') return bad(c, c->at, "a colon was expected after the key");
      c->at++;
    }
    if ((status = check_value(c))) return status;
    skip_space(c);
  }
  c->at++;
  c->depth--;
  return CAL_OK;
}

static cal_status check_value(cursor *c) {
  skip_space(c);
  char byte = peek(c);
  if (byte == '"') return check_string(c);
  if (byte == '[') return check_members(c, ']');
  if (byte == '{') return check_members(c, '}');
  if (byte == '-' || digit(byte)) return check_number(c);
  return check_word(c);
}

/* ---- order ---- */

static int by_key(const void *a, const void *b) { return strcmp((*(cJSON *const *)a)->string, (*(cJSON *const *)b)->string); }

/* Relink the members of an object by key. In cJSON's list the first member's `prev` is the last member. */
static cal_status sort_members(cJSON *object, cal_status code_of_twins, cal_error *err) {
  size_t count = 0;
  bool sorted = true;
  for (cJSON *m = object->child; m; m = m->next, count++) sorted = sorted && (!m->next || strcmp(m->string, m->next->string) < 0);
  if (sorted) return CAL_OK;
  cJSON **list = cal_alloc(count * sizeof *list, NULL);
  if (!list) return no_memory(err);
  size_t n = 0;
  for (cJSON *m = object->child; m; m = m->next) list[n++] = m;
  qsort(list, count, sizeof *list, by_key);
  cal_status status = CAL_OK;
  for (size_t i = 0; i < count; i++) {
    list[i]->next = i + 1 < count ? list[i + 1] : NULL;
    list[i]->prev = list[i ? i - 1 : count - 1];
    if (i && !strcmp(list[i - 1]->string, list[i]->string) && !status) {
      cal_buffer key = {0};
      cal_buffer_add_printable(&key, list[i]->string, strnlen(list[i]->string, 80));
      status = cal_fail(err, code_of_twins, "json: the key \"%s\" stands twice in one object", key.data ? key.data : "");
      cal_buffer_free(&key);
    }
  }
  object->child = list[0];
  cal_free(list);
  return status;
}

static cal_status put_in_order(cJSON *value, cal_error *err) {
  if (cJSON_IsNumber(value) && !isfinite(value->valuedouble))
    return cal_fail(err, CAL_E_FORMAT, "json: a number is larger than a double can hold");
  cal_status status = cJSON_IsObject(value) ? sort_members(value, CAL_E_FORMAT, err) : CAL_OK;
  for (cJSON *child = value->child; child && !status; child = child->next) status = put_in_order(child, err);
  return status;
}

cal_json *cal_json_parse(const char *text, size_t size, cal_error *err) {
  start();
  if (size > CAL_JSON_MOST) return cal_fail(err, CAL_E_LIMIT, "json: %zu bytes; at most %d are read", size, CAL_JSON_MOST), NULL;
  cursor c = {text, size, size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0, 0, err};
  size_t from = c.at;
  if (check_value(&c)) return NULL;
  skip_space(&c);
  if (c.at < size) return bad(&c, c.at, "more text after the value"), NULL;
  cJSON *value = cJSON_ParseWithLengthOpts(text + from, size - from, NULL, 0);
  if (!value) return no_memory(err), NULL;
  if (put_in_order(value, err)) cJSON_Delete(value), value = NULL;
  return value;
}

void cal_json_free(cal_json *value) { cJSON_Delete(value); }

/* ---- reading ---- */

cal_json_kind cal_json_kind_of(const cal_json *value) {
  switch (value->type & 0xff) {
    case cJSON_False:
    case cJSON_True: return CAL_JSON_BOOL;
    case cJSON_Number: return CAL_JSON_NUMBER;
    case cJSON_String: return CAL_JSON_TEXT;
    case cJSON_Array: return CAL_JSON_ARRAY;
    case cJSON_Object: return CAL_JSON_OBJECT;
    default: return CAL_JSON_NULL;
  }
}

const cal_json *cal_json_find(const cal_json *object, const char *key) {
  return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

const cal_json *cal_json_first(const cal_json *parent) { return parent ? parent->child : NULL; }
const cal_json *cal_json_next(const cal_json *value) { return value->next; }
const char *cal_json_key(const cal_json *member) { return member->string; }
const char *cal_json_text(const cal_json *value) { return cJSON_GetStringValue(value); }
double cal_json_number(const cal_json *value) { return cJSON_IsNumber(value) ? value->valuedouble : (double)NAN; }
bool cal_json_bool(const cal_json *value) { return cJSON_IsTrue(value); }

size_t cal_json_count(const cal_json *parent) {
  size_t count = 0;
  for (const cJSON *child = cal_json_first(parent); child; child = child->next) count++;
  return count;
}

/* ---- building ---- */

static cal_json *made(cJSON *value, cal_error *err) {
  if (!value) no_memory(err);
  return value;
}

cal_json *cal_json_new(cal_json_kind kind, cal_error *err) {
  start();
  switch (kind) {
    case CAL_JSON_BOOL: return made(cJSON_CreateFalse(), err);
    case CAL_JSON_NUMBER: return made(cJSON_CreateNumber(0), err);
    case CAL_JSON_TEXT: return made(cJSON_CreateString(""), err);
    case CAL_JSON_ARRAY: return made(cJSON_CreateArray(), err);
    case CAL_JSON_OBJECT: return made(cJSON_CreateObject(), err);
    default: return made(cJSON_CreateNull(), err);
  }
}

cal_json *cal_json_from_text(const char *text, cal_error *err) { return start(), made(cJSON_CreateString(text), err); }
cal_json *cal_json_from_number(double number, cal_error *err) { return start(), made(cJSON_CreateNumber(number), err); }
cal_json *cal_json_from_bool(bool truth, cal_error *err) { return start(), made(cJSON_CreateBool(truth), err); }

cal_status cal_json_put(cal_json *object, const char *key, cal_json *value, cal_error *err) {
  if (value && cJSON_AddItemToObject(object, key, value)) return CAL_OK;
  cJSON_Delete(value);
  return no_memory(err);
}

cal_status cal_json_add(cal_json *array, cal_json *value, cal_error *err) {
  if (value && cJSON_AddItemToArray(array, value)) return CAL_OK;
  cJSON_Delete(value);
  return no_memory(err);
}

/* ---- writing ---- */

void cal_json_write_text(const char *text, size_t size, cal_buffer *out) {
  cal_buffer_add_byte(out, '"');
  size_t from = 0;
  for (size_t i = 0; i < size; i++) {
    unsigned char byte = (unsigned char)text[i];
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    cal_buffer_add(out, text + from, i - from);
    from = i + 1;
    static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = byte ? strchr(named, byte) : NULL;
    if (found) cal_buffer_printf(out, "\\%c", letters[found - named]);
    else cal_buffer_printf(out, "\\u%04x", byte);
  }
  cal_buffer_add(out, text + from, size - from);
  cal_buffer_add_byte(out, '"');
}

static cal_status write_checked(const char *text, cal_buffer *out, cal_error *err) {
  size_t size = strlen(text), at;
  if (!cal_utf8_valid(text, size, &at)) return cal_fail(err, CAL_E_ARG, "json: byte %zu of a text is not UTF-8", at + 1);
  cal_json_write_text(text, size, out);
  return CAL_OK;
}

static cal_status write_number(double x, cal_buffer *out, cal_error *err) {
  if (!isfinite(x)) return cal_fail(err, CAL_E_ARG, "json: %f cannot be written", x);
  if (x == floor(x) && fabs(x) <= 0x1p53) return cal_buffer_printf(out, "%lld", (long long)x), CAL_OK;
  char text[40];
  for (int places = 15; places <= 17; places++) {
    snprintf(text, sizeof text, "%.*g", places, x);
    if (strtod(text, NULL) == x) break;
  }
  cal_buffer_add_text(out, text);
  return CAL_OK;
}

static void new_line(unsigned flags, int depth, cal_buffer *out) {
  if (flags & CAL_JSON_PRETTY) cal_buffer_printf(out, "\n%*s", 2 * depth, "");
}

static cal_status write_value(cJSON *value, unsigned flags, int depth, cal_buffer *out, cal_error *err) {
  cal_json_kind kind = cal_json_kind_of(value);
  cal_status status = CAL_OK;
  switch (kind) {
    case CAL_JSON_NULL: cal_buffer_add_text(out, "null"); break;
    case CAL_JSON_BOOL: cal_buffer_add_text(out, cJSON_IsTrue(value) ? "true" : "false"); break;
    case CAL_JSON_NUMBER: return write_number(value->valuedouble, out, err);
    case CAL_JSON_TEXT: return write_checked(value->valuestring, out, err);
    case CAL_JSON_ARRAY:
    case CAL_JSON_OBJECT: {
      bool object = kind == CAL_JSON_OBJECT;
      if (depth >= CAL_JSON_DEPTH) return cal_fail(err, CAL_E_LIMIT, "json: more than %d levels", CAL_JSON_DEPTH);
      if (object && (status = sort_members(value, CAL_E_ARG, err))) return status;
      cal_buffer_add_byte(out, object ? '{' : '[');
      for (cJSON *child = value->child; child && !status; child = child->next) {
        if (child != value->child) cal_buffer_add_byte(out, ',');
        new_line(flags, depth + 1, out);
        if (object) {
          status = write_checked(child->string, out, err);
          cal_buffer_add_text(out, flags & CAL_JSON_PRETTY ? ": " : ":");
        }
        if (!status) status = write_value(child, flags, depth + 1, out, err);
      }
      if (value->child) new_line(flags, depth, out);
      cal_buffer_add_byte(out, object ? '}' : ']');
    }
  }
  return status;
}

cal_status cal_json_write(cal_json *value, unsigned flags, cal_buffer *out, cal_error *err) {
  size_t before = out->size;
  cal_status status = write_value(value, flags, 0, out, err);
  if (!status && out->failed) status = no_memory(err);
  if (status && !out->failed) {
    out->size = before;
    if (out->data) out->data[before] = 0;
  }
  return status;
}
