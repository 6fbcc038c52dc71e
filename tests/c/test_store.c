#include "core/store/store.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/interrupt.h"
#include "core/base/random.h"
#include "test.h"

static const char SHA[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/* A fresh folder under the run's scratch folder. */
static const char *scratch(void) {
  static char path[512];
  static int serial;
  const char *top = getenv("CALOTYPE_TEST_TMP");
  snprintf(path, sizeof path, "%s/store-%ld-%d", top ? top : "/tmp", (long)getpid(), serial++);
  return path;
}

static cal_caption caption(const char *text) {
  static char author[] = "model", key[] = "k";
  return (cal_caption){.sha = (char *)(uintptr_t)SHA, .key = key, .text = (char *)(uintptr_t)text, .author = author};
}

static int change(const char *folder, const char *sql) {
  char path[600];
  snprintf(path, sizeof path, "%s/store.db", folder);
  sqlite3 *db;
  int code = sqlite3_open(path, &db);
  if (!code) code = sqlite3_exec(db, sql, NULL, NULL, NULL);
  sqlite3_close(db);
  return code;
}

static int is_ok(void *sound, int columns, char **texts, char **names) {
  (void)columns, (void)names;
  *(int *)sound = strcmp(texts[0], "ok") == 0;
  return 0;
}

static int sound(const char *folder) {
  char path[600];
  snprintf(path, sizeof path, "%s/store.db", folder);
  sqlite3 *db;
  int good = 0;
  if (!sqlite3_open(path, &db)) sqlite3_exec(db, "PRAGMA integrity_check", is_ok, &good, NULL);
  sqlite3_close(db);
  return good;
}

TEST(a_store_of_a_newer_calotype_is_refused_with_the_next_step) {
  char folder[512];
  strcpy(folder, scratch());
  cal_store_close(cal_store_open(folder, NULL, NULL));
  CHECK(change(folder, "PRAGMA user_version = 99") == 0);
  cal_error err = {0};
  CHECK(!cal_store_open(folder, NULL, &err));
  CHECK(err.code == CAL_E_FORMAT);
  CHECK(strstr(err.text, "newer calotype (schema 99"));
  CHECK(strstr(err.text, "CALOTYPE_STORE"));
}

TEST(a_database_of_another_program_is_left_alone) {
  char folder[512];
  strcpy(folder, scratch());
  cal_store_close(cal_store_open(folder, NULL, NULL));
  char path[600];
  snprintf(path, sizeof path, "%s/store.db", folder);
  CHECK(unlink(path) == 0);
  CHECK(change(folder, "CREATE TABLE notes (x); INSERT INTO notes VALUES (1)") == 0);
  cal_error err = {0};
  CHECK(!cal_store_open(folder, NULL, &err));
  CHECK(strstr(err.text, "another program"));
  CHECK(change(folder, "SELECT * FROM notes") == 0);
}

TEST(captions_cannot_be_changed_or_deleted_by_any_sql) {
  char folder[512];
  strcpy(folder, scratch());
  cal_error err = {0};
  cal_store *s = cal_store_open(folder, NULL, &err);
  cal_caption c = caption("a hall");
  int64_t id;
  CHECK(cal_store_add_caption(s, &c, &id, &err) == CAL_OK);
  CHECK(change(folder, "DELETE FROM captions") == SQLITE_CONSTRAINT);
  CHECK(change(folder, "UPDATE captions SET text = 'x'") == SQLITE_CONSTRAINT);
  cal_caption *list;
  size_t count;
  CHECK(cal_store_captions(s, SHA, NULL, &list, &count, &err) == CAL_OK && count == 1);
  CHECK_TEXT(list[0].text, "a hall");
  cal_captions_free(list, count);
  cal_store_close(s);
}

/* The store as the first calotype made it, with a history in it. */
static const char first_schema[] =
    "CREATE TABLE files (device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,"
    "  sha256 TEXT NOT NULL, PRIMARY KEY (device, inode)) WITHOUT ROWID;"
    "CREATE TABLE results (kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key));"
    "CREATE TABLE captions (id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL,"
    "  author TEXT NOT NULL CHECK (author IN ('human', 'model')), provider TEXT, model TEXT, detail TEXT, time TEXT NOT NULL);"
    "CREATE INDEX captions_of_picture ON captions (sha256, key, id);"
    "CREATE TRIGGER captions_stay BEFORE DELETE ON captions BEGIN SELECT RAISE(ABORT, 'captions are only added'); END;"
    "CREATE TRIGGER captions_stand BEFORE UPDATE ON captions BEGIN SELECT RAISE(ABORT, 'captions are only added'); END;"
    "CREATE TABLE runs (id INTEGER PRIMARY KEY AUTOINCREMENT, recipe TEXT NOT NULL, params TEXT NOT NULL, started TEXT NOT NULL,"
    "  finished TEXT, status TEXT, detail TEXT);"
    "INSERT INTO results VALUES ('k', 'a', '1');"
    "INSERT INTO captions (sha256, key, text, author, provider, time) VALUES"
    "  ('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'k', 'a hall', 'model', 'fake', '2026-11-20T10:00:00Z'),"
    "  ('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'k2', 'a large hall', 'model', 'fake', '2026-11-20T11:00:00Z');"
    "PRAGMA application_id = 1130458223; PRAGMA user_version = 1;";

TEST(a_store_of_the_first_schema_is_upgraded_with_all_that_is_in_it) {
  char folder[512];
  strcpy(folder, scratch());
  mkdir(folder, 0755);
  CHECK(change(folder, first_schema) == 0);
  for (int again = 0; again < 2; again++) {
    cal_error err = {0};
    cal_store *s = cal_store_open(folder, NULL, &err);
    CHECK(s != NULL);
    cal_caption *list;
    size_t count;
    CHECK(cal_store_captions(s, SHA, NULL, &list, &count, &err) == CAL_OK && count == 2);
    CHECK_TEXT(list[1].text, "a large hall");
    CHECK_TEXT(list[0].time, "2026-11-20T10:00:00Z");
    CHECK(!list[0].in_force && list[1].in_force && !list[1].aside && !list[1].restores && !list[1].prompt);
    CHECK(list[1].usage.cost < 0 && list[1].usage.tokens_in < 0); /* unknown, not nothing */
    cal_captions_free(list, count);
    cal_buffer value = {0};
    bool found;
    CHECK(cal_store_get(s, "k", "a", &value, &found, &err) == CAL_OK && found);
    cal_buffer_free(&value);
    cal_spent sum;
    CHECK(cal_store_spent(s, NULL, NULL, 0, &sum, &err) == CAL_OK && sum.requests == 0);
    cal_store_close(s);
  }
  CHECK(sound(folder));
}

/* What the second calotype added to that, and what it held. */
static const char second_schema[] =
    "ALTER TABLE captions ADD COLUMN prompt TEXT;"
    "ALTER TABLE captions ADD COLUMN cost REAL CHECK (cost >= 0);"
    "ALTER TABLE captions ADD COLUMN seconds REAL;"
    "ALTER TABLE captions ADD COLUMN tokens_in INTEGER;"
    "ALTER TABLE captions ADD COLUMN tokens_out INTEGER;"
    "ALTER TABLE captions ADD COLUMN restores INTEGER;"
    "ALTER TABLE captions ADD COLUMN aside INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE captions ADD COLUMN run INTEGER;"
    "CREATE TABLE in_force (sha256 TEXT PRIMARY KEY, caption INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE spend (id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, provider TEXT NOT NULL, model TEXT,"
    "  cost REAL CHECK (cost >= 0), seconds REAL, tokens_in INTEGER, tokens_out INTEGER, sha256 TEXT, caption INTEGER, batch TEXT, why "
    "TEXT, run INTEGER);"
    "CREATE INDEX spend_of_picture ON spend (sha256, id);"
    "CREATE TRIGGER spend_stays BEFORE DELETE ON spend BEGIN SELECT RAISE(ABORT, 'spending is only added'); END;"
    "CREATE TRIGGER spend_stands BEFORE UPDATE ON spend BEGIN SELECT RAISE(ABORT, 'spending is only added'); END;"
    "INSERT INTO in_force VALUES ('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 1);"
    "INSERT INTO spend (time, provider, cost, sha256, caption) VALUES"
    "  ('2026-11-20T10:00:00Z', 'fake', 0.5, 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 1);"
    "PRAGMA user_version = 2;";

TEST(a_store_of_the_second_schema_keeps_what_is_in_force_and_what_was_paid_and_takes_marks) {
  char folder[512];
  strcpy(folder, scratch());
  mkdir(folder, 0755);
  CHECK(change(folder, first_schema) == 0);
  CHECK(change(folder, second_schema) == 0);
  for (int again = 0; again < 2; again++) {
    cal_error err = {0};
    cal_store *s = cal_store_open(folder, NULL, &err);
    CHECK(s != NULL);
    cal_caption *list;
    cal_note *notes;
    cal_spent sum;
    size_t count;
    CHECK(cal_store_texts(s, &list, &count, &err) == CAL_OK && count == 1);
    CHECK_TEXT(list[0].text, "a hall"); /* undone by its person: the older one is in force */
    cal_captions_free(list, count);
    CHECK(cal_store_spent(s, NULL, NULL, 0, &sum, &err) == CAL_OK && sum.requests == 1 && sum.cost == 0.5);
    CHECK(cal_store_marks(s, "star", &notes, &count, &err) == CAL_OK && count == (size_t)again);
    cal_notes_free(notes, count);
    CHECK(cal_store_mark(s, SHA, "star", "4", &err) == CAL_OK);
    cal_store_close(s);
  }
  CHECK(sound(folder));
}

TEST(a_store_of_the_third_schema_keeps_what_was_being_typed_and_two_seats_type_at_once) {
  char folder[512];
  strcpy(folder, scratch());
  cal_error err = {0};
  cal_store *s = cal_store_open(folder, NULL, &err);
  CHECK(s != NULL);
  cal_store_close(s);
  CHECK(change(folder,
               "DROP TABLE drafts; CREATE TABLE drafts (sha256 TEXT PRIMARY KEY, text TEXT NOT NULL, time TEXT NOT NULL) WITHOUT ROWID;"
               "INSERT INTO drafts VALUES ('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'a hal', '2026');"
               "PRAGMA user_version = 3;") == 0);
  s = cal_store_open(folder, NULL, &err);
  cal_note *notes;
  size_t count;
  CHECK(s && cal_store_draft(s, SHA, 2, "a door", &err) == CAL_OK && cal_store_draft(s, SHA, 2, "a doorway", &err) == CAL_OK);
  CHECK(cal_store_drafts(s, &notes, &count, &err) == CAL_OK && count == 2);
  CHECK(notes[0].id == 0 && notes[1].id == 2);
  CHECK_TEXT(notes[0].text, "a hal");
  CHECK_TEXT(notes[1].text, "a doorway");
  cal_notes_free(notes, count);
  CHECK(cal_store_draft(s, SHA, 0, NULL, &err) == CAL_OK);
  CHECK(cal_store_drafts(s, &notes, &count, &err) == CAL_OK && count == 1 && notes[0].id == 2);
  cal_notes_free(notes, count);
  cal_store_close(s);
  CHECK(sound(folder));
}

TEST(a_seat_is_had_until_its_store_is_closed_or_its_process_is_killed) {
  char folder[512];
  strcpy(folder, scratch());
  cal_error err = {0};
  cal_store *a = cal_store_open(folder, NULL, &err), *b = cal_store_open(folder, NULL, &err), *c = cal_store_open(folder, NULL, &err);
  int seat = 0;
  CHECK(!cal_store_seated(a, 1) && !cal_store_seated(a, 0) && !cal_store_seated(a, -1) && !cal_store_seated(a, CAL_STORE_SEATS + 1));
  CHECK(cal_store_seat(a, &seat, &err) == CAL_OK && seat == 1);
  CHECK(cal_store_seat(a, &seat, &err) == CAL_OK && seat == 1); /* asked again */
  CHECK(cal_store_seat(b, &seat, &err) == CAL_OK && seat == 2);
  CHECK(cal_store_seated(a, 1) && cal_store_seated(a, 2) && !cal_store_seated(a, 3) && cal_store_seated(c, 1));
  cal_store_close(a);
  CHECK(!cal_store_seated(b, 1));
  const pid_t child = fork();
  if (child == 0) { /* has seat 1 and goes without a word */
    CHECK(cal_store_seat(c, &seat, &err) == CAL_OK && seat == 1);
    raise(SIGKILL);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  CHECK(!cal_store_seated(b, 1) && cal_store_seated(c, 2));
  CHECK(cal_store_seat(c, &seat, &err) == CAL_OK && seat == 1);
  cal_store *many[CAL_STORE_SEATS] = {0};
  for (int i = 0; i < CAL_STORE_SEATS - 2; i++) {
    many[i] = cal_store_open(folder, NULL, &err);
    CHECK(many[i] && cal_store_seat(many[i], &seat, &err) == CAL_OK && seat == i + 3);
  }
  cal_store *late = cal_store_open(folder, NULL, &err);
  CHECK(late && cal_store_seat(late, &seat, &err) == CAL_E_BUSY);
  CHECK(strstr(err.text, "64 others"));
  cal_store_close(late);
  for (int i = 0; i < CAL_STORE_SEATS; i++) cal_store_close(many[i]);
  cal_store_close(b);
  cal_store_close(c);
}

TEST(marks_and_actions_cannot_be_changed_or_deleted_by_any_sql) {
  char folder[512], place[] = "photos", title[] = "star 3", detail[] = "{}";
  strcpy(folder, scratch());
  cal_error err = {0};
  cal_store *s = cal_store_open(folder, NULL, &err);
  const cal_action action = {.place = place, .title = title, .detail = detail};
  int64_t id;
  CHECK(cal_store_mark(s, SHA, "star", "3", &err) == CAL_OK);
  CHECK(cal_store_add_action(s, &action, &id, &err) == CAL_OK);
  CHECK(change(folder, "DELETE FROM marks") == SQLITE_CONSTRAINT);
  CHECK(change(folder, "UPDATE marks SET value = '5'") == SQLITE_CONSTRAINT);
  CHECK(change(folder, "DELETE FROM actions") == SQLITE_CONSTRAINT);
  CHECK(change(folder, "UPDATE actions SET detail = 'x'") == SQLITE_CONSTRAINT);
  CHECK(cal_store_undo_action(s, id, true, &err) == CAL_OK);
  /* Where a person's mark cannot be written, nothing is half there and the store goes on. */
  CHECK(change(folder, "CREATE TRIGGER no BEFORE INSERT ON marks BEGIN SELECT RAISE(ABORT, 'no room'); END") == 0);
  CHECK(cal_store_mark(s, SHA, "star", "1", &err) == CAL_E_IO);
  CHECK(strstr(err.text, "no room"));
  CHECK(cal_store_draft(s, SHA, 0, "typed", &err) == CAL_OK);
  CHECK(cal_store_begin(s, &err) == CAL_OK && cal_store_end(s, &err) == CAL_OK);
  cal_store_close(s);
}

TEST(a_caption_and_what_it_cost_are_added_as_one) {
  char folder[512], provider[] = "gemini";
  strcpy(folder, scratch());
  cal_error err = {0};
  cal_store *s = cal_store_open(folder, NULL, &err);
  cal_caption c = caption("a hall"), *list;
  cal_spend paid = {0}, *spends;
  size_t count;
  int64_t id;
  c.usage = (cal_usage){.cost = 0.25, .seconds = 1.5, .tokens_in = 100, .tokens_out = -1};
  CHECK(cal_store_add_paid_caption(s, &c, &paid, &id, &err) == CAL_E_ARG); /* by whom? */
  c.provider = provider;
  CHECK(cal_store_add_paid_caption(s, &c, &paid, &id, &err) == CAL_OK);
  CHECK(cal_store_spends(s, SHA, &spends, &count, &err) == CAL_OK && count == 1);
  CHECK(spends[0].caption == id && spends[0].usage.cost == 0.25 && spends[0].usage.tokens_out == -1);
  CHECK_TEXT(spends[0].provider, "gemini");
  cal_spends_free(spends, count);
  CHECK(change(folder, "DELETE FROM spend") == SQLITE_CONSTRAINT);
  CHECK(change(folder, "UPDATE spend SET cost = 0") == SQLITE_CONSTRAINT);
  /* Where the spending cannot be written, the caption is not either, and the store goes on. */
  CHECK(change(folder, "CREATE TRIGGER no BEFORE INSERT ON spend BEGIN SELECT RAISE(ABORT, 'no room'); END") == 0);
  CHECK(cal_store_add_paid_caption(s, &c, &paid, &id, &err) == CAL_E_IO);
  CHECK(strstr(err.text, "no room"));
  CHECK(cal_store_captions(s, SHA, NULL, &list, &count, &err) == CAL_OK && count == 1);
  cal_captions_free(list, count);
  CHECK(cal_store_add_caption(s, &c, &id, &err) == CAL_OK);
  cal_store_close(s);
}

TEST(a_batch_is_all_or_nothing) {
  cal_error err = {0};
  cal_store *s = cal_store_open(scratch(), NULL, &err);
  cal_buffer value = {0};
  bool found = true;
  CHECK(cal_store_begin(s, &err) == CAL_OK);
  CHECK(cal_store_begin(s, &err) == CAL_E_ARG);
  CHECK(cal_store_put(s, "k", "a", "1", 1, &err) == CAL_OK);
  cal_store_drop(s);
  CHECK(cal_store_get(s, "k", "a", &value, &found, &err) == CAL_OK && !found);
  CHECK(cal_store_begin(s, &err) == CAL_OK);
  CHECK(cal_store_put(s, "k", "a", "1", 1, &err) == CAL_OK);
  CHECK(cal_store_end(s, &err) == CAL_OK);
  CHECK(cal_store_end(s, &err) == CAL_E_ARG);
  CHECK(cal_store_get(s, "k", "a", &value, &found, &err) == CAL_OK && found);
  cal_buffer_free(&value);
  cal_store_close(s);
}

TEST(a_file_is_known_only_while_inode_size_and_time_are_the_same) {
  cal_error err = {0};
  cal_store *s = cal_store_open(scratch(), NULL, &err);
  cal_fs_info info = {.device = UINT64_MAX, .inode = 7, .size = 100, .mtime_ns = -5};
  char sha[CAL_SHA256_HEX] = "";
  bool found;
  CHECK(cal_store_file(s, &info, sha, &found, &err) == CAL_OK && !found);
  CHECK(cal_store_remember_file(s, &info, SHA, &err) == CAL_OK);
  CHECK(cal_store_file(s, &info, sha, &found, &err) == CAL_OK && found);
  CHECK_TEXT(sha, SHA);
  cal_fs_info other[4] = {info, info, info, info};
  other[0].device--, other[1].inode++, other[2].size++, other[3].mtime_ns++;
  for (int i = 0; i < 4; i++) CHECK(cal_store_file(s, &other[i], sha, &found, &err) == CAL_OK && !found);
  CHECK(cal_store_remember_file(s, &info, "short", &err) == CAL_E_ARG);
  cal_store_close(s);
}

TEST(a_store_that_another_holds_is_waited_for_then_busy) {
  char folder[512];
  strcpy(folder, scratch());
  cal_error err = {0};
  cal_store *a = cal_store_open(folder, NULL, &err);
  cal_store *b = cal_store_open(folder, &(cal_store_options){.busy_seconds = 0.05}, &err);
  CHECK(cal_store_begin(a, &err) == CAL_OK);
  CHECK(cal_store_put(b, "k", "a", "1", 1, &err) == CAL_E_BUSY);
  CHECK(strstr(err.text, "in use by another calotype"));
  cal_interrupt_raise();
  CHECK(cal_store_put(b, "k", "a", "1", 1, &err) == CAL_E_INTERRUPT);
  cal_interrupt_clear();
  CHECK(cal_store_end(a, &err) == CAL_OK);
  CHECK(cal_store_put(b, "k", "a", "1", 1, &err) == CAL_OK);
  cal_store_close(a);
  cal_store_close(b);
}

static void *open_one(void *folder) {
  cal_error err = {0};
  cal_store *s = cal_store_open(folder, NULL, &err);
  if (!s) printf("  %s\n", err.text);
  bool good = s && !cal_store_put(s, "k", "a", "1", 1, &err);
  cal_store_close(s);
  return good ? folder : NULL;
}

TEST(many_may_open_a_new_store_at_once) {
  for (int round = 0; round < 3; round++) {
    char folder[512];
    strcpy(folder, scratch());
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, open_one, folder) == 0);
    for (int i = 0; i < 4; i++) {
      void *good = NULL;
      pthread_join(threads[i], &good);
      CHECK(good != NULL);
    }
  }
}

/* ---- damage ---- */

static void fill(const char *folder) {
  cal_error err = {0};
  cal_store *s = cal_store_open(folder, NULL, &err);
  char key[32];
  CHECK(s && cal_store_begin(s, &err) == CAL_OK);
  for (int i = 0; i < 200; i++) {
    cal_caption c = caption(key);
    int64_t id;
    snprintf(key, sizeof key, "caption number %d", i);
    CHECK(cal_store_add_caption(s, &c, &id, &err) == CAL_OK);
    CHECK(cal_store_put(s, "measures", key, key, strlen(key), &err) == CAL_OK);
    const cal_action action = {.place = c.author, .title = key, .detail = key};
    CHECK(cal_store_add_action(s, &action, &id, &err) == CAL_OK);
    CHECK(cal_store_mark(s, SHA, "reject", key, &err) == CAL_OK);
  }
  CHECK(cal_store_end(s, &err) == CAL_OK);
  cal_store_close(s);
}

/* Everything a store can be asked. Whatever the bytes, it must answer or refuse. */
static cal_status use(const char *folder, cal_error *err) {
  cal_store *s = cal_store_open(folder, NULL, err);
  if (!s) return err->code;
  cal_caption *list, c = caption("more");
  cal_run *runs;
  size_t count;
  bool found;
  int64_t id;
  cal_buffer value = {0};
  cal_status status = cal_store_captions(s, SHA, NULL, &list, &count, err);
  cal_captions_free(list, count);
  if (!status) status = cal_store_get(s, "measures", "caption number 100", &value, &found, err);
  if (!status) status = cal_store_runs(s, 10, &runs, &count, err);
  if (!status) cal_runs_free(runs, count);
  cal_spend *spends, paid = {.provider = c.author};
  cal_spent sum;
  if (!status) status = cal_store_spends(s, SHA, &spends, &count, err);
  if (!status) cal_spends_free(spends, count);
  if (!status) status = cal_store_spent(s, NULL, NULL, 0, &sum, err);
  if (!status) status = cal_store_caption_in_force(s, SHA, &list, &count, err);
  if (!status) cal_captions_free(list, count);
  if (!status) status = cal_store_find_pictures(s, "ba", 10, &list, &count, err);
  if (!status) cal_captions_free(list, count);
  if (!status) status = cal_store_texts(s, &list, &count, err);
  if (!status) cal_captions_free(list, count);
  cal_note *notes;
  cal_action *actions;
  if (!status) status = cal_store_marks(s, "star", &notes, &count, err);
  if (!status) cal_notes_free(notes, count);
  if (!status) status = cal_store_drafts(s, &notes, &count, err);
  if (!status) cal_notes_free(notes, count);
  if (!status) status = cal_store_actions(s, "photos", 10, &actions, &count, err);
  if (!status) cal_actions_free(actions, count);
  if (!status) status = cal_store_mark(s, SHA, "star", "2", err);
  if (!status) status = cal_store_draft(s, SHA, 0, "typed", err);
  if (!status) status = cal_store_add_spend(s, &paid, &id, err);
  if (!status) status = cal_store_put(s, "measures", "new", "x", 1, err);
  if (!status) status = cal_store_add_caption(s, &c, &id, err);
  cal_buffer_free(&value);
  cal_store_close(s);
  return status;
}

static void spill(const char *folder, const char *bytes, size_t size) {
  char path[600];
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/store.db%s", folder, i ? "-shm" : "-wal");
    unlink(path);
  }
  snprintf(path, sizeof path, "%s/store.db", folder);
  FILE *f = fopen(path, "wb");
  CHECK(f && fwrite(bytes, 1, size, f) == size);
  fclose(f);
}

TEST(a_database_cut_anywhere_is_refused_with_its_path_and_kept) {
  char folder[512], path[600];
  strcpy(folder, scratch());
  snprintf(path, sizeof path, "%s/store.db", folder);
  fill(folder);
  cal_fs *fs = cal_fs_new(NULL, 0, NULL);
  cal_fs_grant(fs, folder, CAL_FS_READ, NULL);
  cal_buffer whole = {0};
  CHECK(cal_fs_read(fs, path, 0, &whole, NULL) == CAL_OK);
  int refused = 0;
  for (size_t size = 1; size < whole.size; size += size < 600 ? 37 : 4001) {
    spill(folder, whole.data, size);
    cal_error err = {0};
    if (!use(folder, &err)) continue; /* the cut page was a free one, or not needed for these questions */
    refused++;
    CHECK(err.code == CAL_E_FORMAT || err.code == CAL_E_IO);
    CHECK(strstr(err.text, path));
    if (err.code == CAL_E_FORMAT && strstr(err.text, "damaged"))
      CHECK(strstr(err.text, ".recover") && strstr(err.text, "Nothing was deleted"));
    CHECK(access(path, F_OK) == 0);
  }
  CHECK(refused > 10);
  cal_random r = cal_random_seed(11, 0);
  refused = 0;
  for (int round = 0; round < 150; round++) {
    cal_buffer copy = {0};
    cal_buffer_add(&copy, whole.data, whole.size);
    for (int i = 0; i < 20; i++) copy.data[cal_random_below(&r, copy.size)] ^= (char)(1u << cal_random_below(&r, 8));
    if (round < 40) copy.data[cal_random_below(&r, 100)] ^= (char)(1u << cal_random_below(&r, 8)); /* the header, too */
    spill(folder, copy.data, copy.size);
    cal_error err = {0};
    refused += use(folder, &err) != CAL_OK;
    CHECK(!err.code || err.text[0]);
    CHECK(access(path, F_OK) == 0);
    cal_buffer_free(&copy);
  }
  CHECK(refused > 10);
  cal_buffer_free(&whole);
  cal_fs_free(fs);
}

/* A child writes as fast as it can and says after each commit what it has; it is killed at some moment. Whatever was
 * said must be there, and nothing half. */
TEST(a_killed_writer_loses_nothing_it_had_said_and_leaves_nothing_half) {
  char folder[512];
  strcpy(folder, scratch());
  cal_random r = cal_random_seed(5, 0);
  cal_store_close(cal_store_open(folder, NULL, NULL));
  int64_t promised = 0;
  for (int round = 0; round < 12; round++) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
      cal_error err = {0};
      cal_store *s = cal_store_open(folder, NULL, &err);
      for (int i = 0; s; i++) {
        char text[4000];
        memset(text, 'a' + i % 26, sizeof text);
        text[sizeof text - 1] = 0;
        cal_caption c = caption(text);
        int64_t id;
        char sha[CAL_SHA256_HEX];
        snprintf(text, 32, "%d %d", round, i);
        text[strlen(text)] = ' ';
        if (cal_store_put_blob(s, text, sizeof text, sha, &err) || cal_store_put(s, "blob", text, sha, 64, &err) ||
            cal_store_add_caption(s, &c, &id, &err) || write(ends[1], &id, sizeof id) != sizeof id)
          _exit(1);
      }
      _exit(1);
    }
    close(ends[1]);
    int64_t id;
    if (read(ends[0], &id, sizeof id) == sizeof id) promised = id;
    usleep((useconds_t)(1000 + cal_random_below(&r, 30000)));
    kill(child, SIGKILL);
    while (read(ends[0], &id, sizeof id) == sizeof id) promised = id;
    close(ends[0]);
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    cal_error err = {0};
    cal_store *s = cal_store_open(folder, NULL, &err);
    cal_caption *list = NULL;
    size_t count = 0;
    CHECK(s && cal_store_captions(s, SHA, NULL, &list, &count, &err) == CAL_OK);
    CHECK((int64_t)count >= promised);
    for (size_t i = 0; i < count; i++) {
      CHECK(strlen(list[i].text) == 3999);
      cal_buffer sha = {0}, bytes = {0};
      bool found = false;
      CHECK(cal_store_get(s, "blob", list[i].text, &sha, &found, &err) == CAL_OK && found);
      if (i + 50 > count) CHECK(found && cal_store_blob(s, sha.data, &bytes, &found, &err) == CAL_OK && found && bytes.size == 4000);
      cal_buffer_free(&sha);
      cal_buffer_free(&bytes);
    }
    cal_captions_free(list, count);
    cal_store_close(s);
    CHECK(sound(folder));
  }
  CHECK(promised > 0);
  /* No temporary file stays behind under blobs/. */
  cal_fs *fs = cal_fs_new(NULL, 0, NULL);
  cal_fs_grant(fs, folder, CAL_FS_READ, NULL);
  cal_fs_info *files;
  size_t count;
  strcat(folder, "/blobs");
  CHECK(cal_fs_list(fs, folder, true, &files, &count, NULL) == CAL_OK);
  for (size_t i = 0; i < count; i++)
    if (files[i].kind == CAL_FS_FILE) CHECK(!strstr(files[i].path, ".tmp") && files[i].size == 4000);
  cal_fs_list_free(files, count);
  cal_fs_free(fs);
}

/* Typing: after each key the draft is there. An action, its mark and its caption are there together or not at all. */
TEST(a_killed_typist_loses_no_key_and_has_no_action_without_its_changes) {
  char folder[512], place[] = "photos", title[] = "t", detail[] = "{}";
  strcpy(folder, scratch());
  cal_random r = cal_random_seed(7, 0);
  cal_store_close(cal_store_open(folder, NULL, NULL));
  for (int round = 0; round < 20; round++) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
      cal_error err = {0};
      cal_store *s = cal_store_open(folder, NULL, &err);
      const cal_action action = {.place = place, .title = title, .detail = detail};
      for (int key = 1; s; key++) {
        char text[32];
        int64_t id;
        snprintf(text, sizeof text, "%d", key);
        cal_caption c = caption(text);
        if (cal_store_draft(s, SHA, 0, text, &err) || cal_store_begin(s, &err) || cal_store_add_caption(s, &c, &id, &err) ||
            cal_store_add_action(s, &action, &id, &err) || cal_store_mark(s, SHA, "reject", text, &err) || cal_store_end(s, &err) ||
            write(ends[1], &key, sizeof key) != sizeof key)
          _exit(1);
      }
      _exit(1);
    }
    close(ends[1]);
    int key = 0, promised = 0;
    if (read(ends[0], &key, sizeof key) == sizeof key) promised = key;
    usleep((useconds_t)cal_random_below(&r, 15000));
    kill(child, SIGKILL);
    while (read(ends[0], &key, sizeof key) == sizeof key) promised = key;
    close(ends[0]);
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && promised > 0);
    cal_error err = {0};
    cal_store *s = cal_store_open(folder, NULL, &err);
    cal_note *drafts = NULL, *marks = NULL;
    cal_caption *captions = NULL;
    cal_action *actions = NULL;
    size_t draft_count = 0, mark_count = 0, caption_count = 0, action_count = 0;
    CHECK(s && cal_store_drafts(s, &drafts, &draft_count, &err) == CAL_OK && draft_count == 1);
    CHECK(cal_store_marks(s, "reject", &marks, &mark_count, &err) == CAL_OK && mark_count == 1);
    CHECK(cal_store_captions(s, SHA, NULL, &captions, &caption_count, &err) == CAL_OK);
    CHECK(cal_store_actions(s, place, 1000000, &actions, &action_count, &err) == CAL_OK);
    CHECK(atoi(drafts[0].text) >= promised && atoi(drafts[0].text) <= promised + 2);
    CHECK(caption_count == action_count);
    CHECK_TEXT(marks[0].text, captions[caption_count - 1].text);
    cal_notes_free(drafts, draft_count);
    cal_notes_free(marks, mark_count);
    cal_captions_free(captions, caption_count);
    cal_actions_free(actions, action_count);
    cal_store_close(s);
    CHECK(sound(folder));
  }
}

/* The same with captions that cost something: what was said is there with its spending, and never one without the other. */
TEST(a_killed_writer_leaves_no_caption_without_its_spending) {
  char folder[512], provider[] = "gemini";
  strcpy(folder, scratch());
  cal_random r = cal_random_seed(6, 0);
  cal_store_close(cal_store_open(folder, NULL, NULL));
  int64_t promised = 0;
  for (int round = 0; round < 25; round++) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
      cal_error err = {0};
      cal_store *s = cal_store_open(folder, NULL, &err);
      cal_caption c = caption("a hall");
      cal_spend paid = {0};
      int64_t id;
      c.provider = provider;
      c.usage.cost = 0.5;
      while (s && !cal_store_add_paid_caption(s, &c, &paid, &id, &err) && write(ends[1], &id, sizeof id) == sizeof id) {
      }
      _exit(1);
    }
    close(ends[1]);
    int64_t id;
    if (read(ends[0], &id, sizeof id) == sizeof id) promised = id;
    usleep((useconds_t)(cal_random_below(&r, 15000)));
    kill(child, SIGKILL);
    while (read(ends[0], &id, sizeof id) == sizeof id) promised = id;
    close(ends[0]);
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    cal_error err = {0};
    cal_store *s = cal_store_open(folder, NULL, &err);
    cal_caption *list = NULL, *now = NULL;
    cal_spend *spends = NULL;
    size_t count = 0, paid_count = 0, one = 0;
    CHECK(s && cal_store_captions(s, SHA, NULL, &list, &count, &err) == CAL_OK);
    CHECK(s && cal_store_spends(s, SHA, &spends, &paid_count, &err) == CAL_OK);
    CHECK(s && cal_store_caption_in_force(s, SHA, &now, &one, &err) == CAL_OK);
    CHECK(count == paid_count && count > 0 && list[count - 1].id >= promised);
    for (size_t i = 0; i < count && i < paid_count; i++) CHECK(spends[i].caption == list[i].id && spends[i].usage.cost == 0.5);
    CHECK(one == 1 && now[0].id == list[count - 1].id);
    cal_captions_free(list, count);
    cal_captions_free(now, one);
    cal_spends_free(spends, paid_count);
    cal_store_close(s);
  }
  CHECK(promised >= 25);
  CHECK(sound(folder));
}

TEST(no_allocation_that_fails_crashes_or_leaks) {
  char folder[512];
  strcpy(folder, scratch());
  fill(folder);
  size_t before = cal_memory_in_use();
  cal_status status = CAL_E_MEMORY;
  int sweep = 0;
  for (; status && sweep < 2000; sweep++) {
    cal_error err = {0};
    cal_memory_fail_after(sweep);
    status = use(folder, &err);
    cal_memory_fail_after(-1);
    if (status) CHECK(status == CAL_E_MEMORY);
    CHECK(cal_memory_in_use() == before);
  }
  CHECK(status == CAL_OK && sweep > 200);
}

TEST_MAIN()
