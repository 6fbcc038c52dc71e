#include "core/net/download.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/interrupt.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/base/sha1.h"
#include "core/base/sha256.h"
#include "core/net/retry.h"

enum { ATTEMPTS = 5, HOPS = 5, PIECE = 1 << 20 };
static const uint64_t SPARE = 64u << 20; /* bytes of the disk that are left to others */

/* ---- names, sizes, hashes ---- */

bool cal_download_path_ok(const char *path) {
  size_t size = strlen(path);
  if (!size || size > 1024 || !cal_utf8_valid(path, size, NULL)) return false;
  for (const char *part = path;; part++) {
    size_t length = strcspn(part, "/");
    if (!length || length > 200 || part[length - 1] == '.' || part[length - 1] == ' ') return false;
    for (size_t i = 0; i < length; i++)
      if ((unsigned char)part[i] < 32 || part[i] == 127 || part[i] == '\\' || part[i] == ':') return false;
    part += length;
    if (!*part) return true;
  }
}

char *cal_download_size(uint64_t bytes, char *out) {
  if (bytes >= 1000000000) snprintf(out, 32, "%.1f GB", (double)bytes / 1e9);
  else if (bytes >= 1000000) snprintf(out, 32, "%.0f MB", (double)bytes / 1e6);
  else if (bytes >= 1000) snprintf(out, 32, "%.0f kB", (double)bytes / 1e3);
  else snprintf(out, 32, "%u byte%s", (unsigned)bytes, bytes == 1 ? "" : "s");
  return out;
}

typedef struct {
  bool sha256, git; /* which of the two */
  cal_sha256 large;
  cal_sha1 small;
} hasher;

/* The digits say which hash it is: 64 are a sha256, 40 git's name of a blob. */
static size_t hash_kind(const char *text) {
  size_t size = text ? strspn(text, "0123456789abcdef") : 0;
  return (size == 64 || size == 40) && !text[size] ? size : 0;
}

static void hash_start(hasher *h, const char *expected, uint64_t size) {
  h->sha256 = hash_kind(expected) == 64;
  h->git = hash_kind(expected) == 40;
  char head[40];
  int length = snprintf(head, sizeof head, "blob %llu", (unsigned long long)size) + 1;
  cal_sha256_start(&h->large);
  cal_sha1_start(&h->small);
  cal_sha1_add(&h->small, head, (size_t)length);
}

static void hash_add(hasher *h, const void *bytes, size_t size) {
  if (h->sha256) cal_sha256_add(&h->large, bytes, size);
  if (h->git) cal_sha1_add(&h->small, bytes, size);
}

static void hash_end(hasher *h, char hex[72]) {
  hex[0] = 0;
  if (h->sha256) cal_sha256_end(&h->large, hex);
  if (h->git) cal_sha1_end(&h->small, hex);
}

/* The first `size` bytes of an open file. */
static cal_status hash_file(hasher *h, int fd, uint64_t size, const char *path, cal_error *err) {
  char *piece = cal_alloc(PIECE, err);
  cal_status status = piece ? CAL_OK : CAL_E_MEMORY;
  for (uint64_t at = 0; !status && at < size;) {
    size_t want = size - at < PIECE ? (size_t)(size - at) : PIECE;
    ssize_t got = pread(fd, piece, want, (off_t)at);
    if (got < 0 && errno == EINTR) got = 0;
    else if (got <= 0) status = cal_fail_errno(err, got ? errno : EIO, "%s cannot be read", path);
    if (!status) status = cal_interrupt_check(err);
    if (!status) hash_add(h, piece, (size_t)got), at += (uint64_t)got;
  }
  cal_free(piece);
  return status;
}

cal_status cal_download_check(const cal_fs *fs, const char *path, const char *hash, cal_error *err) {
  if (!hash_kind(hash)) return cal_fail(err, CAL_E_ARG, "%s: a hash has 64 or 40 hexadecimal digits", path);
  int fd = cal_fs_open(fs, path, err);
  if (fd < 0) return err ? err->code : CAL_E_IO;
  struct stat st;
  cal_status status = fstat(fd, &st) ? cal_fail_errno(err, errno, "%s cannot be read", path) : CAL_OK;
  hasher h;
  char hex[72];
  if (!status) {
    hash_start(&h, hash, (uint64_t)st.st_size);
    status = hash_file(&h, fd, (uint64_t)st.st_size, path, err);
    hash_end(&h, hex);
  }
  close(fd);
  if (!status && strcmp(hex, hash) != 0)
    status = cal_fail(err, CAL_E_FORMAT, "%s has other bytes than it should: %.12s..., not %.12s...", path, hex, hash);
  return status;
}

/* ---- one file on its way ---- */

typedef enum { FETCHED, AGAIN, CHANGED, FROM_START, FAILED } outcome;

typedef struct {
  cal_hub *hub;
  const cal_download *file;
  cal_error *err;
  char what[600]; /* "owner/name: path" */
  cal_buffer url, hop, part;
  char commit[72], etag[200]; /* as the server says; etag without quotes */
  char expected[72];          /* hash, "" when there is none */
  uint64_t size, have, best;
  int fd;
  hasher hash;
  bool direct;        /* this hop is the hub's own, so that its ETag is the file's */
  bool no_ranges;     /* a server that answered a range with nonsense is asked for all */
  cal_status trouble; /* the sink's: the disk */
  outcome odd;        /* the sink's: what was answered is not what was asked */
} job;

static void copy_etag(const char *text, char out[200]) {
  out[0] = 0;
  if (!text) return;
  if (strncmp(text, "W/", 2) == 0) text += 2;
  if (*text == '"') text++;
  snprintf(out, 200, "%.*s", (int)strcspn(text, "\""), text);
}

static bool number_of(const char *text, uint64_t *number) {
  if (!text || *text < '0' || *text > '9') return false;
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  *number = value;
  return !*end && !errno && value < (uint64_t)1 << 62;
}

static cal_status make_url(job *j, const char *revision) {
  j->url.size = 0;
  cal_buffer_printf(&j->url, "%s/", cal_hub_address(j->hub));
  cal_hub_escape(&j->url, j->file->repository, true);
  cal_buffer_add_text(&j->url, "/resolve/");
  cal_hub_escape(&j->url, revision, false);
  cal_buffer_add_text(&j->url, "/");
  cal_hub_escape(&j->url, j->file->path, true);
  return j->url.failed ? cal_fail(j->err, CAL_E_MEMORY, "not enough memory for an address") : CAL_OK;
}

static bool redirects(int status) { return status == 301 || status == 302 || status == 303 || status == 307 || status == 308; }

static const char *const plain_headers[] = {"Accept-Encoding: identity", NULL};

/* Commit, size and hash, from the hub itself: redirects to its stores are not followed, those of a repository that moved are. */
static cal_status head(job *j) {
  cal_status status = make_url(j, j->file->revision);
  cal_http_reply *reply = NULL;
  j->commit[0] = 0;
  for (int hops = 0; !status; hops++) {
    cal_hub_request ask = {.method = "HEAD", .url = j->url.data, .headers = plain_headers};
    if ((status = cal_hub_ask(j->hub, j->what, &ask, &reply, j->err))) break;
    const char *location = redirects(reply->status) ? cal_http_header(reply, "location") : NULL;
    const char *commit = cal_http_header(reply, "x-repo-commit"); /* a cache that it is handed on to may not know it */
    bool same = false;
    if (commit && strlen(commit) < sizeof j->commit && commit[strspn(commit, "0123456789abcdef")] == 0) strcpy(j->commit, commit);
    if (!location) break;
    status = cal_hub_redirect(j->url.data, location, &j->hop, &same, j->err);
    if (status || !same || cal_http_header(reply, "x-linked-etag") || cal_http_header(reply, "x-linked-size")) break;
    if (hops == HOPS) status = cal_fail(j->err, CAL_E_NETWORK, "%s: more than %d redirects", j->what, HOPS);
    cal_buffer swap = j->url;
    j->url = j->hop, j->hop = swap;
    cal_http_reply_free(reply);
    reply = NULL;
  }
  if (!status) {
    const char *linked = cal_http_header(reply, "x-linked-size");
    bool large = cal_http_header(reply, "x-linked-etag") != NULL, here = reply->status == 200;
    copy_etag(large ? cal_http_header(reply, "x-linked-etag") : here ? cal_http_header(reply, "etag") : NULL, j->etag);
    uint64_t size = 0;
    bool sized = number_of(linked ? linked : here ? cal_http_header(reply, "content-length") : NULL, &size);
    bool odd = cal_http_header(reply, "content-encoding") && strcasecmp(cal_http_header(reply, "content-encoding"), "identity") != 0;
    const char *listed = hash_kind(j->file->hash) ? j->file->hash : NULL;
    if (!sized || odd) size = j->file->size, sized = size > 0 || listed;
    snprintf(j->expected, sizeof j->expected, "%.71s", hash_kind(j->etag) ? j->etag : listed ? listed : "");
    if (!sized) status = cal_fail(j->err, CAL_E_NETWORK, "%s: the server does not say how large it is", j->what);
    else if (hash_kind(j->file->revision) == 40 && j->commit[0] && strcmp(j->commit, j->file->revision) != 0)
      status = cal_fail(j->err, CAL_E_NETWORK, "%s: asked for commit %.12s, the server has %.12s", j->what, j->file->revision, j->commit);
    else if ((listed && hash_kind(j->etag) == hash_kind(listed) && strcmp(j->etag, listed) != 0) ||
             (j->file->size && size != j->file->size))
      status = cal_fail(j->err, CAL_E_BUSY, "%s: it is another file now than when the repository was listed; run this again", j->what);
    j->size = size;
  }
  cal_http_reply_free(reply);
  if (!status && j->commit[0]) status = make_url(j, j->commit);
  return status;
}

/* Parts of other contents of the same file: nobody will go on with them. */
static void drop_old_parts(const job *j) {
  const char *to = j->file->to, *slash = strrchr(to, '/');
  char *folder = cal_copy_text(slash ? to : ".", NULL);
  cal_fs_info *list = NULL;
  size_t count = 0;
  if (folder && slash) folder[slash - to] = 0;
  if (folder && *folder && !cal_fs_list(j->file->fs, folder, false, &list, &count, NULL))
    for (size_t i = 0; i < count; i++) {
      const char *name = strrchr(list[i].path, '/') ? strrchr(list[i].path, '/') + 1 : list[i].path;
      const char *base = slash ? slash + 1 : to, *part = strrchr(j->part.data, '/') ? strrchr(j->part.data, '/') + 1 : j->part.data;
      size_t length = strlen(base);
      bool old = strlen(name) == length + 22 && strncmp(name, base, length) == 0 && name[length] == '.' &&
                 strspn(name + length + 1, "0123456789abcdef") == 16 && strcmp(name + length + 17, ".part") == 0 && strcmp(name, part) != 0;
      if (old) cal_fs_remove(j->file->fs, list[i].path, NULL);
    }
  cal_fs_list_free(list, count);
  cal_free(folder);
}

static void shut(job *j) {
  if (j->fd >= 0) close(j->fd);
  j->fd = -1;
}

static cal_status open_part(job *j) {
  char key[CAL_SHA256_HEX];
  cal_buffer of = {0};
  cal_buffer_printf(&of, "%s %llu %s", j->etag, (unsigned long long)j->size, j->etag[0] ? "" : j->commit);
  cal_sha256_hex(of.data ? of.data : "", of.size, key);
  j->part.size = 0;
  cal_buffer_printf(&j->part, "%s.%.16s.part", j->file->to, key);
  bool failed = of.failed || j->part.failed;
  cal_buffer_free(&of);
  if (failed) return cal_fail(j->err, CAL_E_MEMORY, "not enough memory for a path");
  shut(j);
  j->fd = cal_fs_open_append(j->file->fs, j->part.data, j->err);
  if (j->fd < 0) return j->err->code;
  struct stat st;
  if (flock(j->fd, LOCK_EX | LOCK_NB)) {
    if (errno == EWOULDBLOCK) return cal_fail(j->err, CAL_E_BUSY, "%s is being fetched by another process", j->file->to);
    return cal_fail_errno(j->err, errno, "%s cannot be locked", j->part.data);
  }
  if (fstat(j->fd, &st)) return cal_fail_errno(j->err, errno, "%s cannot be read", j->part.data);
  j->have = (uint64_t)st.st_size;
  if (j->have > j->size || (j->have && !j->etag[0])) { /* nothing says that it is a part of the same content */
    if (ftruncate(j->fd, 0)) return cal_fail_errno(j->err, errno, "%s cannot be written", j->part.data);
    j->have = 0;
  }
  hash_start(&j->hash, j->expected, j->size);
  drop_old_parts(j);
  return hash_file(&j->hash, j->fd, j->have, j->part.data, j->err);
}

static cal_status start_over(job *j) {
  if (ftruncate(j->fd, 0)) return cal_fail_errno(j->err, errno, "%s cannot be written", j->part.data);
  j->have = 0;
  hash_start(&j->hash, j->expected, j->size);
  return CAL_OK;
}

static cal_status enough_room(job *j) {
  uint64_t room = 0;
  char need[32], left[32];
  cal_status status = cal_fs_free_space(j->file->fs, j->part.data, &room, j->err);
  if (!status && (room < SPARE || room - SPARE < j->size - j->have))
    status = cal_fail(j->err, CAL_E_IO, "%s needs %s more, and only %s of the disk are free", j->file->to,
                      cal_download_size(j->size - j->have, need), cal_download_size(room, left));
  return status;
}

/* bytes 100-199/200 */
static bool fits_range(const char *text, uint64_t from, uint64_t size) {
  unsigned long long first, last, all;
  return text && sscanf(text, "bytes %llu-%llu/%llu", &first, &last, &all) == 3 && first == from && all == size && last == size - 1;
}

static cal_status take(void *context, const cal_http_reply *reply, const void *bytes, size_t size, cal_error *err) {
  job *j = context;
  if (!j->odd) { /* the first piece: is this what was asked for? */
    char etag[200];
    copy_etag(cal_http_header(reply, "etag"), etag);
    const char *packed = cal_http_header(reply, "content-encoding");
    if (j->direct && j->etag[0] && etag[0] && strcmp(etag, j->etag) != 0) j->odd = CHANGED;
    else if (packed && strcasecmp(packed, "identity") != 0) j->odd = FAILED;
    else if (reply->status == 206 && !fits_range(cal_http_header(reply, "content-range"), j->have, j->size)) j->odd = FROM_START;
    else {
      j->odd = AGAIN;
      if (reply->status != 206 && j->have) {
        cal_debug(2, "hub: %s: the server sends all of it again", j->what);
        j->trouble = start_over(j);
      }
    }
    if (j->odd == FAILED)
      cal_fail(j->err, CAL_E_NETWORK, "%s: the server sends it compressed (%.20s), which was not asked for", j->what, packed);
  }
  if (j->odd != AGAIN || j->trouble) return cal_fail(err, CAL_E_NETWORK, "stopped");
  if (size > j->size - j->have) {
    j->odd = FROM_START;
    return cal_fail(err, CAL_E_NETWORK, "more bytes than the file has");
  }
  for (const char *at = bytes; size;) {
    ssize_t put = write(j->fd, at, size);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      j->trouble = cal_fail_errno(j->err, errno, "%s cannot be written", j->part.data);
      return cal_fail(err, CAL_E_IO, "stopped");
    }
    hash_add(&j->hash, at, (size_t)put);
    j->have += (uint64_t)put;
    at += put, size -= (size_t)put;
  }
  if (j->file->progress) j->file->progress(j->file->context, j->have);
  if (j->have < j->size && cal_interrupt_check(j->err)) return j->trouble = CAL_E_INTERRUPT, cal_fail(err, CAL_E_INTERRUPT, "stopped");
  return CAL_OK;
}

/* One attempt at the rest of the file. *reply is the last one, for the sentence; NULL when it is of no use. */
static outcome transfer(job *j, cal_http_reply **reply) {
  char range[64];
  snprintf(range, sizeof range, "Range: bytes=%llu-", (unsigned long long)j->have);
  const char *headers[] = {plain_headers[0], j->have ? range : NULL, NULL};
  cal_buffer url = {0};
  cal_buffer_add_text(&url, j->url.data);
  outcome out = url.failed ? (cal_fail(j->err, CAL_E_MEMORY, "not enough memory for an address"), FAILED) : FETCHED;
  j->direct = true;
  for (int hops = 0; out == FETCHED; hops++) {
    j->trouble = CAL_OK;
    j->odd = FETCHED;
    cal_hub_request ask = {.url = url.data, .headers = headers, .sink = take, .sink_context = j};
    if (cal_hub_send(j->hub, &ask, reply, j->err)) out = FAILED;
    else if (j->trouble) out = FAILED;
    else if (j->odd > AGAIN) out = j->odd;
    else if ((*reply)->failure) out = AGAIN;
    else if (redirects((*reply)->status)) {
      const char *location = cal_http_header(*reply, "location"), *linked = cal_http_header(*reply, "x-linked-etag");
      char etag[200];
      bool same = false;
      copy_etag(linked, etag);
      if (linked && strcmp(etag, j->etag) != 0) out = CHANGED;
      else if (!location || hops == HOPS) cal_fail(j->err, CAL_E_NETWORK, "%s: redirects that lead nowhere", j->what), out = FAILED;
      else if (cal_hub_redirect(url.data, location, &j->hop, &same, j->err)) out = FAILED;
      else {
        cal_buffer swap = url;
        url = j->hop, j->hop = swap;
        if (!same || linked) j->direct = false;
        cal_http_reply_free(*reply);
        *reply = NULL;
      }
      continue;
    } else if ((*reply)->status == 416) out = FROM_START;
    else if ((*reply)->status >= 300) out = AGAIN;
    else break;
  }
  cal_buffer_free(&url);
  if (out == FETCHED && j->have < j->size) out = AGAIN; /* a reply that says it is whole and is not */
  return out;
}

static void add_kept(job *j) { /* to a sentence: what is here, and that the next run goes on */
  char here[32], all[32];
  if (!j->have || j->fd < 0) return;
  cal_error before = *j->err;
  if (before.code == CAL_E_INTERRUPT) snprintf(before.text, sizeof before.text, "%s", j->what);
  cal_fail(j->err, before.code, "%s; %s of %s are kept, and the same command goes on from there", before.text,
           cal_download_size(j->have, here), cal_download_size(j->size, all));
}

static cal_status not_again(job *j, const cal_http_reply *reply) {
  cal_status status = CAL_E_NETWORK;
  if (reply && (reply->failure || reply->status >= 300)) status = cal_hub_explain(j->hub, j->what, reply, j->err);
  else cal_fail(j->err, CAL_E_NETWORK, "%s: the server ends its replies too early", j->what);
  add_kept(j);
  return status;
}

static cal_status fetch(job *j) {
  int attempt = 0, changes = 0, restarts = 0;
  while (j->have < j->size) {
    cal_http_reply *reply = NULL;
    outcome out = transfer(j, &reply);
    cal_status status = CAL_OK;
    if (j->have > j->best) j->best = j->have, attempt = 0;
    if (out == FAILED) {
      status = j->err->code;
      if (status == CAL_E_INTERRUPT || status == CAL_E_IO) add_kept(j);
    } else if (out == CHANGED) {
      if (++changes > 2) status = cal_fail(j->err, CAL_E_BUSY, "%s: it changes while it is being fetched; try again later", j->what);
      else if (!(status = head(j)) && !(status = open_part(j))) status = enough_room(j);
    } else if (out == FROM_START) {
      if (++restarts > 2) status = cal_fail(j->err, CAL_E_NETWORK, "%s: the server sends other pieces than it is asked for", j->what);
      else status = start_over(j);
    } else if (out == AGAIN) {
      bool store = reply && !reply->failure && reply->status == 403 && !j->direct; /* a signed address that is too old: ask for a new one */
      cal_retry_case failed = {
          .attempt = attempt + 1, .attempts = ATTEMPTS, .transfer = CAL_TRANSFER_CUT, .hint = -1, .random = 0.5, .left = -1};
      attempt++;
      if (reply && reply->failure) failed.transfer = reply->failure;
      else if (reply && reply->status >= 300 && !store) failed.transfer = CAL_TRANSFER_OK, failed.status = reply->status;
      if (reply) failed.hint = cal_hub_hint(reply);
      cal_retry_advice advice = cal_retry(&failed);
      if (advice.what != CAL_RETRY_WAIT) status = not_again(j, reply);
      else {
        cal_debug(2, "hub: %s: again in %.1f s: %s", j->what, advice.seconds, advice.why);
        status = cal_hub_sleep(advice.seconds, j->err);
        if (status) add_kept(j);
      }
    }
    cal_http_reply_free(reply);
    if (status) return status;
  }
  return CAL_OK;
}

cal_status cal_download_file(cal_hub *hub, const cal_download *file, cal_download_result *result, cal_error *err) {
  cal_error own = {0};
  if (!err) err = &own;
  *result = (cal_download_result){0};
  job j = {.hub = hub, .file = file, .err = err, .fd = -1};
  if (!cal_download_path_ok(file->path)) {
    cal_buffer shown = {0};
    cal_buffer_add_printable(&shown, file->path, strnlen(file->path, 200));
    for (size_t i = 0; i < shown.size; i++)
      if (shown.data[i] == '\n' || shown.data[i] == '\t') shown.data[i] = ' ';
    cal_fail(err, CAL_E_ARG, "%s: \"%s\" is no name for a file below a folder", file->repository, shown.data ? shown.data : "");
    cal_buffer_free(&shown);
    return CAL_E_ARG;
  }
  snprintf(j.what, sizeof j.what, "%.200s: %.350s", file->repository, file->path);
  cal_status status = head(&j);
  for (int turn = 0; !status; turn++) {
    if ((status = open_part(&j)) || (status = enough_room(&j))) break;
    if (!turn) result->kept = j.best = j.have;
    if (file->progress) file->progress(file->context, j.have);
    if ((status = fetch(&j))) break;
    hash_end(&j.hash, result->hash);
    if (strcmp(result->hash, j.expected) == 0) break;
    char found[72];
    snprintf(found, sizeof found, "%s", result->hash);
    status = start_over(&j);
    j.best = 0;
    if (!status && turn) {
      status =
          cal_fail(err, CAL_E_FORMAT, "%s: twice its bytes were not those that the hub promises (%.12s..., not %.12s...); nothing is kept",
                   j.what, found, j.expected);
      cal_fs_remove(file->fs, j.part.data, NULL);
    }
  }
  if (!status) status = cal_fs_rename(file->fs, j.part.data, file->to, err);
  if (!status) {
    result->size = j.size;
    snprintf(result->commit, sizeof result->commit, "%s", j.commit);
  } else if (j.fd >= 0 && !j.have && j.part.data) cal_fs_remove(file->fs, j.part.data, NULL);
  shut(&j);
  cal_buffer_free(&j.url);
  cal_buffer_free(&j.hop);
  cal_buffer_free(&j.part);
  return status;
}
