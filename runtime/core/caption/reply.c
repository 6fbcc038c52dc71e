#include "core/caption/reply.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void cal_reply_begin(cal_wire_answer *answer) {
  *answer = (cal_wire_answer){.verdict = CAL_WIRE_EMPTY, .tokens_in = -1, .tokens_out = -1, .tokens_thought = -1, .wait_seconds = -1};
}

/* ---- JSON ---- */

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* A comma that another comma or a closing bracket follows says nothing. */
static bool without_commas(const char *text, size_t size, cal_buffer *out) {
  bool changed = false, quoted = false;
  for (size_t i = 0; i < size; i++) {
    if (quoted && text[i] == '\\' && i + 1 < size) {
      cal_buffer_add(out, text + i++, 2);
      continue;
    }
    if (text[i] == '"') quoted = !quoted;
    size_t next = i + 1;
    if (!quoted && text[i] == ',') {
      while (next < size && is_space(text[next])) next++;
      if (next < size && strchr(",]}", text[next]) && text[next]) {
        changed = true;
        continue;
      }
    }
    cal_buffer_add_byte(out, text[i]);
  }
  return changed && !out->failed;
}

cal_json *cal_reply_parse(const void *body, size_t size, cal_error *err) {
  cal_error own = {0};
  if (!err) err = &own;
  cal_json *tree = cal_json_parse(body, size, err);
  if (tree || err->code == CAL_E_MEMORY || size > CAL_WIRE_REPLY_MOST) return tree;
  cal_buffer repaired = {0};
  cal_error second = {0};
  if (without_commas(body, size, &repaired)) tree = cal_json_parse(repaired.data, repaired.size, &second);
  if (repaired.failed || second.code == CAL_E_MEMORY) cal_fail(err, CAL_E_MEMORY, "a reply: not enough memory");
  cal_buffer_free(&repaired);
  return tree;
}

int64_t cal_reply_count(const cal_json *object, const char *key) {
  const cal_json *value = cal_json_find(object, key);
  const char *text = cal_json_text(value);
  char *end = NULL;
  double n = text ? strtod(text, &end) : cal_json_number(value);
  if (text && (end == text || *end)) return -1;
  return n >= 0 && n <= 0x1p53 && n == floor(n) ? (int64_t)n : -1;
}

/* ---- words ---- */

/* Cut back to a whole character. */
static size_t cut_at(const char *text, size_t size) {
  while (size && ((unsigned char)text[size] & 0xc0) == 0x80) size--;
  return size;
}

void cal_reply_say(cal_wire_answer *answer, cal_wire_verdict verdict, const char *format, ...) {
  char text[2 * sizeof answer->why];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  size_t size = strlen(text);
  if (size >= sizeof answer->why) size = cut_at(text, sizeof answer->why - 1);
  memcpy(answer->why, text, size);
  answer->why[size] = 0;
  answer->verdict = verdict;
}

const char *cal_reply_quote(const char *text, size_t size, size_t most, char *out) {
  cal_buffer shown = {0};
  size_t from = 0;
  while (from < size && (is_space(text[from]) || !text[from])) from++;
  if (size - from > 4 * most) size = from + 4 * most;
  cal_buffer_add_printable(&shown, text + from, size - from);
  size_t n = 0;
  bool gap = false;
  for (size_t i = 0; i < shown.size && n < most; i++) {
    if (is_space(shown.data[i])) {
      gap = n > 0;
      continue;
    }
    if (gap && n + 1 < most) out[n++] = ' ';
    gap = false;
    out[n++] = shown.data[i];
  }
  out[n] = 0;
  if (n == most) { /* perhaps in the middle of a character */
    size_t whole = 0;
    while (whole < n) {
      size_t at = whole;
      if (cal_utf8_next(out, n, &at) < 0) break;
      whole = at;
    }
    memcpy(out + whole, "...", 4);
  }
  cal_buffer_free(&shown);
  return out;
}

void cal_reply_name(const char *text, char *out, size_t room) {
  size_t n = 0;
  for (const char *p = text ? text : ""; *p && n + 1 < room; p++)
    if (*p > ' ' && *p < 127) out[n++] = *p;
  out[n] = 0;
}

bool cal_reply_has(const char *text, const char *words) { return text && strcasestr(text, words); }

/* One number with its unit; moves *at. */
static double one_duration(const char **at) {
  static const struct {
    const char *name;
    double seconds;
  } units[] = {{"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};
  double value = 0, place = 0;
  const char *p = *at;
  if (*p < '0' || *p > '9') return -1;
  for (; (*p >= '0' && *p <= '9') || (*p == '.' && !place); p++) { /* strtod would read "1e5", "0x1", and by the locale */
    if (*p == '.') place = 1;
    else if (place) place /= 10, value += place * (*p - '0');
    else value = value * 10 + (*p - '0');
  }
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    size_t length = strlen(units[i].name);
    if (strncmp(p, units[i].name, length) != 0) continue;
    *at = p + length;
    return value * units[i].seconds;
  }
  return -1;
}

double cal_reply_seconds(const char *text) {
  if (!text) return -1;
  double total = one_duration(&text), more;
  while (total >= 0 && (more = one_duration(&text)) >= 0) total += more;
  return total > 1e9 ? 1e9 : total;
}

double cal_reply_seconds_after(const char *text, const char *words) {
  const char *found = text ? strcasestr(text, words) : NULL;
  return found ? cal_reply_seconds(found + strlen(words)) : -1;
}

/* ---- what a status says ---- */

/* `says` is empty or " (...)". */
static void fault(cal_wire_answer *answer, const char *who, int status, const char *says) {
  if (status >= 300 && status < 400)
    cal_reply_say(answer, CAL_WIRE_STOP, "%s sends on to another address (%d)%s; name that address as the base URL", who, status, says);
  else if (status == 401)
    cal_reply_say(answer, CAL_WIRE_STOP,
                  "%s does not accept the key (401)%s; look at the key in the environment or .env, or make a new one", who, says);
  else if (status == 402) cal_reply_say(answer, CAL_WIRE_STOP, "%s wants to be paid (402)%s; look at the account's credit", who, says);
  else if (status == 403)
    cal_reply_say(answer, CAL_WIRE_STOP, "%s does not let this key do that (403)%s; look at what the key may do, or make a new one", who,
                  says);
  else if (status == 404 || status == 410)
    cal_reply_say(answer, CAL_WIRE_OTHER_MODEL, "%s does not have this model (%d)%s; name another one", who, status, says);
  else if (status == 413)
    cal_reply_say(answer, CAL_WIRE_REFUSED, "%s finds the request too large (413)%s; send a smaller picture", who, says);
  else if (status == 429) cal_reply_say(answer, CAL_WIRE_AGAIN, "%s takes no more requests for now (429)%s", who, says);
  else if (status == 503) cal_reply_say(answer, CAL_WIRE_AGAIN, "%s is overloaded or not ready (503)%s; try again later", who, says);
  else if (status == 408 || status == 504) cal_reply_say(answer, CAL_WIRE_AGAIN, "%s took too long (%d)%s; try again", who, status, says);
  else if (status == 409 || status == 425 || status == 499 || (status >= 500 && status != 501))
    cal_reply_say(answer, CAL_WIRE_AGAIN, "%s failed (%d)%s; try again", who, status, says);
  else if (status >= 400) cal_reply_say(answer, CAL_WIRE_REFUSED, "%s does not take this request (%d)%s", who, status, says);
  else cal_reply_say(answer, CAL_WIRE_EMPTY, "%s gave no answer (%d)%s", who, status, says);
}

void cal_reply_fault(cal_wire_answer *answer, const char *who, int status, const char *message) {
  char says[224] = "", quoted[204];
  if (message && *message) snprintf(says, sizeof says, " (\"%s\")", cal_reply_quote(message, strlen(message), 200, quoted));
  if (status == 400 && cal_reply_has(message, "API key")) status = 401; /* Google says so, also where it speaks as OpenAI does */
  fault(answer, who, status, says);
}

/* The words of an HTML page's title. */
static const char *title_of(const char *body, size_t size, char *out) {
  size_t most = size < 4096 ? size : 4096;
  for (size_t i = 0; i + 7 <= most; i++) {
    if (strncasecmp(body + i, "<title>", 7) != 0) continue;
    size_t from = i + 7, to = from;
    while (to < most && body[to] != '<') to++;
    return cal_reply_quote(body + from, to - from, 80, out);
  }
  return NULL;
}

void cal_reply_no_json(cal_wire_answer *answer, const char *who, int status, const char *content_type, const void *bytes, size_t size,
                       const char *reason) {
  const char *body = bytes;
  char quoted[204], why[320], says[330];
  size_t at = 0;
  while (at < size && is_space(body[at])) at++;
  if ((at < size && body[at] == '<') || cal_reply_has(content_type, "html")) {
    const char *title = title_of(body, size, quoted);
    snprintf(why, sizeof why, "a web page%s%s instead of JSON: a proxy, a login page, or the wrong base URL", title ? " titled " : "",
             title ? title : "");
  } else if (at == size) {
    snprintf(why, sizeof why, "an empty reply");
  } else if (body[at] == '{' || body[at] == '[') {
    snprintf(why, sizeof why, "broken JSON: %.200s", !strncmp(reason, "json: ", 6) ? reason + 6 : reason);
  } else {
    snprintf(why, sizeof why, "no JSON: %s", cal_reply_quote(body, size, 120, quoted));
  }
  snprintf(says, sizeof says, " (%s)", why);
  if (status < 300) /* a page for people is nobody's answer to a question, and the next one would be no other */
    cal_reply_say(answer, at < size && body[at] == '<' ? CAL_WIRE_REFUSED : CAL_WIRE_EMPTY, "%s answered with %s", who, why);
  else if (status < 400) fault(answer, who, status, "");
  else if (status == 404 || status == 410) /* models that are not there are told in JSON */
    cal_reply_say(answer, CAL_WIRE_STOP, "%s: there is nothing at this address (%d: %s); look at the base URL", who, status, why);
  else fault(answer, who, status, says);
}

/* ---- the answer's text ---- */

static void trim(const char **text, size_t *size) {
  while (*size && is_space((*text)[0])) ++*text, --*size;
  while (*size && is_space((*text)[*size - 1])) --*size;
}

static const char *find_fence(const char *text, size_t size) { return size < 3 ? NULL : memmem(text, size, "```", 3); }

/* The inside of the one ``` fence of a text, when it is all there is, or when it holds JSON. */
static void unfence(const char **text, size_t *size) {
  const char *open = find_fence(*text, *size), *end = *text + *size;
  if (!open) return;
  const char *inside = memchr(open, '\n', (size_t)(end - open));
  const char *close = find_fence(open + 3, (size_t)(end - open - 3));
  if (!close) return;
  if (!inside || inside > close) inside = open + 2; /* all on one line: ```text``` */
  inside++;
  if (find_fence(close + 3, (size_t)(end - close - 3))) return; /* several: leave them */
  const char *body = inside;
  size_t length = (size_t)(close - inside);
  trim(&body, &length);
  bool all = open == *text && close + 3 == end, json = length && (*body == '{' || *body == '[');
  if (!all && !json) return;
  if (!all) {
    cal_json *value = cal_json_parse(body, length, NULL);
    if (!value) return;
    cal_json_free(value);
  }
  *text = body;
  *size = length;
}

/* Controls, halves of nothing, and what turns the direction of writing around for all that follows. */
static bool hidden(int32_t c) {
  return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
         c == 0xfeff;
}

bool cal_reply_text(cal_wire_answer *answer, const char *text, size_t size) {
  trim(&text, &size);
  unfence(&text, &size);
  if (size > CAL_WIRE_CAPTION_MOST) return false;
  cal_buffer *out = &answer->text;
  for (size_t i = 0; i < size;) {
    const size_t from = i;
    const int32_t c = cal_utf8_next(text, size, &i);
    if (c == 0x1b && i < size && text[i] == '[') { /* a terminal's colours: up to the letter that ends them */
      for (i++; i < size && !(text[i] >= 0x40 && text[i] <= 0x7e);) i++;
      if (i < size) i++;
    } else if (c == '\r') {
      if (i == size || text[i] != '\n') cal_buffer_add_byte(out, '\n');
    } else if (!hidden(c)) {
      cal_buffer_add(out, text + from, i - from);
    }
  }
  const char *left = out->data;
  size_t rest = out->size;
  if (left) trim(&left, &rest);
  if (!rest) {
    cal_buffer_free(out);
    return false;
  }
  memmove(out->data, left, rest);
  out->size = rest;
  out->data[rest] = 0;
  return true;
}
