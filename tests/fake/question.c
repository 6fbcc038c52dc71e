/* question.c - which picture a request is about, and what the right answer is: a function of the picture's bytes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fake.h"

/* Base64 as the services take it: the plain alphabet, no newlines. -1: something else is in there. */
static int digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}
static bool decode(const char *text, cal_buffer *out) {
  size_t size = strlen(text), padding = 0;
  if (size % 4 || !size) return false;
  while (padding < 2 && text[size - 1 - padding] == '=') padding++;
  cal_buffer_reserve(out, size / 4 * 3);
  for (size_t i = 0; i < size; i += 4) {
    uint32_t bits = 0;
    size_t most = i + 4 == size ? 4 - padding : 4;
    for (size_t j = 0; j < 4; j++) {
      int value = j < most ? digit(text[i + j]) : 0;
      if (value < 0) return false;
      bits = bits << 6 | (uint32_t)value;
    }
    char bytes[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
    cal_buffer_add(out, bytes, most - 1);
  }
  return true;
}

static void add_picture(question *q, const char *text) {
  cal_buffer bytes = {0};
  if (decode(text, &bytes)) {
    if (!q->pictures++) cal_sha256_hex(bytes.data, bytes.size, q->sha);
    q->picture_bytes += bytes.size;
  }
  cal_buffer_free(&bytes);
}

/* Pictures in the order of the arrays they stand in. */
static void find_pictures(question *q, const cal_json *value) {
  const char *key = cal_json_key(value), *text = cal_json_text(value);
  if (text) {
    const char *comma = strstr(text, ";base64,");
    if (!strncmp(text, "data:image/", 11) && comma) add_picture(q, comma + 8);
    else if (key && q->from == GEMINI && !strcmp(key, "data")) add_picture(q, text);
    else if (key && q->from == HUGGINGFACE && !strcmp(key, "inputs")) add_picture(q, text);
    return;
  }
  bool images = key && !strcmp(key, "images") && (q->from == OLLAMA_CHAT || q->from == OLLAMA_GENERATE);
  for (const cal_json *item = cal_json_first(value); item; item = cal_json_next(item)) {
    if (images && cal_json_text(item)) add_picture(q, cal_json_text(item));
    else find_pictures(q, item);
  }
}

static const cal_json *either(const cal_json *object, const char *camel, const char *snake) {
  const cal_json *found = cal_json_find(object, camel);
  return found ? found : cal_json_find(object, snake);
}

void question_of(question *q, service from, const char *model, const cal_json *tree) {
  *q = (question){.from = from};
  const char *named = cal_json_text(cal_json_find(tree, "model"));
  snprintf(q->model, sizeof q->model, "%s", model && *model ? model : named ? named : "");
  find_pictures(q, tree);
  q->stream = cal_json_bool(cal_json_find(tree, "stream"));
  if (from == GEMINI) {
    const cal_json *config = either(tree, "generationConfig", "generation_config");
    const char *mime = cal_json_text(either(config, "responseMimeType", "response_mime_type"));
    q->structured = mime && !strcmp(mime, "application/json");
    q->schema = either(config, "responseJsonSchema", "response_json_schema");
    if (!q->schema) q->schema = either(config, "responseSchema", "response_schema");
  } else if (from == OPENAI) {
    const cal_json *format = cal_json_find(tree, "response_format");
    const char *type = cal_json_text(cal_json_find(format, "type"));
    q->structured = type && strcmp(type, "text");
    const cal_json *named_schema = cal_json_find(format, "json_schema");
    q->schema = cal_json_find(named_schema, "schema");
    if (!q->schema) q->schema = cal_json_find(format, "schema");
  } else {
    const cal_json *format = cal_json_find(tree, "format");
    q->structured = format != NULL;
    if (format && cal_json_kind_of(format) == CAL_JSON_OBJECT) q->schema = format;
  }
}

bool question_read(question *q, service from, const char *model, const char *body, size_t size, bool raw_picture, const char **why) {
  static char said[CAL_ERROR_TEXT];
  *q = (question){.from = from};
  if (raw_picture) {
    snprintf(q->model, sizeof q->model, "%s", model);
    cal_sha256_hex(body ? body : "", size, q->sha);
    q->pictures = 1;
    q->picture_bytes = size;
    return true;
  }
  cal_error err = {0};
  cal_json *tree = cal_json_parse(body ? body : "", size, &err);
  if (!tree) return snprintf(said, sizeof said, "%s", err.text), *why = said, false;
  question_of(q, from, model, tree);
  q->tree = tree;
  return true;
}

void question_free(question *q) { cal_json_free(q->tree), *q = (question){0}; }

void question_caption(const question *q, cal_buffer *out) {
  if (*q->sha) cal_buffer_printf(out, "a small test picture, %.12s", q->sha);
  else cal_buffer_add_text(out, "words without a picture");
}

/* The smallest value that a schema allows, with the caption where a text fits. */
static void fill(const question *q, const cal_json *schema, cal_buffer *out) {
  const cal_json *list = cal_json_find(schema, "enum");
  const char *type = cal_json_text(cal_json_find(schema, "type"));
  if (cal_json_first(list) && cal_json_text(cal_json_first(list))) {
    const char *text = cal_json_text(cal_json_first(list));
    json_text(out, text, strlen(text));
  } else if (type && !strcasecmp(type, "object")) {
    const cal_json *properties = cal_json_find(schema, "properties");
    cal_buffer_add_byte(out, '{');
    for (const cal_json *p = cal_json_first(properties); p; p = cal_json_next(p)) {
      if (p != cal_json_first(properties)) cal_buffer_add_byte(out, ',');
      json_text(out, cal_json_key(p), strlen(cal_json_key(p)));
      cal_buffer_add_byte(out, ':');
      fill(q, p, out);
    }
    cal_buffer_add_byte(out, '}');
  } else if (type && !strcasecmp(type, "array")) {
    cal_buffer_add_byte(out, '[');
    fill(q, cal_json_find(schema, "items"), out);
    cal_buffer_add_byte(out, ']');
  } else if (type && (!strcasecmp(type, "number") || !strcasecmp(type, "integer"))) {
    double least = cal_json_number(cal_json_find(schema, "minimum"));
    cal_buffer_printf(out, "%.0f", isnan(least) ? 7 : least + 1);
  } else if (type && !strcasecmp(type, "boolean")) {
    cal_buffer_add_text(out, "true");
  } else {
    cal_buffer caption = {0};
    question_caption(q, &caption);
    json_text(out, caption.data, caption.size);
    cal_buffer_free(&caption);
  }
}

void question_text(const question *q, cal_buffer *out) {
  if (q->schema) fill(q, q->schema, out);
  else if (q->structured) {
    cal_buffer caption = {0};
    question_caption(q, &caption);
    cal_buffer_add_text(out, "{\"caption\":");
    json_text(out, caption.data, caption.size);
    cal_buffer_add_byte(out, '}');
    cal_buffer_free(&caption);
  } else question_caption(q, out);
}
