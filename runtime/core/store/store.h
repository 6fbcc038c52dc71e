/* store.h - what a project remembers: results, captions with their history, what they cost, marks, actions,
 * runs, and blobs named by content.
 *
 *   cal_error err = {0};
 *   cal_store *s = cal_store_open(".calotype", NULL, &err);
 *   if (!s) return err.code;
 *   bool found;
 *   cal_buffer value = {0};
 *   cal_store_put(s, "measures", "ba7816bf...", "{}", 2, &err);
 *   cal_store_get(s, "measures", "ba7816bf...", &value, &found, &err);
 *   cal_buffer_free(&value);
 *   cal_store_close(s);
 *
 * One SQLite database in WAL mode (store.db) and a folder of files (blobs/ab/cdef...). Every call is committed when it
 * returns (or with its batch): a kill at any moment loses nothing that was said to be done. Captions may have cost
 * money, and marks and actions are a person's work, so these also survive a power cut; results may not, they can be
 * computed again. Several processes may share a store; they wait for each other for `busy_seconds`, then CAL_E_BUSY. A
 * damaged database is CAL_E_FORMAT with its path and what to do, and is never deleted; one that is removed or replaced
 * while it is open refuses every change with CAL_E_IO. All calls from one thread at a time, but for the two of blobs,
 * which any thread may make.
 * uses: base codec
 */
#ifndef CAL_STORE_STORE_H
#define CAL_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/sha256.h"

typedef struct cal_store cal_store;

typedef struct {
  double busy_seconds; /* how long to wait for another process; 0: 10 */
} cal_store_options;

cal_store *cal_store_open(const char *folder, const cal_store_options *options, cal_error *err); /* made if it is not there */
/* How long calls wait for another process from now on, in place of `busy_seconds`. */
void cal_store_wait(cal_store *s, double seconds);
void cal_store_close(cal_store *s);
const char *cal_store_folder(const cal_store *s); /* absolute */

/* Be the only one who asks for what costs money: who has the lock knows that nobody else is about to put the same answer there. Taken more
 * than once, it is given back as often. CAL_E_BUSY: another process has it; all else goes on beside it. */
cal_status cal_store_lock(cal_store *s, cal_error *err);
void cal_store_unlock(cal_store *s);

/* Seats tell those who work at the same time from those who are gone: the lowest number that no living process has, kept until the store is
 * closed or its process ends in any way. On disks that know no locks all have seat 1 and nobody is seated but oneself. */
enum { CAL_STORE_SEATS = 64 };
cal_status cal_store_seat(cal_store *s, int *seat, cal_error *err); /* CAL_E_BUSY: none is free */
bool cal_store_seated(const cal_store *s, int seat);                /* is it anybody's now? Also when it is one's own */

/* Many changes as one: faster, and all or none. Not nested. `end` commits; `drop` forgets them. */
cal_status cal_store_begin(cal_store *s, cal_error *err);
cal_status cal_store_end(cal_store *s, cal_error *err);
void cal_store_drop(cal_store *s);

/* Results: any bytes by kind and key; a second put replaces. */
cal_status cal_store_get(cal_store *s, const char *kind, const char *key, cal_buffer *value, bool *found, cal_error *err);
cal_status cal_store_put(cal_store *s, const char *kind, const char *key, const void *value, size_t size, cal_error *err);

/* The hash of a file seen before: found only when device, inode, size and mtime are all as they were. */
cal_status cal_store_file(cal_store *s, const cal_fs_info *info, char sha[CAL_SHA256_HEX], bool *found, cal_error *err);
cal_status cal_store_remember_file(cal_store *s, const cal_fs_info *info, const char *sha, cal_error *err);

/* Blobs. What is read is hashed again: a file that does not match its name counts as not found, and the next put of
 * those bytes mends it. */
cal_status cal_store_put_blob(cal_store *s, const void *bytes, size_t size, char sha[CAL_SHA256_HEX], cal_error *err);
cal_status cal_store_blob(cal_store *s, const char *sha, cal_buffer *bytes, bool *found, cal_error *err);
bool cal_store_has_blob(cal_store *s, const char *sha); /* a file of that name is there, not emptied by a power cut; it is not read */

/* What stands in requests.log from byte `from` on, `most` bytes at the most; `size`: of the whole file, 0 where there is none. */
cal_status cal_store_requests(cal_store *s, uint64_t from, size_t most, cal_buffer *bytes, uint64_t *size, cal_error *err);

/* What an answer took. Below 0: unknown, which is not the same as nothing. */
typedef struct {
  double cost;    /* USD */
  double seconds; /* from the request to the reply */
  int64_t tokens_in, tokens_out;
} cal_usage;

/* Captions are only ever added. `key` says which question the text answers (provider, model and options, hashed). */
typedef struct {
  int64_t id; /* rising with time */
  char *sha, *key, *text;
  char *author;                    /* "human" or "model" */
  char *provider, *model, *detail; /* or NULL; detail is JSON by convention */
  char *time;                      /* UTC, ISO 8601; filled by the store */
  char *prompt;                    /* sha256 of what was asked, or NULL */
  cal_usage usage;
  int64_t restores; /* the caption whose text came back by undo or redo; 0: none */
  bool aside;       /* asked for a comparison: kept and found, but it did not become the picture's text */
  bool in_force;    /* the picture's text now; filled by the store */
} cal_caption;

/* One request that may have cost money, or a batch of them; also when no caption came of it. */
typedef struct {
  int64_t id;
  char *provider, *model; /* model, and all that follow: or NULL */
  char *sha;              /* of the picture */
  char *batch, *why;      /* the server's name of a batch; why there is no caption: "blocked: safety" */
  char *time;             /* filled by the store */
  cal_usage usage;
  int64_t caption; /* its id; 0: none */
} cal_spend;

/* id, time, in_force: ignored. One that is not aside becomes the picture's text in force. With `paid` (its caption, provider,
 * model, sha and usage are the caption's own) both are added as one. */
cal_status cal_store_add_caption(cal_store *s, const cal_caption *caption, int64_t *id, cal_error *err);
cal_status cal_store_add_paid_caption(cal_store *s, const cal_caption *caption, const cal_spend *paid, int64_t *id, cal_error *err);
/* The captions of one picture, oldest first; with a key only the newest one under that key. */
cal_status cal_store_captions(cal_store *s, const char *sha, const char *key, cal_caption **list, size_t *count, cal_error *err);
cal_status cal_store_caption_in_force(cal_store *s, const char *sha, cal_caption **list, size_t *count, cal_error *err); /* one or none */
cal_status cal_store_texts(cal_store *s, cal_caption **list, size_t *count, cal_error *err); /* in force, of all pictures; in no order */
void cal_captions_free(cal_caption *list, size_t count);
/* A caption that was there before is its picture's text from now on. CAL_E_NOTFOUND. */
cal_status cal_store_use_caption(cal_store *s, int64_t id, cal_error *err);
/* Pictures with captions whose sha256 begins so, at most `limit`: their sha alone is filled. */
cal_status cal_store_find_pictures(cal_store *s, const char *prefix, int limit, cal_caption **list, size_t *count, cal_error *err);

cal_status cal_store_add_spend(cal_store *s, const cal_spend *spend, int64_t *id, cal_error *err); /* id, time: ignored */
cal_status cal_store_spends(cal_store *s, const char *sha, cal_spend **list, size_t *count,
                            cal_error *err); /* of a picture, oldest first */
void cal_spends_free(cal_spend *list, size_t count);

typedef struct {
  int64_t requests, unknown; /* unknown: those among them whose price nobody knows; they are not in `cost` */
  double cost, tokens_in, tokens_out;
} cal_spent;

/* Sums; provider and since (ISO 8601) may be NULL, run 0: all. */
cal_status cal_store_spent(cal_store *s, const char *provider, const char *since, int64_t run, cal_spent *sum, cal_error *err);

/* What people say of a picture, in one text each. */
typedef struct {
  int64_t id; /* of a draft: the seat */
  char *sha, *text;
} cal_note;
void cal_notes_free(cal_note *list, size_t count);

/* Marks of a kind: "star", of the values "1" to "5", or "reject", with the reason. The newest counts, and NULL takes it back; the older
 * ones stay in the database. */
cal_status cal_store_mark(cal_store *s, const char *sha, const char *kind, const char *value, cal_error *err);
cal_status cal_store_marks(cal_store *s, const char *kind, cal_note **list, size_t *count, cal_error *err); /* in force */

/* What is being typed for a picture at a seat (0: at none) and is no caption yet; NULL: no more. Quick enough for each key, so a power cut
 * may take the last ones. The list has those of all seats. */
cal_status cal_store_draft(cal_store *s, const char *sha, int seat, const char *text, cal_error *err);
cal_status cal_store_drafts(cal_store *s, cal_note **list, size_t *count, cal_error *err);

/* Things that a person did and can undo, in the order of their ids; each belongs to a place (a project's folder). With their changes inside
 * one batch, both are there or neither. They are never deleted. */
typedef struct {
  int64_t id;
  char *place, *title, *detail; /* title: for people; detail: for who undoes it, JSON by convention */
  char *time;                   /* filled by the store */
  bool undone, dropped;         /* undone: can be done again, unless it is dropped as well */
} cal_action;

cal_status cal_store_add_action(cal_store *s, const cal_action *action, int64_t *id,
                                cal_error *err); /* id, time, undone, dropped: ignored */
cal_status cal_store_undo_action(cal_store *s, int64_t id, bool undone,
                                 cal_error *err); /* false: done again. CAL_E_NOTFOUND: none, or dropped */
cal_status cal_store_drop_undone(cal_store *s, const char *place, int *count, cal_error *err); /* something new was done after undoing */
cal_status cal_store_actions(cal_store *s, const char *place, int limit, cal_action **list, size_t *count,
                             cal_error *err); /* newest first */
void cal_actions_free(cal_action *list, size_t count);

typedef struct {
  int64_t id;
  char *recipe, *params, *started;
  char *finished, *status, *detail; /* NULL while it runs, or when it was killed */
} cal_run;

/* Captions and spending that are added through `s` until it is finished belong to the run. */
cal_status cal_store_start_run(cal_store *s, const char *recipe, const char *params, int64_t *id, cal_error *err);
cal_status cal_store_finish_run(cal_store *s, int64_t id, const char *status, const char *detail, cal_error *err);
cal_status cal_store_runs(cal_store *s, int limit, cal_run **list, size_t *count, cal_error *err); /* newest first */
void cal_runs_free(cal_run *list, size_t count);

bool cal_sha256_name(const char *text); /* 64 hexadecimal digits in lower case */

#endif
