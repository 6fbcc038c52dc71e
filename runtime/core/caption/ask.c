#include "core/caption/ask.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "core/base/suggest.h"

static cal_status unknown_setting(const char *key, const char *who, const char *const *known, cal_error *err) {
  cal_buffer shown = {0}, list = {0};
  cal_suggestion near = {.word = key};
  for (size_t i = 0; known[i]; i++) {
    cal_suggestion_offer(&near, known[i]);
    cal_buffer_printf(&list, "%s%s", i ? ", " : "", known[i]);
  }
  cal_buffer_add_printable(&shown, key, strnlen(key, 60));
  const char *meant = cal_suggestion_best(&near);
  if (meant) cal_fail(err, CAL_E_ARG, "%s: there is no setting \"%s\"; did you mean %s?", who, shown.data ? shown.data : "", meant);
  else
    cal_fail(err, CAL_E_ARG, "%s: there is no setting \"%s\"; there are %s", who, shown.data ? shown.data : "", list.data ? list.data : "");
  cal_buffer_free(&shown);
  cal_buffer_free(&list);
  return CAL_E_ARG;
}

static cal_status parse(const char *text, const char *field, const char *who, cal_json **value, cal_error *err) {
  *value = cal_json_parse(text, strlen(text), err);
  if (*value) return CAL_OK;
  cal_error_context(err, "%s: %s", who, field);
  return err && err->code == CAL_E_MEMORY ? CAL_E_MEMORY : CAL_E_ARG;
}

cal_status cal_ask_settings(const char *text, const char *who, const char *const *known, cal_json **settings, cal_error *err) {
  *settings = NULL;
  cal_json *tree;
  cal_status status = parse(text && *text ? text : "{}", "settings", who, &tree, err);
  if (status) return status;
  if (cal_json_kind_of(tree) == CAL_JSON_ARRAY && !cal_json_first(tree)) return *settings = tree, CAL_OK; /* an empty Lua table */
  if (cal_json_kind_of(tree) != CAL_JSON_OBJECT) status = cal_fail(err, CAL_E_ARG, "%s: settings: a JSON object is expected", who);
  for (const cal_json *m = cal_json_first(tree); m && !status; m = cal_json_next(m)) {
    size_t i = 0;
    while (known[i] && strcmp(known[i], cal_json_key(m)) != 0) i++;
    if (!known[i]) status = unknown_setting(cal_json_key(m), who, known, err);
  }
  if (status) cal_json_free(tree);
  else *settings = tree;
  return status;
}

static cal_status check_text(const char *text, const char *field, const char *who, cal_error *err) {
  size_t at;
  if (!text || cal_utf8_valid(text, strlen(text), &at)) return CAL_OK;
  return cal_fail(err, CAL_E_ARG, "%s: %s: byte %zu is not UTF-8", who, field, at + 1);
}

static bool mime_ok(const char *mime, const char *const *mimes) {
  if (!mime || strlen(mime) > 60) return false;
  for (size_t i = 0; mimes && mimes[i]; i++)
    if (!strcmp(mime, mimes[i])) return true;
  if (mimes || strncmp(mime, "image/", 6) != 0 || !mime[6]) return false;
  for (const char *p = mime + 6; *p; p++)
    if (!isalnum((unsigned char)*p) && !strchr("-.+", *p)) return false;
  return true;
}

cal_status cal_ask_check(const cal_wire_question *q, const char *who, const char *const *mimes, cal_error *err) {
  cal_status status = check_text(q->system, "system", who, err);
  if (!status) status = check_text(q->user, "user", who, err);
  if (status) return status;
  if (!q->picture_count && (!q->user || !*q->user)) return cal_fail(err, CAL_E_ARG, "%s: neither a picture nor a text to ask about", who);
  if (q->max_tokens < 0)
    return cal_fail(err, CAL_E_ARG, "%s: max_tokens: %d; 0 (no limit of ours) or more is expected", who, q->max_tokens);
  size_t total = 0;
  for (size_t i = 0; i < q->picture_count; i++) {
    const cal_wire_picture *p = &q->pictures[i];
    if (!p->size) return cal_fail(err, CAL_E_ARG, "%s: picture %zu is empty", who, i + 1);
    if (p->size > CAL_WIRE_QUESTION_MOST - total)
      return cal_fail(err, CAL_E_LIMIT, "%s: the pictures have more than %d MB together; send them smaller", who,
                      CAL_WIRE_QUESTION_MOST >> 20);
    total += p->size;
    if (mime_ok(p->mime, mimes)) continue;
    cal_buffer list = {0}, shown = {0};
    for (size_t k = 0; mimes && mimes[k]; k++) cal_buffer_printf(&list, "%s%s", k ? ", " : "", mimes[k]);
    const char *kind = p->mime ? p->mime : "no kind";
    const size_t length = strlen(kind);
    cal_buffer_add_printable(&shown, kind, length < 60 ? length : 60);
    status = cal_fail(err, CAL_E_ARG, "%s: picture %zu is %s; taken are %s", who, i + 1, shown.data ? shown.data : "",
                      list.data ? list.data : "image/jpeg, image/png and the like");
    cal_buffer_free(&list);
    cal_buffer_free(&shown);
    return status;
  }
  return CAL_OK;
}

cal_status cal_ask_number(const cal_json *settings, const char *key, const char *who, double least, double most, bool whole,
                          const char *before, cal_buffer *body, cal_error *err) {
  const cal_json *value = cal_json_find(settings, key);
  if (!value) return CAL_OK;
  double x = cal_json_number(value);
  if (!(x >= least && x <= most) || (whole && x != floor(x)))
    return cal_fail(err, CAL_E_ARG, "%s: %s: a %snumber from %.15g to %.15g is expected", who, key, whole ? "whole " : "", least, most);
  cal_buffer_add_text(body, before);
  cal_json *copy = cal_json_from_number(x, err); /* written as JSON writes numbers, whatever the locale */
  cal_status status = copy ? cal_json_write(copy, 0, body, err) : CAL_E_MEMORY;
  cal_json_free(copy);
  return status;
}

cal_status cal_ask_choice(const cal_json *settings, const char *key, const char *who, const char *const *names, int *index,
                          cal_error *err) {
  *index = -1;
  const cal_json *value = cal_json_find(settings, key);
  if (!value) return CAL_OK;
  const char *text = cal_json_text(value);
  for (int i = 0; text && names[i]; i++)
    if (!strcmp(text, names[i])) return *index = i, CAL_OK;
  cal_buffer list = {0};
  for (size_t i = 0; names[i]; i++) cal_buffer_printf(&list, "%s%s", i ? ", " : "", names[i]);
  cal_fail(err, CAL_E_ARG, "%s: %s: one of %s is expected", who, key, list.data ? list.data : "");
  cal_buffer_free(&list);
  return CAL_E_ARG;
}

cal_status cal_ask_json(const char *text, const char *field, const char *who, const char *before, cal_buffer *body, cal_error *err) {
  cal_json *value;
  cal_status status = parse(text, field, who, &value, err);
  if (status) return status;
  cal_buffer_add_text(body, before);
  status = cal_json_write(value, 0, body, err);
  cal_json_free(value);
  return status;
}

cal_status cal_ask_path(const char *name, const char *who, bool slashes, cal_buffer *path, cal_error *err) {
  const char *step = name;
  for (const char *p = name ? name : "";; p++) {
    if (*p && !(*p == '/' && slashes)) continue;
    size_t length = (size_t)(p - (name ? step : p));
    if (!length || (length <= 2 && !strncmp(step, "..", length)))
      return cal_fail(err, CAL_E_ARG, "%s: model: a name such as \"gemini-3.8-flash\" or \"owner/name\" is expected", who);
    if (!*p) break;
    step = p + 1;
  }
  for (const char *p = name; *p; p++) {
    if (isalnum((unsigned char)*p) || strchr("-._~", *p) || (*p == '/' && slashes)) cal_buffer_add_byte(path, *p);
    else cal_buffer_printf(path, "%%%02X", (unsigned char)*p);
  }
  return CAL_OK;
}

cal_status cal_ask_done(const cal_buffer *path, const cal_buffer *body, const char *who, cal_error *err) {
  return path->failed || body->failed ? cal_fail(err, CAL_E_MEMORY, "%s: not enough memory for the request", who) : CAL_OK;
}
