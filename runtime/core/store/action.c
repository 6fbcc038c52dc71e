/* action.c - what a person did, in order, so that it can be undone and done again also after a restart. */
#include <stddef.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/store/parts.h"

/* The column `undone`. */
enum { DONE, UNDONE, DROPPED };

static void numbers(sqlite3_stmt *st, int i, void *row) {
  cal_action *a = row;
  const int undone = sqlite3_column_int(st, i);
  a->undone = undone != DONE;
  a->dropped = undone == DROPPED;
}

static const size_t texts[] = {offsetof(cal_action, place), offsetof(cal_action, title), offsetof(cal_action, detail),
                               offsetof(cal_action, time)};
static const cal_row_kind kind = {sizeof(cal_action), texts, sizeof texts / sizeof *texts, numbers};

void cal_actions_free(cal_action *list, size_t count) { cal_store_free_rows(list, count, &kind); }

cal_status cal_store_add_action(cal_store *s, const cal_action *a, int64_t *id, cal_error *err) {
  const char *all[] = {a->place, a->title, a->detail};
  for (int i = 0; i < 3; i++) {
    size_t at;
    if (!cal_utf8_valid(all[i], strlen(all[i]), &at)) return cal_fail(err, CAL_E_ARG, "store: byte %zu of an action is not UTF-8", at + 1);
  }
  cal_status status = cal_store_open_change(s, err);
  if (status) return status;
  char now[CAL_DATE];
  cal_date(now);
  status = cal_store_finish(s, cal_store_with(s, ACTION_ADD, 4, (const char *const[]){a->place, a->title, a->detail, now}), err);
  if (!status) *id = sqlite3_last_insert_rowid(s->db);
  return cal_store_close_change(s, status, err);
}

cal_status cal_store_undo_action(cal_store *s, int64_t id, bool undone, cal_error *err) {
  cal_status status = cal_store_open_change(s, err);
  if (status) return status;
  sqlite3_stmt *st = s->ready[ACTION_UNDO];
  sqlite3_bind_int64(st, 1, id);
  sqlite3_bind_int(st, 2, undone ? UNDONE : DONE);
  status = cal_store_finish(s, st, err);
  if (!status && !sqlite3_changes(s->db))
    status = cal_fail(err, CAL_E_NOTFOUND, "store: there is no action %lld that can be undone or done again", (long long)id);
  return cal_store_close_change(s, status, err);
}

cal_status cal_store_drop_undone(cal_store *s, const char *place, int *count, cal_error *err) {
  cal_status status = cal_store_open_change(s, err);
  if (status) return status;
  status = cal_store_finish(s, cal_store_with(s, ACTION_DROP, 1, (const char *const[]){place}), err);
  if (!status) *count = sqlite3_changes(s->db);
  return cal_store_close_change(s, status, err);
}

cal_status cal_store_actions(cal_store *s, const char *place, int limit, cal_action **list, size_t *count, cal_error *err) {
  sqlite3_stmt *st = cal_store_with(s, ACTION_LIST, 1, (const char *const[]){place});
  sqlite3_bind_int(st, 2, limit);
  void *rows;
  cal_status status = cal_store_rows(s, st, &kind, &rows, count, err);
  *list = rows;
  return status;
}
