/* caption.c - captions and what they cost: both are only ever added, and what belongs together is added as one. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/store/parts.h"

/* ---- numbers that may be unknown ---- */

static void bind_real(sqlite3_stmt *st, int i, double value) {
  if (value >= 0) sqlite3_bind_double(st, i, value); /* NULL otherwise: unbound */
}

static void bind_count(sqlite3_stmt *st, int i, int64_t value) {
  if (value >= 0) sqlite3_bind_int64(st, i, value);
}

static void bind_id(sqlite3_stmt *st, int i, int64_t value) {
  if (value > 0) sqlite3_bind_int64(st, i, value);
}

static void bind_usage(sqlite3_stmt *st, int i, const cal_usage *usage) {
  bind_real(st, i, usage->cost);
  bind_real(st, i + 1, usage->seconds);
  bind_count(st, i + 2, usage->tokens_in);
  bind_count(st, i + 3, usage->tokens_out);
}

static cal_usage take_usage(sqlite3_stmt *st, int i) {
  double numbers[4];
  for (int k = 0; k < 4; k++) numbers[k] = sqlite3_column_type(st, i + k) == SQLITE_NULL ? -1 : sqlite3_column_double(st, i + k);
  return (cal_usage){numbers[0], numbers[1], (int64_t)numbers[2], (int64_t)numbers[3]};
}

static cal_status check_usage(const cal_usage *usage, cal_error *err) {
  if (isfinite(usage->cost) && isfinite(usage->seconds)) return CAL_OK;
  return cal_fail(err, CAL_E_ARG, "store: what a caption cost is no number");
}

/* ---- captions ---- */

static const size_t caption_texts[] = {offsetof(cal_caption, sha),    offsetof(cal_caption, key),      offsetof(cal_caption, text),
                                       offsetof(cal_caption, author), offsetof(cal_caption, provider), offsetof(cal_caption, model),
                                       offsetof(cal_caption, detail), offsetof(cal_caption, time),     offsetof(cal_caption, prompt)};

static void caption_numbers(sqlite3_stmt *st, int i, void *row) {
  cal_caption *c = row;
  c->usage = take_usage(st, i);
  c->restores = sqlite3_column_int64(st, i + 4);
  c->aside = sqlite3_column_int(st, i + 5) != 0;
  c->in_force = sqlite3_column_int(st, i + 6) != 0;
}

static const cal_row_kind caption_kind = {sizeof(cal_caption), caption_texts, sizeof caption_texts / sizeof *caption_texts,
                                          caption_numbers};

void cal_captions_free(cal_caption *list, size_t count) { cal_store_free_rows(list, count, &caption_kind); }

static cal_status check_caption(const cal_caption *c, cal_error *err) {
  if (!cal_sha256_name(c->sha)) return cal_fail(err, CAL_E_ARG, "store: \"%.80s\" is not a sha256", c->sha);
  if (strcmp(c->author, "human") && strcmp(c->author, "model"))
    return cal_fail(err, CAL_E_ARG, "store: the author of a caption is \"human\" or \"model\", not \"%.80s\"", c->author);
  size_t at;
  if (!cal_utf8_valid(c->text, strlen(c->text), &at)) return cal_fail(err, CAL_E_ARG, "store: byte %zu of a caption is not UTF-8", at + 1);
  return check_usage(&c->usage, err);
}

static cal_status insert_caption(cal_store *s, const cal_caption *c, int64_t *id, cal_error *err) {
  char now[CAL_DATE];
  cal_date(now);
  sqlite3_stmt *st = cal_store_with(
      s, CAPTION_ADD, 9, (const char *const[]){c->sha, c->key, c->text, c->author, c->provider, c->model, c->detail, now, c->prompt});
  bind_usage(st, 10, &c->usage);
  bind_id(st, 14, c->restores);
  sqlite3_bind_int(st, 15, c->aside);
  bind_id(st, 16, s->run);
  cal_status status = cal_store_finish(s, st, err);
  if (!status) *id = sqlite3_last_insert_rowid(s->db);
  return status;
}

static cal_status put_in_force(cal_store *s, int64_t id, cal_error *err) {
  sqlite3_stmt *st = s->ready[CAPTION_USE];
  sqlite3_bind_int64(st, 1, id);
  return cal_store_finish(s, st, err);
}

static cal_status insert_spend(cal_store *s, const cal_spend *spend, int64_t *id, cal_error *err) {
  char now[CAL_DATE];
  cal_date(now);
  sqlite3_stmt *st =
      cal_store_with(s, SPEND_ADD, 6, (const char *const[]){spend->provider, spend->model, spend->sha, spend->batch, spend->why, now});
  bind_usage(st, 7, &spend->usage);
  bind_id(st, 11, spend->caption);
  bind_id(st, 12, s->run);
  cal_status status = cal_store_finish(s, st, err);
  if (!status) *id = sqlite3_last_insert_rowid(s->db);
  return status;
}

cal_status cal_store_add_paid_caption(cal_store *s, const cal_caption *c, const cal_spend *paid, int64_t *id, cal_error *err) {
  cal_status status = check_caption(c, err);
  if (!status && paid && !c->provider) status = cal_fail(err, CAL_E_ARG, "store: a caption that was paid has a provider");
  if (!status) status = cal_store_open_change(s, err);
  if (status) return status;
  status = insert_caption(s, c, id, err);
  if (!status && !c->aside) status = put_in_force(s, *id, err);
  if (!status && paid) {
    cal_spend spend = *paid;
    int64_t unused;
    spend.provider = c->provider, spend.model = c->model, spend.sha = c->sha, spend.usage = c->usage, spend.caption = *id;
    status = insert_spend(s, &spend, &unused, err);
  }
  return cal_store_close_change(s, status, err);
}

cal_status cal_store_add_caption(cal_store *s, const cal_caption *c, int64_t *id, cal_error *err) {
  return cal_store_add_paid_caption(s, c, NULL, id, err);
}

static cal_status captions(cal_store *s, sqlite3_stmt *st, cal_caption **list, size_t *count, cal_error *err) {
  void *rows;
  cal_status status = cal_store_rows(s, st, &caption_kind, &rows, count, err);
  *list = rows;
  return status;
}

cal_status cal_store_captions(cal_store *s, const char *sha, const char *key, cal_caption **list, size_t *count, cal_error *err) {
  return captions(s, cal_store_with(s, key ? CAPTION_LAST : CAPTION_ALL, key ? 2 : 1, (const char *const[]){sha, key}), list, count, err);
}

cal_status cal_store_caption_in_force(cal_store *s, const char *sha, cal_caption **list, size_t *count, cal_error *err) {
  return captions(s, cal_store_with(s, CAPTION_IN_FORCE, 1, (const char *const[]){sha}), list, count, err);
}

cal_status cal_store_texts(cal_store *s, cal_caption **list, size_t *count, cal_error *err) {
  return captions(s, s->ready[CAPTION_TEXTS], list, count, err);
}

cal_status cal_store_use_caption(cal_store *s, int64_t id, cal_error *err) {
  cal_status status = put_in_force(s, id, err);
  if (!status && !sqlite3_changes(s->db)) return cal_fail(err, CAL_E_NOTFOUND, "store: there is no caption %lld", (long long)id);
  return status;
}

cal_status cal_store_find_pictures(cal_store *s, const char *prefix, int limit, cal_caption **list, size_t *count, cal_error *err) {
  static const size_t texts[] = {offsetof(cal_caption, sha)};
  static const cal_row_kind kind = {sizeof(cal_caption), texts, 1, NULL};
  char from[CAL_SHA256_HEX], to[CAL_SHA256_HEX + 1];
  snprintf(from, sizeof from, "%s", prefix);
  snprintf(to, sizeof to, "%sg", from); /* after every digit */
  sqlite3_stmt *st = cal_store_with(s, PICTURE_FIND, 2, (const char *const[]){from, to});
  sqlite3_bind_int(st, 3, limit);
  void *rows;
  cal_status status = cal_store_rows(s, st, &kind, &rows, count, err);
  *list = rows;
  return status;
}

/* ---- spending ---- */

static const size_t spend_texts[] = {offsetof(cal_spend, provider), offsetof(cal_spend, model), offsetof(cal_spend, sha),
                                     offsetof(cal_spend, batch),    offsetof(cal_spend, why),   offsetof(cal_spend, time)};

static void spend_numbers(sqlite3_stmt *st, int i, void *row) {
  cal_spend *spend = row;
  spend->usage = take_usage(st, i);
  spend->caption = sqlite3_column_int64(st, i + 4);
}

static const cal_row_kind spend_kind = {sizeof(cal_spend), spend_texts, sizeof spend_texts / sizeof *spend_texts, spend_numbers};

void cal_spends_free(cal_spend *list, size_t count) { cal_store_free_rows(list, count, &spend_kind); }

cal_status cal_store_add_spend(cal_store *s, const cal_spend *spend, int64_t *id, cal_error *err) {
  if (spend->sha && !cal_sha256_name(spend->sha)) return cal_fail(err, CAL_E_ARG, "store: \"%.80s\" is not a sha256", spend->sha);
  cal_status status = check_usage(&spend->usage, err);
  if (!status) status = cal_store_open_change(s, err);
  return status ? status : cal_store_close_change(s, insert_spend(s, spend, id, err), err);
}

cal_status cal_store_spends(cal_store *s, const char *sha, cal_spend **list, size_t *count, cal_error *err) {
  void *rows;
  cal_status status = cal_store_rows(s, cal_store_with(s, SPEND_OF, 1, (const char *const[]){sha}), &spend_kind, &rows, count, err);
  *list = rows;
  return status;
}

cal_status cal_store_spent(cal_store *s, const char *provider, const char *since, int64_t run, cal_spent *sum, cal_error *err) {
  sqlite3_stmt *st = cal_store_with(s, SPEND_SUM, 2, (const char *const[]){provider, since});
  sqlite3_bind_int64(st, 3, run);
  int code = sqlite3_step(st);
  cal_status status = code == SQLITE_ROW ? CAL_OK : cal_store_fail(s, code, err);
  if (!status)
    *sum = (cal_spent){sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 0) - sqlite3_column_int64(st, 1), sqlite3_column_double(st, 2),
                       sqlite3_column_double(st, 3), sqlite3_column_double(st, 4)};
  cal_store_done(st);
  return status;
}
