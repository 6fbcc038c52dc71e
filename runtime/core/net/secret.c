#include "core/net/secret.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/fs.h"
#include "core/base/memory.h"
#include "core/base/sha256.h"
#include "core/net/env_file.h"

enum { SHORTEST_HIDDEN = 8, LONGEST_KEY = 4096, BASE64_RUN = 512 };

struct cal_secret {
  char *name, *value;
  size_t size;
  cal_secret *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static cal_secret *secrets; /* only ever grows: a reference to one lives as long as the process */

static struct {
  bool read;
  cal_env_file *file; /* NULL: there is none */
  cal_error error;    /* why it could not be read */
} dot_env;

const char *cal_env_place_name(cal_env_place place) {
  return place == CAL_FROM_ENVIRONMENT ? "environment" : place == CAL_FROM_ENV_FILE ? ".env" : "nowhere";
}

bool cal_env_is_secret(const char *name) {
  static const char *const words[] = {"KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"};
  for (; *name; name++)
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
      if (strncasecmp(name, words[i], strlen(words[i])) == 0) return true;
  return false;
}

/* ---- .env ---- */

static void read_dot_env(void) {
  dot_env.read = true;
  cal_error *err = &dot_env.error;
  *err = (cal_error){0};
  cal_buffer bytes = {0};
  cal_fs *fs = cal_fs_new(NULL, 0, err);
  cal_status status = fs ? cal_fs_grant(fs, ".env", CAL_FS_READ, err) : err->code;
  if (!status) status = cal_fs_read(fs, ".env", CAL_ENV_FILE_MOST, &bytes, err);
  if (status == CAL_E_NOTFOUND) *err = (cal_error){0};
  else if (!status && !(dot_env.file = cal_env_file_parse(bytes.data ? bytes.data : "", bytes.size, err))) cal_error_context(err, ".env");
  if (bytes.data) memset(bytes.data, 0, bytes.size);
  cal_buffer_free(&bytes);
  cal_fs_free(fs);
}

void cal_env_forget(void) {
  pthread_mutex_lock(&lock);
  cal_env_file_free(dot_env.file);
  dot_env.file = NULL;
  dot_env.read = false;
  pthread_mutex_unlock(&lock);
}

static bool white(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

cal_status cal_env_get(const char *name, cal_buffer *value, cal_env_place *place, cal_error *err) {
  cal_env_place from = CAL_FROM_ENVIRONMENT;
  cal_status status = CAL_OK;
  pthread_mutex_lock(&lock);
  const char *text = getenv(name);
  if (!text) {
    if (!dot_env.read) read_dot_env();
    if (dot_env.error.code) status = cal_fail(err, dot_env.error.code, "%s", dot_env.error.text);
    else text = cal_env_file_find(dot_env.file, name);
    from = CAL_FROM_ENV_FILE;
  }
  size_t size = text ? strlen(text) : 0;
  while (size && white(*text)) text++, size--;
  while (size && white(text[size - 1])) size--;
  if (size) cal_buffer_add(value, text, size);
  pthread_mutex_unlock(&lock);
  if (value->failed) status = cal_fail(err, CAL_E_MEMORY, "not enough memory for the value of %s", name);
  if (place) *place = !status && size ? from : CAL_FROM_NOWHERE;
  return status;
}

const char *cal_env_name(size_t index) {
  pthread_mutex_lock(&lock);
  if (!dot_env.read) read_dot_env();
  const char *name = dot_env.file && index < cal_env_file_count(dot_env.file) ? cal_env_file_name(dot_env.file, index) : NULL;
  pthread_mutex_unlock(&lock);
  return name;
}

/* ---- keys ---- */

static const cal_secret *remember(const char *name, const cal_buffer *value, cal_error *err) {
  pthread_mutex_lock(&lock);
  cal_secret *s = secrets;
  while (s && strcmp(s->value, value->data) != 0) s = s->next;
  if (!s && (s = cal_alloc_zero(1, sizeof *s, err))) {
    s->name = cal_copy_text(name, err);
    s->value = cal_copy_text(value->data, err);
    s->size = value->size;
    if (s->name && s->value) s->next = secrets, secrets = s;
    else cal_free(s->name), cal_free(s->value), cal_free(s), s = NULL;
  }
  pthread_mutex_unlock(&lock);
  return s;
}

cal_status cal_secret_find(const char *const *names, const cal_secret **secret, const char **name, cal_env_place *place, cal_error *err) {
  *secret = NULL;
  if (name) *name = NULL;
  if (place) *place = CAL_FROM_NOWHERE;
  cal_status status = CAL_OK;
  for (; *names && !*secret && !status; names++) {
    cal_buffer value = {0};
    cal_env_place from;
    status = cal_env_get(*names, &value, &from, err);
    bool odd = value.size > LONGEST_KEY;
    for (size_t i = 0; i < value.size && !odd; i++) odd = (unsigned char)value.data[i] <= 32 || (unsigned char)value.data[i] >= 127;
    if (!status && odd)
      status = cal_fail(err, CAL_E_ARG, "%s (%s) cannot be a key: a key is at most %d letters of ASCII without spaces", *names,
                        cal_env_place_name(from), LONGEST_KEY);
    else if (!status && from != CAL_FROM_NOWHERE) {
      *secret = remember(*names, &value, err);
      if (!*secret) status = CAL_E_MEMORY;
      else {
        if (name) *name = *names;
        if (place) *place = from;
      }
    }
    if (value.data) memset(value.data, 0, value.size);
    cal_buffer_free(&value);
  }
  return status;
}

const char *cal_secret_value(const cal_secret *secret) { return secret->value; }
const char *cal_secret_name(const cal_secret *secret) { return secret->name; }

/* ---- hiding ---- */

static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; }

static int hex_number(const char *text, size_t digits) {
  int number = 0;
  for (size_t i = 0; i < digits; i++) {
    if (hex_digit(text[i]) < 0) return -1;
    number = number * 16 + hex_digit(text[i]);
  }
  return number;
}

typedef enum { PLAIN, JSON, URL, FORMS } form;

/* One byte as `how` writes it. Returns how many bytes of `text` it takes. */
static size_t one_byte(form how, const char *text, size_t size, char *byte) {
  *byte = *text;
  if (how == URL && *text == '%' && size >= 3 && hex_number(text + 1, 2) >= 0) return *byte = (char)hex_number(text + 1, 2), 3;
  if (how == JSON && *text == '\\' && size >= 2) {
    int code = text[1] == 'u' && size >= 6 ? hex_number(text + 2, 4) : -1;
    if (code >= 0 && code < 128) return *byte = (char)code, 6;
    return *byte = text[1], 2;
  }
  return 1;
}

/* How much of `text` is the secret, in any of its forms; 0: it does not begin here. */
static size_t is_secret(const cal_secret *s, const char *text, size_t size) {
  for (form how = PLAIN; how < FORMS; how++) {
    size_t at = 0, i = 0;
    for (; i < s->size && at < size; i++) {
      char byte;
      size_t took = one_byte(how, text + at, size - at, &byte);
      if (byte != s->value[i]) break;
      at += took;
    }
    if (i == s->size) return at;
  }
  return 0;
}

static bool word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; }

/* Prefixes of keys, and how many letters follow at the least: fewer are words of programs, such as hf_hub. */
static size_t is_pattern(const char *text, size_t size, bool begins) {
  static const struct {
    const char *prefix;
    size_t least;
  } kinds[] = {{"AIza", 30}, {"AQ.", 16}, {"hf_", 16}, {"r8_", 16}, {"rpa_", 16}, {"rps_", 16}, {"whsec_", 8}, {"sk-", 16}};
  for (size_t i = 0; begins && i < sizeof kinds / sizeof *kinds; i++) {
    size_t length = strlen(kinds[i].prefix), at = length;
    if (size <= length || memcmp(text, kinds[i].prefix, length) != 0) continue;
    while (at < size && (word(text[at]) || (*text == 'w' && (text[at] == '+' || text[at] == '/' || text[at] == '=')))) at++;
    if (at - length >= kinds[i].least) return at;
  }
  return 0;
}

/* A name whose value is hidden, in a header, in JSON or in an address: how far the name and what stands before the value go. */
static size_t is_named(const char *text, size_t size, bool begins, bool *header) {
  static const char *const headers[] = {"authorization", "x-goog-api-key", "x-goog-upload-url", "proxy-authorization"};
  static const char *const queries[] = {"key",       "api_key", "apikey",      "token",    "access_token",
                                        "signature", "policy",  "key-pair-id", "upload_id"};
  if (!begins) return 0;
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
    size_t at = strlen(headers[i]);
    if (size <= at || strncasecmp(text, headers[i], at) != 0) continue;
    if (text[at] == '"' || text[at] == '\'') at++;
    while (at < size && text[at] == ' ') at++;
    if (at >= size || (text[at] != ':' && text[at] != '=')) continue;
    for (at++; at < size && (text[at] == ' ' || text[at] == '"' || text[at] == '\'');) at++;
    return *header = true, at;
  }
  for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
    size_t at = strlen(queries[i]);
    if (size > at && text[at] == '=' && strncasecmp(text, queries[i], at) == 0) return *header = false, at + 1;
  }
  if (size > 6 && strncasecmp(text, "x-amz-", 6) == 0) {
    size_t at = 6;
    while (at < size && word(text[at])) at++;
    if (at < size && text[at] == '=') return *header = false, at + 1;
  }
  return 0;
}

static size_t base64_run(const char *text, size_t size) {
  size_t at = 0;
  while (at < size && (word(text[at]) || text[at] == '+' || text[at] == '/' || text[at] == '=')) at++;
  return at;
}

static cal_status scrub(cal_buffer *text, bool only_keys, cal_error *err) {
  cal_buffer out = {0};
  pthread_mutex_lock(&lock);
  if (only_keys && !secrets) return pthread_mutex_unlock(&lock), CAL_OK;
  for (size_t at = 0; at < text->size;) {
    const char *here = text->data + at;
    size_t left = text->size - at, took = 0;
    bool begins = at == 0 || !word(here[-1]), header = false;
    const cal_secret *found = NULL;
    for (const cal_secret *s = secrets; s; s = s->next) {
      size_t size = s->size < SHORTEST_HIDDEN ? 0 : is_secret(s, here, left);
      if (size > took) took = size, found = s;
    }
    if (found) cal_buffer_printf(&out, "<%s>", found->name);
    else if (only_keys) cal_buffer_add_byte(&out, *here), took = 1;
    else if ((took = is_named(here, left, begins, &header))) {
      cal_buffer_add(&out, here, took);
      size_t value = took;
      while (took < left && !strchr(header ? "\r\n\"'\\" : "&# \t\r\n\"'<>\\", here[took])) took++;
      if (took > value) cal_buffer_add_text(&out, "<hidden>");
    } else if ((took = is_pattern(here, left, begins))) cal_buffer_add_text(&out, "<key>");
    else if (begins && (took = base64_run(here, left)) >= BASE64_RUN) {
      char hex[CAL_SHA256_HEX];
      cal_sha256_hex(here, took, hex);
      cal_buffer_printf(&out, "<base64, %zu characters, sha256 %.12s>", took, hex);
    } else cal_buffer_add_byte(&out, *here), took = 1;
    at += took;
  }
  pthread_mutex_unlock(&lock);
  bool failed = out.failed;
  cal_buffer_free(text);
  if (failed) return cal_buffer_free(&out), cal_fail(err, CAL_E_MEMORY, "not enough memory to hide keys in a text");
  *text = out;
  return CAL_OK;
}

cal_status cal_scrub(cal_buffer *text, cal_error *err) { return scrub(text, false, err); }
cal_status cal_scrub_keys(cal_buffer *text, cal_error *err) { return scrub(text, true, err); }
