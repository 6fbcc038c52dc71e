#include "core/store/store.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/interrupt.h"
#include "core/store/parts.h"

enum {
  APPLICATION = 0x43616c6f, /* "Calo", in the database's header */
};

/* Entry i takes the schema from version i to i+1. Never change one that was released: add one. */
static const char *const migrations[] = {
    "CREATE TABLE files (device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,"
    "  sha256 TEXT NOT NULL, PRIMARY KEY (device, inode)) WITHOUT ROWID;"
    "CREATE TABLE results (kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key));"
    "CREATE TABLE captions (id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL,"
    "  author TEXT NOT NULL CHECK (author IN ('human', 'model')), provider TEXT, model TEXT, detail TEXT, time TEXT NOT NULL);"
    "CREATE INDEX captions_of_picture ON captions (sha256, key, id);"
    "CREATE TRIGGER captions_stay BEFORE DELETE ON captions BEGIN SELECT RAISE(ABORT, 'captions are only added'); END;"
    "CREATE TRIGGER captions_stand BEFORE UPDATE ON captions BEGIN SELECT RAISE(ABORT, 'captions are only added'); END;"
    "CREATE TABLE runs (id INTEGER PRIMARY KEY AUTOINCREMENT, recipe TEXT NOT NULL, params TEXT NOT NULL, started TEXT NOT NULL,"
    "  finished TEXT, status TEXT, detail TEXT);",
    /* 2: what captions cost, undo, comparisons; which text of a picture is in force; everything that was paid. */
    "ALTER TABLE captions ADD COLUMN prompt TEXT;"
    "ALTER TABLE captions ADD COLUMN cost REAL CHECK (cost >= 0);"
    "ALTER TABLE captions ADD COLUMN seconds REAL;"
    "ALTER TABLE captions ADD COLUMN tokens_in INTEGER;"
    "ALTER TABLE captions ADD COLUMN tokens_out INTEGER;"
    "ALTER TABLE captions ADD COLUMN restores INTEGER;"
    "ALTER TABLE captions ADD COLUMN aside INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE captions ADD COLUMN run INTEGER;"
    "CREATE TABLE in_force (sha256 TEXT PRIMARY KEY, caption INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO in_force SELECT sha256, max(id) FROM captions GROUP BY sha256;"
    "CREATE TABLE spend (id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, provider TEXT NOT NULL, model TEXT,"
    "  cost REAL CHECK (cost >= 0), seconds REAL, tokens_in INTEGER, tokens_out INTEGER, sha256 TEXT, caption INTEGER, batch TEXT, why "
    "TEXT,"
    "  run INTEGER);"
    "CREATE INDEX spend_of_picture ON spend (sha256, id);"
    "CREATE TRIGGER spend_stays BEFORE DELETE ON spend BEGIN SELECT RAISE(ABORT, 'spending is only added'); END;"
    "CREATE TRIGGER spend_stands BEFORE UPDATE ON spend BEGIN SELECT RAISE(ABORT, 'spending is only added'); END;",
    /* 3: what a person does in the window: marks, what is being typed, actions that can be undone. */
    "CREATE TABLE marks (id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL, kind TEXT NOT NULL, value TEXT, time TEXT NOT NULL);"
    "CREATE INDEX marks_of_kind ON marks (kind, sha256, id);"
    "CREATE TRIGGER marks_stay BEFORE DELETE ON marks BEGIN SELECT RAISE(ABORT, 'marks are only added'); END;"
    "CREATE TRIGGER marks_stand BEFORE UPDATE ON marks BEGIN SELECT RAISE(ABORT, 'marks are only added'); END;"
    "CREATE TABLE drafts (sha256 TEXT PRIMARY KEY, text TEXT NOT NULL, time TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE actions (id INTEGER PRIMARY KEY AUTOINCREMENT, place TEXT NOT NULL, title TEXT NOT NULL, detail TEXT NOT NULL,"
    "  time TEXT NOT NULL, undone INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX actions_of_place ON actions (place, id);"
    "CREATE TRIGGER actions_stay BEFORE DELETE ON actions BEGIN SELECT RAISE(ABORT, 'actions are only added'); END;"
    "CREATE TRIGGER actions_stand BEFORE UPDATE OF id, place, title, detail, time ON actions"
    "  BEGIN SELECT RAISE(ABORT, 'actions are only added'); END;",
    /* 4: two windows may type at the same time, each has its own drafts. */
    "CREATE TABLE drafts_of_seats (sha256 TEXT NOT NULL, seat INTEGER NOT NULL, text TEXT NOT NULL, time TEXT NOT NULL,"
    "  PRIMARY KEY (sha256, seat)) WITHOUT ROWID;"
    "INSERT INTO drafts_of_seats SELECT sha256, 0, text, time FROM drafts;"
    "DROP TABLE drafts;"
    "ALTER TABLE drafts_of_seats RENAME TO drafts;",
};
enum { SCHEMA = sizeof migrations / sizeof *migrations };

#define CAPTION_COLUMNS                                                                                                                  \
  "SELECT id, sha256, key, text, author, provider, model, detail, time, prompt, cost, seconds, tokens_in, tokens_out, restores, aside, " \
  "id = (SELECT caption FROM in_force WHERE in_force.sha256 = captions.sha256) FROM captions "

static const char *const sql[STATEMENTS] = {
    [GET] = "SELECT value FROM results WHERE kind = ? AND key = ?",
    [PUT] = "INSERT INTO results (kind, key, value) VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
    [FILE_GET] = "SELECT sha256 FROM files WHERE device = ? AND inode = ? AND size = ? AND mtime_ns = ?",
    [FILE_PUT] = "REPLACE INTO files (device, inode, size, mtime_ns, sha256) VALUES (?, ?, ?, ?, ?)",
    [CAPTION_ADD] =
        "INSERT INTO captions (sha256, key, text, author, provider, model, detail, time, prompt, cost, seconds, tokens_in, tokens_out, "
        "restores, aside, run) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [CAPTION_ALL] = CAPTION_COLUMNS "WHERE sha256 = ? ORDER BY id",
    [CAPTION_LAST] = CAPTION_COLUMNS "WHERE sha256 = ? AND key = ? ORDER BY id DESC LIMIT 1",
    [CAPTION_IN_FORCE] = CAPTION_COLUMNS "WHERE id = (SELECT caption FROM in_force WHERE sha256 = ?)",
    [CAPTION_TEXTS] = CAPTION_COLUMNS "WHERE id IN (SELECT caption FROM in_force)",
    [CAPTION_USE] =
        "INSERT INTO in_force (sha256, caption) SELECT sha256, id FROM captions WHERE id = ? "
        "ON CONFLICT (sha256) DO UPDATE SET caption = excluded.caption",
    [PICTURE_FIND] = "SELECT 0, sha256 FROM captions WHERE sha256 >= ? AND sha256 < ? GROUP BY sha256 LIMIT ?",
    [SPEND_ADD] =
        "INSERT INTO spend (provider, model, sha256, batch, why, time, cost, seconds, tokens_in, tokens_out, caption, run) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [SPEND_OF] =
        "SELECT id, provider, model, sha256, batch, why, time, cost, seconds, tokens_in, tokens_out, caption FROM spend "
        "WHERE sha256 = ? ORDER BY id",
    [SPEND_SUM] =
        "SELECT count(*), count(cost), total(cost), total(tokens_in), total(tokens_out) FROM spend "
        "WHERE (?1 IS NULL OR provider = ?1) AND (?2 IS NULL OR time >= ?2) AND (?3 = 0 OR run = ?3)",
    [RUN_START] = "INSERT INTO runs (recipe, params, started) VALUES (?, ?, ?)",
    [RUN_END] = "UPDATE runs SET finished = ?, status = ?, detail = ? WHERE id = ?",
    [RUN_LIST] = "SELECT id, recipe, params, started, finished, status, detail FROM runs ORDER BY id DESC LIMIT ?",
    [MARK_ADD] = /* none when it is so already */
    "INSERT INTO marks (sha256, kind, value, time) SELECT ?1, ?2, ?3, ?4 WHERE ?3 IS NOT "
    "(SELECT value FROM marks WHERE kind = ?2 AND sha256 = ?1 ORDER BY id DESC LIMIT 1)",
    [MARK_LIST] =
        "SELECT id, sha256, value FROM (SELECT max(id) AS id, sha256, value FROM marks WHERE kind = ? GROUP BY sha256) "
        "WHERE value IS NOT NULL", /* with max(), SQLite takes the other columns of that row */
    [DRAFT_PUT] = "REPLACE INTO drafts (sha256, text, time, seat) VALUES (?, ?, ?, ?)",
    [DRAFT_DROP] = "DELETE FROM drafts WHERE sha256 = ? AND seat = ?",
    [DRAFT_LIST] = "SELECT seat, sha256, text FROM drafts ORDER BY sha256, seat",
    [ACTION_ADD] = "INSERT INTO actions (place, title, detail, time) VALUES (?, ?, ?, ?)",
    [ACTION_UNDO] = "UPDATE actions SET undone = ?2 WHERE id = ?1 AND undone <> 2",
    [ACTION_DROP] = "UPDATE actions SET undone = 2 WHERE place = ? AND undone = 1",
    [ACTION_LIST] = "SELECT id, place, title, detail, time, undone FROM actions WHERE place = ? ORDER BY id DESC LIMIT ?",
};

/* ---- errors ---- */

cal_status cal_store_fail(const cal_store *s, int code, cal_error *err) {
  const char *text = s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code);
  const int system = s->db ? sqlite3_system_errno(s->db) : 0; /* what of SQLite's own files could not grow is only there */
  if (code == SQLITE_FULL || ((code & 0xff) == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT)))
    return cal_fail(err, CAL_E_IO, "store: the disk of %s is full; make room and run again, what is done is kept", s->path);
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      if (cal_interrupt_level()) return cal_fail(err, CAL_E_INTERRUPT, "interrupted");
      return cal_fail(err, CAL_E_BUSY, "store: %s is in use by another calotype; waited %.3g s. Try again when that one is done", s->path,
                      s->busy_seconds);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return cal_fail(
          err, CAL_E_FORMAT,
          "store: %s is damaged (%s). Nothing was deleted: save its captions with \"sqlite3 %s .recover\", move the file away and "
          "run again",
          s->path, text, s->path);
    case SQLITE_NOMEM: return cal_fail(err, CAL_E_MEMORY, "store: not enough memory");
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return cal_fail(err, CAL_E_DENIED,
                      "store: %s cannot be opened or written: %s. Let yourself write there, or point CALOTYPE_STORE to another folder",
                      s->path, text);
    default: return cal_fail(err, CAL_E_IO, "store: %s: %s", s->path, text);
  }
}

/* Called by SQLite while another process holds the lock: 1 means try again. */
static int wait_for_others(void *context, int tries) {
  cal_store *s = context;
  double now = cal_clock();
  if (tries == 0) s->waiting_since = now;
  if (cal_interrupt_level() || now - s->waiting_since >= s->busy_seconds) return 0;
  nanosleep(&(struct timespec){.tv_nsec = tries < 10 ? 2000000 : 20000000}, NULL);
  return 1;
}

/* ---- opening ---- */

cal_status cal_store_sql(cal_store *s, const char *text, cal_error *err) {
  int code = sqlite3_exec(s->db, text, NULL, NULL, NULL);
  return code ? cal_store_fail(s, code, err) : CAL_OK;
}

static cal_status ask_number(cal_store *s, const char *text, int64_t *number, cal_error *err) {
  sqlite3_stmt *st = NULL;
  int code = sqlite3_prepare_v2(s->db, text, -1, &st, NULL);
  if (!code) code = sqlite3_step(st);
  if (code == SQLITE_ROW) *number = sqlite3_column_int64(st, 0), code = SQLITE_OK;
  cal_status status = code ? cal_store_fail(s, code, err) : CAL_OK;
  sqlite3_finalize(st);
  return status;
}

static cal_status refuse_newer(const cal_store *s, int64_t version, cal_error *err) {
  return cal_fail(err, CAL_E_FORMAT,
                  "store: %s was written by a newer calotype (schema %lld; this one knows %d). Update calotype, or point CALOTYPE_STORE to "
                  "another folder",
                  s->path, (long long)version, SCHEMA);
}

static cal_status migrate(cal_store *s, cal_error *err) {
  int64_t version = 0, application = 0, tables = 0;
  cal_status status = ask_number(s, "PRAGMA user_version", &version, err);
  if (!status && version == SCHEMA) return CAL_OK;
  if (!status) status = cal_store_sql(s, "BEGIN IMMEDIATE", err);
  if (status) return status;
  /* Looked at again under the lock: another process may have been quicker. */
  status = ask_number(s, "PRAGMA user_version", &version, err);
  if (!status) status = ask_number(s, "PRAGMA application_id", &application, err);
  if (!status) status = ask_number(s, "SELECT count(*) FROM sqlite_master", &tables, err);
  if (!status && application != APPLICATION && (tables || application || version))
    status = cal_fail(err, CAL_E_FORMAT, "store: %s is a database of another program; point CALOTYPE_STORE to another folder", s->path);
  if (!status && version > SCHEMA) status = refuse_newer(s, version, err);
  if (!status && version < 0) status = cal_store_fail(s, SQLITE_CORRUPT, err);
  for (int64_t v = version; v < SCHEMA && !status; v++) status = cal_store_sql(s, migrations[v], err);
  char text[96];
  snprintf(text, sizeof text, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION, SCHEMA);
  if (!status) status = cal_store_sql(s, text, err);
  if (!status) return cal_store_sql(s, "COMMIT", err);
  sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
  return status;
}

/* Changing to WAL needs the file alone for a moment, and SQLite does not always ask the busy handler about it. */
static cal_status use_wal(cal_store *s, cal_error *err) {
  for (int tries = 0;; tries++) {
    int code = sqlite3_exec(s->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    if (!code) return CAL_OK;
    if ((code & 0xff) != SQLITE_BUSY || !wait_for_others(s, tries)) return cal_store_fail(s, code, err);
  }
}

static cal_status open_database(cal_store *s, cal_error *err) {
  int code = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
  if (code) return cal_store_fail(s, code, err);
  sqlite3_extended_result_codes(s->db, 1);
  sqlite3_busy_handler(s->db, wait_for_others, s);
  /* The file may come from a stranger's folder: its schema gets no more say than it needs. */
  sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  int64_t version = 0;
  cal_status status = ask_number(s, "PRAGMA user_version", &version, err);
  if (!status && version > SCHEMA) return refuse_newer(s, version, err);
  if (!status) status = use_wal(s, err);
  if (!status) status = migrate(s, err);
  if (!status) status = cal_store_sql(s, "PRAGMA synchronous = NORMAL; PRAGMA cell_size_check = ON", err);
  struct stat st;
  if (!status && stat(s->path, &st)) status = cal_fail_errno(err, errno, "%s cannot be looked at", s->path);
  if (!status) s->device = st.st_dev, s->inode = st.st_ino;
  for (int i = 0; i < STATEMENTS && !status; i++) { /* also finds a schema that is not what its number says */
    code = sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->ready[i], NULL);
    if (code) status = cal_store_fail(s, code == SQLITE_ERROR ? SQLITE_CORRUPT : code, err);
  }
  return status;
}

/* Whether a store can be here at all. A folder from a stranger may bring a link to somebody else's database, or a pipe. */
static cal_status check_places(const cal_store *s, cal_error *err) {
  struct stat st;
  if (!stat(s->folder, &st) && !S_ISDIR(st.st_mode))
    return cal_fail(err, CAL_E_DENIED, "%s is a file, and a store is a folder: move it away, or point CALOTYPE_STORE to another folder",
                    s->folder);
  if (lstat(s->path, &st) || S_ISREG(st.st_mode)) return CAL_OK;
  if (S_ISLNK(st.st_mode))
    return cal_fail(err, CAL_E_DENIED, "%s is a symbolic link and not followed; CALOTYPE_STORE names another folder", s->path);
  return cal_fail(err, CAL_E_DENIED, "%s is %s and no database: move it away, or point CALOTYPE_STORE to another folder", s->path,
                  S_ISDIR(st.st_mode) ? "a folder" : "no file");
}

cal_store *cal_store_open(const char *folder, const cal_store_options *options, cal_error *err) {
  cal_store *s = cal_alloc_zero(1, sizeof *s, err);
  if (!s) return NULL;
  s->busy_seconds = options && options->busy_seconds > 0 ? options->busy_seconds : 10;
  cal_buffer path = {0};
  s->fs = cal_fs_new(NULL, 0, err);
  bool good = s->fs && (s->folder = cal_fs_absolute(s->fs, folder, err)) &&
              !cal_fs_grant(s->fs, s->folder, CAL_FS_READ | CAL_FS_WRITE, err) && !cal_fs_make_folder(s->fs, s->folder, err);
  if (good) {
    cal_buffer_printf(&path, "%s/store.db", s->folder);
    if (!(s->path = cal_buffer_take(&path))) cal_fail(err, CAL_E_MEMORY, "store: not enough memory"), good = false;
    if (good) good = !check_places(s, err);
  }
  if (!good || open_database(s, err)) cal_store_close(s), s = NULL;
  return s;
}

void cal_store_wait(cal_store *s, double seconds) { s->busy_seconds = seconds; }

cal_status cal_store_lock(cal_store *s, cal_error *err) {
  cal_error own = {0};
  if (!err) err = &own;
  if (!s->locks && (s->lock = cal_fs_lock(s->fs, s->folder, err)) < 0) return err->code;
  s->locks++;
  return CAL_OK;
}

void cal_store_unlock(cal_store *s) {
  if (s->locks && !--s->locks) close(s->lock);
}

/* The file of a seat: who has it locks it. -1, with CAL_E_BUSY when somebody has. */
static int take_seat(const cal_store *s, int seat, cal_error *err) {
  char path[4200];
  if (snprintf(path, sizeof path, "%s/seats/%d", s->folder, seat) >= (int)sizeof path)
    return cal_fail(err, CAL_E_ARG, "store: a long path"), -1;
  int fd = cal_fs_open_append(s->fs, path, err);
  if (fd < 0) return -1;
  if (!flock(fd, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK) return fd;
  cal_fail(err, CAL_E_BUSY, "store: seat %d is taken", seat);
  close(fd);
  return -1;
}

cal_status cal_store_seat(cal_store *s, int *seat, cal_error *err) {
  cal_error own = {0};
  if (!err) err = &own;
  for (int i = 1; !s->seat && i <= CAL_STORE_SEATS; i++) {
    const int fd = take_seat(s, i, err);
    if (fd < 0 && err->code != CAL_E_BUSY) return err->code;
    if (fd >= 0) s->seat = i, s->seat_lock = fd;
    *err = (cal_error){0};
  }
  *seat = s->seat;
  return s->seat ? CAL_OK : cal_fail(err, CAL_E_BUSY, "store: %d others have %s open; close some of them", CAL_STORE_SEATS, s->folder);
}

bool cal_store_seated(const cal_store *s, int seat) {
  if (seat < 1 || seat > CAL_STORE_SEATS) return false;
  if (seat == s->seat) return true;
  cal_error err = {0};
  const int fd = take_seat(s, seat, &err);
  if (fd >= 0) close(fd);
  return fd < 0 && err.code == CAL_E_BUSY;
}

void cal_store_close(cal_store *s) {
  if (!s) return;
  if (s->seat) close(s->seat_lock);
  if (s->locks) close(s->lock);
  for (int i = 0; i < STATEMENTS; i++) sqlite3_finalize(s->ready[i]);
  sqlite3_close(s->db); /* an open batch is rolled back */
  cal_fs_free(s->fs);
  cal_free(s->folder);
  cal_free(s->path);
  cal_free(s);
}

const char *cal_store_folder(const cal_store *s) { return s->folder; }

/* ---- statements ---- */

sqlite3_stmt *cal_store_with(cal_store *s, int which, int count, const char *const texts[]) {
  sqlite3_stmt *st = s->ready[which];
  for (int i = 0; i < count; i++) sqlite3_bind_text(st, i + 1, texts[i], -1, SQLITE_STATIC); /* NULL binds NULL */
  return st;
}

void cal_store_done(sqlite3_stmt *st) {
  sqlite3_reset(st);
  sqlite3_clear_bindings(st);
}

/* SQLite goes on writing into a database that was removed, and all of it is gone when it is closed. */
static cal_status still_there(const cal_store *s, cal_error *err) {
  struct stat st;
  if (!stat(s->path, &st) && st.st_dev == s->device && st.st_ino == s->inode) return CAL_OK;
  return cal_fail(err, CAL_E_IO, "%s was removed or replaced while it was open: nothing can be kept there; put it back, or start again",
                  s->path);
}

cal_status cal_store_finish(cal_store *s, sqlite3_stmt *st, cal_error *err) {
  cal_status status = still_there(s, err);
  int code = status ? SQLITE_DONE : sqlite3_step(st);
  if (code != SQLITE_DONE) status = cal_store_fail(s, code, err);
  cal_store_done(st);
  return status;
}

cal_status cal_store_begin(cal_store *s, cal_error *err) {
  if (s->batch) return cal_fail(err, CAL_E_ARG, "store: a batch is open already");
  cal_status status = cal_store_sql(s, "BEGIN IMMEDIATE", err);
  s->batch = !status;
  return status;
}

cal_status cal_store_end(cal_store *s, cal_error *err) {
  if (!s->batch) return cal_fail(err, CAL_E_ARG, "store: no batch is open");
  cal_status status = cal_store_sql(s, "COMMIT", err);
  if (status) cal_store_drop(s);
  s->batch = false;
  return status;
}

void cal_store_drop(cal_store *s) {
  if (s->batch && !sqlite3_get_autocommit(s->db)) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
  s->batch = false;
}

cal_status cal_store_open_change(cal_store *s, cal_error *err) {
  if (s->batch) return CAL_OK;
  cal_status status = cal_store_sql(s, "PRAGMA synchronous = FULL", err);
  if (!status) status = cal_store_sql(s, "BEGIN IMMEDIATE", err);
  if (status) sqlite3_exec(s->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
  return status;
}

cal_status cal_store_close_change(cal_store *s, cal_status status, cal_error *err) {
  if (s->batch) return status;
  if (!status) status = cal_store_sql(s, "COMMIT", err);
  if (!sqlite3_get_autocommit(s->db)) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
  sqlite3_exec(s->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
  return status;
}

/* ---- results and files ---- */

cal_status cal_store_get(cal_store *s, const char *kind, const char *key, cal_buffer *value, bool *found, cal_error *err) {
  sqlite3_stmt *st = cal_store_with(s, GET, 2, (const char *const[]){kind, key});
  int code = sqlite3_step(st);
  *found = code == SQLITE_ROW;
  cal_status status = code == SQLITE_ROW || code == SQLITE_DONE ? CAL_OK : cal_store_fail(s, code, err);
  if (*found) {
    const void *bytes = sqlite3_column_blob(st, 0); /* first the bytes, then their number: SQLite's rule */
    cal_buffer_add(value, bytes, (size_t)sqlite3_column_bytes(st, 0));
    cal_buffer_reserve(value, 0);
    if (value->failed) status = cal_fail(err, CAL_E_MEMORY, "store: not enough memory for a result");
  }
  cal_store_done(st);
  return status;
}

cal_status cal_store_put(cal_store *s, const char *kind, const char *key, const void *value, size_t size, cal_error *err) {
  sqlite3_stmt *st = cal_store_with(s, PUT, 2, (const char *const[]){kind, key});
  /* Text is kept as text, so that people can read it with the sqlite3 shell. */
  bool text = !memchr(value, 0, size) && cal_utf8_valid(value, size, NULL);
  int code =
      text ? sqlite3_bind_text64(st, 3, value, size, SQLITE_STATIC, SQLITE_UTF8) : sqlite3_bind_blob64(st, 3, value, size, SQLITE_STATIC);
  if (!code) return cal_store_finish(s, st, err);
  cal_store_done(st);
  if (code == SQLITE_TOOBIG) return cal_fail(err, CAL_E_LIMIT, "store: a result of %zu bytes is too large; put it as a blob", size);
  return cal_store_fail(s, code, err);
}

static sqlite3_stmt *with_file(cal_store *s, int which, const cal_fs_info *info) {
  sqlite3_stmt *st = s->ready[which];
  sqlite3_bind_int64(st, 1, (int64_t)info->device);
  sqlite3_bind_int64(st, 2, (int64_t)info->inode);
  sqlite3_bind_int64(st, 3, (int64_t)info->size);
  sqlite3_bind_int64(st, 4, info->mtime_ns);
  return st;
}

cal_status cal_store_file(cal_store *s, const cal_fs_info *info, char sha[CAL_SHA256_HEX], bool *found, cal_error *err) {
  sqlite3_stmt *st = with_file(s, FILE_GET, info);
  int code = sqlite3_step(st);
  cal_status status = code == SQLITE_ROW || code == SQLITE_DONE ? CAL_OK : cal_store_fail(s, code, err);
  const char *text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
  *found = text && cal_sha256_name(text);
  if (*found) memcpy(sha, text, CAL_SHA256_HEX);
  cal_store_done(st);
  return status;
}

cal_status cal_store_remember_file(cal_store *s, const cal_fs_info *info, const char *sha, cal_error *err) {
  if (!cal_sha256_name(sha)) return cal_fail(err, CAL_E_ARG, "store: \"%.80s\" is not a sha256", sha);
  sqlite3_stmt *st = with_file(s, FILE_PUT, info);
  sqlite3_bind_text(st, 5, sha, -1, SQLITE_STATIC);
  return cal_store_finish(s, st, err);
}

/* ---- blobs ---- */

bool cal_sha256_name(const char *text) { return strspn(text, "0123456789abcdef") == 64 && !text[64]; }

static char *blob_path(const cal_store *s, const char *sha, cal_error *err) {
  if (!cal_sha256_name(sha)) return cal_fail(err, CAL_E_ARG, "store: \"%.80s\" is not a sha256", sha), NULL;
  cal_buffer path = {0};
  cal_buffer_printf(&path, "%s/blobs/%.2s/%s", s->folder, sha, sha + 2);
  char *text = cal_buffer_take(&path);
  if (!text) cal_fail(err, CAL_E_MEMORY, "store: not enough memory");
  return text;
}

cal_status cal_store_requests(cal_store *s, uint64_t from, size_t most, cal_buffer *bytes, uint64_t *size, cal_error *err) {
  cal_buffer path = {0};
  cal_fs_info info;
  *size = 0;
  cal_buffer_printf(&path, "%s/requests.log", s->folder);
  cal_status status = path.failed ? cal_fail(err, CAL_E_MEMORY, "store: not enough memory") : CAL_OK;
  if (!status && !cal_fs_stat(s->fs, path.data, &info, NULL) && info.kind == CAL_FS_FILE) {
    *size = info.size;
    if (from < info.size) status = cal_fs_read_part(s->fs, path.data, from, most, bytes, err);
  }
  cal_buffer_free(&path);
  return status;
}

bool cal_store_has_blob(cal_store *s, const char *sha) {
  char *path = blob_path(s, sha, NULL);
  cal_fs_info info;
  char empty[CAL_SHA256_HEX];
  cal_sha256_hex("", 0, empty);
  bool there = path && !cal_fs_stat(s->fs, path, &info, NULL) && info.kind == CAL_FS_FILE && (info.size || !strcmp(sha, empty));
  cal_free(path);
  return there;
}

cal_status cal_store_blob(cal_store *s, const char *sha, cal_buffer *bytes, bool *found, cal_error *err) {
  *found = false;
  cal_error inner = {0};
  char *path = blob_path(s, sha, &inner);
  size_t before = bytes->size;
  cal_status status = path ? cal_fs_read(s->fs, path, 0, bytes, &inner) : inner.code;
  cal_free(path);
  if (status == CAL_E_NOTFOUND) return CAL_OK;
  if (status) {
    if (err) *err = inner;
    return status;
  }
  char hex[CAL_SHA256_HEX];
  cal_sha256_hex(bytes->data + before, bytes->size - before, hex);
  *found = strcmp(hex, sha) == 0;
  if (!*found) bytes->size = before;
  return CAL_OK;
}

cal_status cal_store_put_blob(cal_store *s, const void *bytes, size_t size, char sha[CAL_SHA256_HEX], cal_error *err) {
  cal_sha256_hex(bytes, size, sha);
  cal_buffer there = {0};
  bool found = false;
  cal_status status = cal_store_blob(s, sha, &there, &found, err);
  cal_buffer_free(&there);
  if (status || found) return status;
  char *path = blob_path(s, sha, err);
  if (!path) return CAL_E_MEMORY;
  status = cal_fs_write_soon(s->fs, path, bytes, size, err); /* what a power cut spoils no longer matches its name */
  cal_free(path);
  return status;
}

/* ---- rows as lists ---- */

/* Column `i` as an owned text; NULL stays NULL. false: no memory. */
static bool take_text(sqlite3_stmt *st, int i, char **out) {
  *out = NULL;
  if (sqlite3_column_type(st, i) == SQLITE_NULL) return true;
  const char *text = (const char *)sqlite3_column_text(st, i);
  return text && (*out = cal_copy_text(text, NULL));
}

cal_status cal_store_rows(cal_store *s, sqlite3_stmt *st, const cal_row_kind *kind, void **list, size_t *count, cal_error *err) {
  size_t room = 0;
  cal_status status = CAL_OK;
  int code;
  *list = NULL;
  *count = 0;
  while ((code = sqlite3_step(st)) == SQLITE_ROW && !status) {
    if (*count == room) {
      void *more = cal_resize(*list, (room = room ? 2 * room : 4) * kind->size, err);
      if (!more) {
        status = CAL_E_MEMORY;
        break;
      }
      *list = more;
    }
    char *row = (char *)*list + (*count)++ * kind->size;
    memset(row, 0, kind->size);
    *(int64_t *)(void *)row = sqlite3_column_int64(st, 0);
    for (int i = 0; i < kind->count && !status; i++)
      if (!take_text(st, i + 1, (char **)(void *)(row + kind->texts[i])))
        status = cal_fail(err, CAL_E_MEMORY, "store: not enough memory for its rows");
    if (kind->numbers) kind->numbers(st, kind->count + 1, row);
  }
  if (!status && code != SQLITE_DONE) status = cal_store_fail(s, code, err);
  cal_store_done(st);
  if (status) cal_store_free_rows(*list, *count, kind), *list = NULL, *count = 0;
  return status;
}

void cal_store_free_rows(void *list, size_t count, const cal_row_kind *kind) {
  for (size_t i = 0; i < count; i++)
    for (int t = 0; t < kind->count; t++) cal_free(*(char **)(void *)((char *)list + i * kind->size + kind->texts[t]));
  cal_free(list);
}

/* ---- runs ---- */

static const size_t run_texts[] = {offsetof(cal_run, recipe),   offsetof(cal_run, params), offsetof(cal_run, started),
                                   offsetof(cal_run, finished), offsetof(cal_run, status), offsetof(cal_run, detail)};
static const cal_row_kind run_kind = {sizeof(cal_run), run_texts, sizeof run_texts / sizeof *run_texts, NULL};

void cal_runs_free(cal_run *list, size_t count) { cal_store_free_rows(list, count, &run_kind); }

cal_status cal_store_start_run(cal_store *s, const char *recipe, const char *params, int64_t *id, cal_error *err) {
  char now[CAL_DATE];
  cal_date(now);
  cal_status status = cal_store_finish(s, cal_store_with(s, RUN_START, 3, (const char *const[]){recipe, params, now}), err);
  if (!status) s->run = *id = sqlite3_last_insert_rowid(s->db);
  return status;
}

cal_status cal_store_finish_run(cal_store *s, int64_t id, const char *run_status, const char *detail, cal_error *err) {
  char now[CAL_DATE];
  cal_date(now);
  sqlite3_stmt *st = cal_store_with(s, RUN_END, 3, (const char *const[]){now, run_status, detail});
  sqlite3_bind_int64(st, 4, id);
  cal_status status = cal_store_finish(s, st, err);
  if (!status && !sqlite3_changes(s->db)) return cal_fail(err, CAL_E_NOTFOUND, "store: there is no run %lld", (long long)id);
  if (s->run == id) s->run = 0;
  return status;
}

cal_status cal_store_runs(cal_store *s, int limit, cal_run **list, size_t *count, cal_error *err) {
  sqlite3_stmt *st = s->ready[RUN_LIST];
  sqlite3_bind_int(st, 1, limit);
  void *rows;
  cal_status status = cal_store_rows(s, st, &run_kind, &rows, count, err);
  *list = rows;
  return status;
}
