/* parts.h - what the files of the store share: its database, its prepared statements, rows as lists. Not for others.
 *
 *   static const size_t texts[] = {offsetof(cal_run, recipe), offsetof(cal_run, params)};
 *   static const cal_row_kind kind = {sizeof(cal_run), texts, 2, NULL};
 *   cal_error err = {0};
 *   cal_store *s = cal_store_open(".calotype", NULL, &err);
 *   void *list;
 *   size_t count;
 *   if (s && !cal_store_rows(s, cal_store_with(s, CAPTION_ALL, 1, (const char *const[]){"ba78..."}), &kind, &list, &count, &err))
 *     cal_store_free_rows(list, count, &kind);
 *   cal_store_close(s);
 *
 * uses: base
 */
#ifndef CAL_STORE_PARTS_H
#define CAL_STORE_PARTS_H

#include <sqlite3.h>
#include <sys/types.h>

#include "core/store/store.h"

enum {
  GET,
  PUT,
  FILE_GET,
  FILE_PUT,
  CAPTION_ADD,
  CAPTION_ALL,
  CAPTION_LAST,
  CAPTION_IN_FORCE,
  CAPTION_TEXTS,
  CAPTION_USE,
  PICTURE_FIND,
  SPEND_ADD,
  SPEND_OF,
  SPEND_SUM,
  RUN_START,
  RUN_END,
  RUN_LIST,
  MARK_ADD,
  MARK_LIST,
  DRAFT_PUT,
  DRAFT_DROP,
  DRAFT_LIST,
  ACTION_ADD,
  ACTION_UNDO,
  ACTION_DROP,
  ACTION_LIST,
  STATEMENTS
};

struct cal_store {
  sqlite3 *db;
  sqlite3_stmt *ready[STATEMENTS];
  cal_fs *fs;
  char *folder, *path; /* absolute; path: of the database */
  dev_t device;        /* and inode: of the database, as it was opened */
  ino_t inode;
  double busy_seconds, waiting_since;
  int64_t run; /* that was started through this store and is not finished; 0: none */
  bool batch;
  int lock, locks;     /* the folder held, and how often; looked at while locks > 0 */
  int seat, seat_lock; /* seat 0: none was taken */
};

cal_status cal_store_fail(const cal_store *s, int code, cal_error *err); /* SQLite's code as ours, with the path and what to do */
cal_status cal_store_sql(cal_store *s, const char *text, cal_error *err);

/* A prepared statement with its first parameters bound; NULL binds NULL. Texts must live until it is done. */
sqlite3_stmt *cal_store_with(cal_store *s, int which, int count, const char *const texts[]);
cal_status cal_store_finish(cal_store *s, sqlite3_stmt *st, cal_error *err); /* step one that changes something, and done */
void cal_store_done(sqlite3_stmt *st);

/* Several changes as one that is on the disk when `close` returns CAL_OK, also after a power cut: what cost money, what a person did.
 * `status`: how they went; unless CAL_OK, none of them stays. Inside a batch it is the batch that counts. */
cal_status cal_store_open_change(cal_store *s, cal_error *err);
cal_status cal_store_close_change(cal_store *s, cal_status status, cal_error *err);

/* Rows are all read the same way: an id, which stands first in the struct, then `count` columns into the char pointers at
 * `texts`; from the next column on `numbers` takes what is none. */
typedef struct {
  size_t size;
  const size_t *texts;
  int count;
  void (*numbers)(sqlite3_stmt *st, int column, void *row);
} cal_row_kind;

cal_status cal_store_rows(cal_store *s, sqlite3_stmt *st, const cal_row_kind *kind, void **list, size_t *count,
                          cal_error *err); /* NULL, 0 on failure */
void cal_store_free_rows(void *list, size_t count, const cal_row_kind *kind);

#endif
