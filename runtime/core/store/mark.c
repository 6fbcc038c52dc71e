/* mark.c - what people say of a picture: marks that count, and what is being typed. */
#include <stddef.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/store/parts.h"

static const size_t texts[] = {offsetof(cal_note, sha), offsetof(cal_note, text)};
static const cal_row_kind note_kind = {sizeof(cal_note), texts, sizeof texts / sizeof *texts, NULL};

void cal_notes_free(cal_note *list, size_t count) { cal_store_free_rows(list, count, &note_kind); }

static cal_status notes(cal_store *s, sqlite3_stmt *st, cal_note **list, size_t *count, cal_error *err) {
  void *rows;
  cal_status status = cal_store_rows(s, st, &note_kind, &rows, count, err);
  *list = rows;
  return status;
}

static cal_status check(const char *sha, const char *what, const char *text, cal_error *err) {
  size_t at;
  if (!cal_sha256_name(sha)) return cal_fail(err, CAL_E_ARG, "store: \"%.80s\" is not a sha256", sha);
  if (text && !cal_utf8_valid(text, strlen(text), &at))
    return cal_fail(err, CAL_E_ARG, "store: byte %zu of a %s is not UTF-8", at + 1, what);
  return CAL_OK;
}

static cal_status check_kind(const char *kind, cal_error *err) {
  if (!strcmp(kind, "star") || !strcmp(kind, "reject")) return CAL_OK;
  return cal_fail(err, CAL_E_ARG, "store: a mark is \"star\" or \"reject\", not \"%.80s\"", kind);
}

cal_status cal_store_mark(cal_store *s, const char *sha, const char *kind, const char *value, cal_error *err) {
  cal_status status = check(sha, "mark", value, err);
  if (!status) status = check_kind(kind, err);
  if (!status && value && !strcmp(kind, "star") && (value[0] < '1' || value[0] > '5' || value[1]))
    status = cal_fail(err, CAL_E_ARG, "store: stars are \"1\" to \"5\", not \"%.80s\"", value);
  if (!status) status = cal_store_open_change(s, err);
  if (status) return status;
  char now[CAL_DATE];
  cal_date(now);
  status = cal_store_finish(s, cal_store_with(s, MARK_ADD, 4, (const char *const[]){sha, kind, value, now}), err);
  return cal_store_close_change(s, status, err);
}

cal_status cal_store_marks(cal_store *s, const char *kind, cal_note **list, size_t *count, cal_error *err) {
  *list = NULL;
  *count = 0;
  cal_status status = check_kind(kind, err);
  return status ? status : notes(s, cal_store_with(s, MARK_LIST, 1, (const char *const[]){kind}), list, count, err);
}

cal_status cal_store_draft(cal_store *s, const char *sha, int seat, const char *text, cal_error *err) {
  cal_status status = check(sha, "draft", text, err);
  if (status) return status;
  char now[CAL_DATE];
  cal_date(now);
  sqlite3_stmt *st = cal_store_with(s, text ? DRAFT_PUT : DRAFT_DROP, text ? 3 : 1, (const char *const[]){sha, text, now});
  sqlite3_bind_int(st, text ? 4 : 2, seat);
  return cal_store_finish(s, st, err);
}

cal_status cal_store_drafts(cal_store *s, cal_note **list, size_t *count, cal_error *err) {
  return notes(s, s->ready[DRAFT_LIST], list, count, err);
}
