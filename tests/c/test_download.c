/* Downloads, against two small servers on loopback: the hub, and the store it redirects to. */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/interrupt.h"
#include "core/base/progress.h"
#include "core/base/sha1.h"
#include "core/base/sha256.h"
#include "core/net/download.h"
#include "test.h"

enum { SIZE = 300000, REQUESTS = 100 };
static unsigned char content[SIZE];
static char sha[CAL_SHA256_HEX], git[CAL_SHA1_HEX];
static const char commit[] = "0123456789012345678901234567890123456789";

/* ---- the servers ---- */

typedef struct {
  char method[8], target[300], range[64], key[100];
  int server;
} request;

static struct {
  bool large;                    /* lies in the store: HEAD and GET are redirects */
  const char *etag, *etag_later; /* instead of the right one; from the second request on */
  const char *etag_get;          /* that a GET tells */
  size_t size;                   /* that HEAD tells; 0: the right one */
  size_t cut;                    /* bytes after which the connection ends */
  int cuts;                      /* how often */
  bool no_ranges, odd_range, gzip, no_etag, no_length, early_end, no_commit;
  int status, times; /* the hub's first answers */
  int store_status, store_times;
  const char *error_code, *extra; /* X-Error-Code; a header line of the hub */
  const char *moved;              /* where a request for /old goes */
  const char *body;               /* of /api/ */
  int wrong;                      /* this many times the bytes are others */
} say;

static request seen[REQUESTS];
static int seen_count;
static int ports[2];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void put(int fd, const void *bytes, size_t size) {
  for (const char *at = bytes; size;) {
    ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
    if (sent <= 0) return;
    at += sent, size -= (size_t)sent;
  }
}

static void put_text(int fd, const char *format, ...) CAL_PRINTF(2, 3);
static void put_text(int fd, const char *format, ...) {
  char text[2000];
  va_list args;
  va_start(args, format);
  int size = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  put(fd, text, (size_t)size);
}

static void put_file(int fd, const request *r, const char *etag) {
  static unsigned char other[SIZE];
  size_t from = 0, size = SIZE;
  if (*r->range && !say.no_ranges) sscanf(r->range, "bytes=%zu-", &from);
  if (from >= size) {
    put_text(fd, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    return;
  }
  put_text(fd, "HTTP/1.1 %s\r\nConnection: close\r\n", from ? "206 Partial Content" : "200 OK");
  if (from) put_text(fd, "Content-Range: bytes %zu-%zu/%zu\r\n", say.odd_range ? from + 1 : from, size - 1, size);
  if (etag) put_text(fd, "ETag: \"%s\"\r\n", etag);
  if (say.gzip) put_text(fd, "Content-Encoding: gzip\r\n");
  size_t length = size - from;
  if (say.early_end && say.cuts) length = say.cut, say.cuts--;
  put_text(fd, "Content-Length: %zu\r\n\r\n", length);
  if (say.cut && say.cuts > 0 && say.cut < length) length = say.cut, say.cuts--;
  memcpy(other, content, SIZE);
  if (say.wrong) other[SIZE - 1] ^= 1, say.wrong--;
  put(fd, other + from, length);
}

static void answer_hub(int fd, const request *r) {
  const char *right = say.large ? sha : git;
  const char *etag = say.etag_later && seen_count > 1 ? say.etag_later : say.etag ? say.etag : right;
  bool head = strcmp(r->method, "HEAD") == 0;
  if (!head && say.etag_get) etag = say.etag_get;
  if (say.times > 0) {
    say.times--;
    put_text(fd, "HTTP/1.1 %d X\r\nContent-Length: 0\r\nConnection: close\r\n", say.status);
    if (say.error_code) put_text(fd, "X-Error-Code: %s\r\n", say.error_code);
    if (say.extra) put_text(fd, "%s\r\n", say.extra);
    put_text(fd, "\r\n");
  } else if (say.moved && strncmp(r->target, "/old", 4) == 0) {
    put_text(fd, "HTTP/1.1 307 Moved\r\nX-Repo-Commit: %s\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", commit,
             say.moved);
  } else if (strncmp(r->target, "/api/", 5) == 0) {
    put_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n%s", strlen(say.body), say.extra ? say.extra : "",
             say.body);
  } else if (say.large) {
    put_text(fd, "HTTP/1.1 302 Found\r\nX-Repo-Commit: %s\r\nX-Linked-Etag: \"%s\"\r\nX-Linked-Size: %zu\r\n%s", commit, etag,
             say.size ? say.size : (size_t)SIZE, say.extra ? say.extra : "");
    put_text(fd, "Location: http://127.0.0.1:%d/store?Signature=abc\r\nContent-Length: 20\r\nConnection: close\r\n\r\n%s", ports[1],
             head ? "" : "a redirect with text");
  } else if (head) {
    put_text(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n%s", say.extra ? say.extra : "");
    if (!say.no_commit) put_text(fd, "X-Repo-Commit: %s\r\n", commit);
    if (!say.no_etag) put_text(fd, "ETag: W/\"%s\"\r\n", etag);
    if (!say.no_length) put_text(fd, "Content-Length: %zu\r\n", say.size ? say.size : (size_t)SIZE);
    put_text(fd, "\r\n");
  } else put_file(fd, r, say.no_etag ? NULL : etag);
}

static void answer_store(int fd, const request *r) {
  if (say.store_times > 0) {
    say.store_times--;
    put_text(fd, "HTTP/1.1 %d X\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngone", say.store_status);
  } else put_file(fd, r, NULL);
}

static void header(const char *text, const char *name, char *out, size_t size) {
  for (const char *line = text; (line = strstr(line, "\r\n"));) {
    line += 2;
    size_t length = strlen(name);
    if (strncasecmp(line, name, length) == 0 && line[length] == ':')
      snprintf(out, size, "%.*s", (int)strcspn(line + length + 2, "\r"), line + length + 2);
  }
}

static void *serve(void *context) {
  const int *listener = context;
  for (;;) {
    int fd = accept(*listener, NULL, NULL);
    if (fd < 0) continue;
    char text[8192];
    size_t size = 0;
    for (ssize_t got; size < sizeof text - 1 && (got = recv(fd, text + size, sizeof text - 1 - size, 0)) > 0;) {
      size += (size_t)got;
      text[size] = 0;
      if (strstr(text, "\r\n\r\n")) break;
    }
    text[size] = 0;
    request r = {.server = listener == context ? 0 : 1};
    struct sockaddr_in own;
    socklen_t length = sizeof own;
    getsockname(fd, (struct sockaddr *)&own, &length);
    r.server = ntohs(own.sin_port) == ports[1];
    if (sscanf(text, "%7s %299s", r.method, r.target) == 2) {
      header(text, "Range", r.range, sizeof r.range);
      header(text, "Authorization", r.key, sizeof r.key);
      pthread_mutex_lock(&lock);
      if (seen_count < REQUESTS) seen[seen_count++] = r;
      if (r.server) answer_store(fd, &r);
      else answer_hub(fd, &r);
      pthread_mutex_unlock(&lock);
    }
    shutdown(fd, SHUT_WR);
    while (recv(fd, text, sizeof text, 0) > 0) {
    }
    close(fd);
  }
  return NULL;
}

static cal_fs *fs;
static char folder[400], target[500];

static void start_servers(void) {
  static int listeners[2];
  for (int i = 0; i < 2; i++) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    listeners[i] = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listeners[i], (struct sockaddr *)&at, size) || listen(listeners[i], 16) ||
        getsockname(listeners[i], (struct sockaddr *)&at, &size))
      return;
    ports[i] = ntohs(at.sin_port);
    pthread_t thread;
    pthread_create(&thread, NULL, serve, &listeners[i]);
  }
  unsigned state = 7;
  for (size_t i = 0; i < SIZE; i++) content[i] = (unsigned char)((state = state * 1664525 + 1013904223) >> 24);
  cal_sha256_hex(content, SIZE, sha);
  cal_sha1 h;
  cal_sha1_start(&h);
  cal_sha1_add(&h, "blob 300000", 12);
  cal_sha1_add(&h, content, SIZE);
  cal_sha1_end(&h, git);
}

/* A fresh world for one test: an empty folder, servers that behave, no key. */
static cal_hub *begin(void) {
  if (!ports[0]) start_servers();
  cal_error err = {0};
  const char *tmp = getenv("CALOTYPE_TEST_TMP");
  snprintf(folder, sizeof folder, "%s/download", tmp ? tmp : "/tmp");
  snprintf(target, sizeof target, "%s/vae/a.bin", folder);
  mkdir(folder, 0777);
  CHECK(chdir(folder) == 0);
  cal_fs_free(fs);
  fs = cal_fs_new(NULL, CAL_FS_GUARDED, &err);
  CHECK(fs && !cal_fs_grant(fs, folder, CAL_FS_READ | CAL_FS_WRITE, &err));
  cal_fs_info *list = NULL;
  size_t count = 0;
  cal_fs_list(fs, folder, true, &list, &count, NULL);
  for (size_t i = 0; i < count; i++)
    if (list[i].kind == CAL_FS_FILE) unlink(list[i].path);
  cal_fs_list_free(list, count);
  cal_env_forget();
  cal_interrupt_clear();
  cal_progress_quiet(1);
  unsetenv("HF_TOKEN");
  unsetenv("HUGGING_FACE_HUB_TOKEN");
  char address[60];
  snprintf(address, sizeof address, "http://127.0.0.1:%d/", ports[0]);
  setenv("HF_ENDPOINT", address, 1);
  memset(&say, 0, sizeof say);
  seen_count = 0;
  cal_hub *hub = cal_hub_open(&err);
  if (!hub) printf("  %s\n", err.text);
  CHECK(hub != NULL);
  return hub;
}

static uint64_t stop_at, last_progress;
static void on_progress(void *context, uint64_t done) {
  (void)context;
  last_progress = done;
  if (stop_at && done >= stop_at) stop_at = 0, cal_interrupt_raise();
}

static cal_error err;
static cal_download_result done;

static cal_status get_with(cal_hub *hub, const char *revision, const char *hash, uint64_t size) {
  err = (cal_error){0};
  cal_download file = {.fs = fs,
                       .repository = "own/er",
                       .revision = revision,
                       .path = "vae/a b.bin",
                       .to = target,
                       .hash = hash,
                       .size = size,
                       .progress = on_progress};
  cal_status status = cal_download_file(hub, &file, &done, &err);
  return status;
}

static cal_status get(cal_hub *hub) { return get_with(hub, "main", NULL, 0); }

static bool here(void) { /* the right bytes, under the right name, and nothing else */
  cal_buffer b = {0};
  cal_error e = {0};
  bool right = !cal_fs_read(fs, target, 0, &b, &e) && b.size == SIZE && memcmp(b.data, content, SIZE) == 0;
  cal_buffer_free(&b);
  cal_fs_info *list = NULL;
  size_t count = 0, files = 0;
  cal_fs_list(fs, folder, true, &list, &count, NULL);
  for (size_t i = 0; i < count; i++) files += list[i].kind == CAL_FS_FILE;
  cal_fs_list_free(list, count);
  return right && files == 1;
}

static uint64_t part_size(char *name) { /* of the one part; its path into `name` */
  cal_fs_info *list = NULL;
  size_t count = 0;
  uint64_t size = 0;
  int parts = 0;
  cal_fs_list(fs, folder, true, &list, &count, NULL);
  for (size_t i = 0; i < count; i++)
    if (strstr(list[i].path, ".part")) parts++, size = list[i].size, name ? (void)snprintf(name, 600, "%s", list[i].path) : (void)0;
  cal_fs_list_free(list, count);
  return parts == 1 ? size : 0;
}

/* ---- tests ---- */

TEST(a_small_file_comes_from_the_hub_at_its_commit_and_is_checked_by_git_s_hash) {
  cal_hub *hub = begin();
  CHECK(!get(hub) && here());
  CHECK_TEXT(done.hash, git);
  CHECK_TEXT(done.commit, commit);
  CHECK(done.size == SIZE && done.kept == 0 && last_progress == SIZE && seen_count == 2);
  CHECK_TEXT(seen[0].method, "HEAD");
  CHECK_TEXT(seen[0].target, "/own/er/resolve/main/vae/a%20b.bin");
  CHECK_TEXT(seen[1].target, "/own/er/resolve/0123456789012345678901234567890123456789/vae/a%20b.bin");
  CHECK_TEXT(seen[1].key, "");
  cal_hub_close(hub);
}

TEST(a_large_file_comes_from_the_store_which_never_sees_the_key) {
  cal_hub_close(begin());
  setenv("HF_TOKEN", "hf_0123456789abcdefghij", 1);
  cal_hub *hub = cal_hub_open(&err);
  say.large = true;
  CHECK(!get_with(hub, "refs/pr/1", sha, SIZE) && here());
  CHECK_TEXT(done.hash, sha);
  CHECK(seen_count == 3 && seen[2].server == 1);
  CHECK_TEXT(seen[0].target, "/own/er/resolve/refs%2Fpr%2F1/vae/a%20b.bin");
  CHECK_TEXT(seen[0].key, "Bearer hf_0123456789abcdefghij");
  CHECK_TEXT(seen[1].key, "Bearer hf_0123456789abcdefghij");
  CHECK_TEXT(seen[2].key, "");
  CHECK_TEXT(seen[2].target, "/store?Signature=abc");
  cal_hub_close(hub);
}

TEST(a_cut_transfer_goes_on_with_a_range) {
  cal_hub *hub = begin();
  say.large = true, say.cut = 100000, say.cuts = 2;
  CHECK(!get(hub) && here());
  CHECK(seen_count == 7);
  CHECK_TEXT(seen[4].range, "bytes=100000-");
  CHECK_TEXT(seen[6].range, "bytes=200000-");
  CHECK_TEXT(seen[5].range, "bytes=200000-"); /* the hub is asked each time: signed addresses grow old */
  cal_hub_close(hub);
}

TEST(attempts_are_counted_anew_when_more_has_come) {
  cal_hub *hub = begin();
  say.cut = 45000, say.cuts = 6; /* one more than there are attempts */
  CHECK(!get(hub) && here());
  CHECK(seen_count == 8);
  cal_hub_close(hub);
}

TEST(ctrl_c_keeps_the_part_and_the_next_run_goes_on) {
  cal_hub *hub = begin();
  say.large = true;
  stop_at = 1;
  CHECK(get(hub) == CAL_E_INTERRUPT);
  CHECK(strstr(err.text, "kept, and the same command goes on from there") != NULL);
  uint64_t kept = part_size(NULL);
  CHECK(kept > 0 && kept < SIZE && access(target, F_OK) != 0);
  cal_interrupt_clear();
  seen_count = 0;
  CHECK(!get(hub) && here());
  CHECK(done.kept == kept);
  char range[64];
  snprintf(range, sizeof range, "bytes=%llu-", (unsigned long long)kept);
  CHECK_TEXT(seen[2].range, range);
  cal_hub_close(hub);
}

static void make_part(cal_hub *hub) { /* the first third of the file, as a run before left it */
  say.large = true;
  stop_at = 1;
  CHECK(get(hub) == CAL_E_INTERRUPT);
  cal_interrupt_clear();
  seen_count = 0;
}

TEST(a_server_without_ranges_sends_all_of_it_again) {
  cal_hub *hub = begin();
  make_part(hub);
  say.no_ranges = true;
  CHECK(!get(hub) && here());
  CHECK(seen[2].range[0] && seen_count == 3);
  cal_hub_close(hub);
}

TEST(a_range_that_is_another_one_is_not_believed) {
  cal_hub *hub = begin();
  make_part(hub);
  say.odd_range = true;
  CHECK(!get(hub) && here());
  CHECK(seen_count == 5 && seen[2].range[0] && !seen[4].range[0]);
  cal_hub_close(hub);
}

TEST(a_part_as_long_as_the_file_is_only_checked) {
  cal_hub *hub = begin();
  make_part(hub);
  char part[600];
  part_size(part);
  FILE *f = fopen(part, "wb");
  CHECK(f && fwrite(content, 1, SIZE, f) == SIZE && !fclose(f));
  CHECK(!get(hub) && here());
  CHECK(seen_count == 1 && done.kept == SIZE);
  cal_hub_close(hub);
}

TEST(a_part_with_wrong_bytes_is_found_out_and_fetched_again) {
  cal_hub *hub = begin();
  make_part(hub);
  char part[600];
  part_size(part);
  FILE *f = fopen(part, "r+b");
  CHECK(f && fputc(content[0] ^ 1, f) != EOF && !fclose(f));
  CHECK(!get(hub) && here());
  cal_hub_close(hub);
}

TEST(a_refused_range_starts_over) {
  cal_hub *hub = begin();
  make_part(hub);
  say.store_status = 416, say.store_times = 1;
  CHECK(!get(hub) && here());
  CHECK(seen_count == 5 && !seen[4].range[0]);
  cal_hub_close(hub);
}

TEST(a_file_that_changes_between_head_and_get_is_begun_anew) {
  cal_hub *hub = begin();
  static const char other[] = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
  say.large = true, say.etag = other, say.etag_later = sha;
  CHECK(!get(hub) && here());
  CHECK_TEXT(done.hash, sha);
  CHECK(seen_count == 5);
  hub = (cal_hub_close(hub), begin());
  say.etag_get = "0000000000000000000000000000000000000000"; /* a small one, each time */
  CHECK(get(hub) == CAL_E_BUSY && strstr(err.text, "changes while it is being fetched") && access(target, F_OK) != 0);
  cal_hub_close(hub);
}

TEST(a_part_of_another_content_is_not_gone_on_with) {
  cal_hub *hub = begin();
  make_part(hub);
  char part[600], older[700];
  part_size(part);
  snprintf(older, sizeof older, "%s.00000000000000ff.part", target);
  CHECK(rename(part, older) == 0);
  CHECK(!get(hub) && here());
  CHECK(!seen[2].range[0]);
  cal_hub_close(hub);
}

TEST(bytes_that_are_wrong_twice_are_refused_and_not_kept) {
  cal_hub *hub = begin();
  say.wrong = 1;
  CHECK(!get(hub) && here()); /* once: fetched again */
  hub = (cal_hub_close(hub), begin());
  say.wrong = 2;
  CHECK(get(hub) == CAL_E_FORMAT && strstr(err.text, "not those that the hub promises"));
  CHECK(access(target, F_OK) != 0 && part_size(NULL) == 0);
  cal_hub_close(hub);
}

TEST(what_the_list_said_must_hold) {
  cal_hub *hub = begin();
  CHECK(get_with(hub, "main", "0000000000000000000000000000000000000000", SIZE) == CAL_E_BUSY && strstr(err.text, "another file now"));
  CHECK(get_with(hub, "main", git, SIZE - 1) == CAL_E_BUSY);
  CHECK(get_with(hub, "1111111111111111111111111111111111111111", git, SIZE) == CAL_E_NETWORK &&
        strstr(err.text, "asked for commit 111111111111"));
  say.no_etag = say.no_length = true; /* then the list is all there is */
  CHECK(!get_with(hub, commit, git, SIZE) && here());
  CHECK_TEXT(done.hash, git);
  CHECK(get(hub) == CAL_E_NETWORK && strstr(err.text, "does not say how large"));
  cal_hub_close(hub);
}

TEST(a_file_without_any_hash_is_taken_by_its_size_and_says_so) {
  cal_hub *hub = begin();
  say.no_etag = true;
  CHECK(!get(hub) && here());
  CHECK_TEXT(done.hash, "");
  cal_hub_close(hub);
}

TEST(a_disk_without_room_is_told_before_anything_is_fetched) {
  cal_hub *hub = begin();
  say.size = (size_t)1 << 60;
  CHECK(get(hub) == CAL_E_IO && strstr(err.text, "needs 1152921504.6 GB more, and only"));
  CHECK(seen_count == 1 && part_size(NULL) == 0 && access(target, F_OK) != 0);
  cal_hub_close(hub);
}

TEST(a_disk_that_fills_up_keeps_what_is_there) {
  cal_hub *hub = begin();
  struct rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &(struct rlimit){100000, before.rlim_max});
  cal_status status = get(hub);
  setrlimit(RLIMIT_FSIZE, &before);
  CHECK(status == CAL_E_IO && strstr(err.text, "cannot be written") && strstr(err.text, "100 kB of 300 kB are kept"));
  CHECK(part_size(NULL) == 100000);
  CHECK(!get(hub) && here());
  CHECK(done.kept == 100000);
  cal_hub_close(hub);
}

TEST(what_may_pass_is_tried_again_and_what_will_not_is_said) {
  cal_hub *hub = begin();
  say.status = 503, say.times = 1;
  CHECK(!get(hub) && here() && seen_count == 3);
  hub = (cal_hub_close(hub), begin());
  say.large = true, say.store_status = 403, say.store_times = 1; /* a signed address that grew old */
  CHECK(!get(hub) && here() && seen_count == 5);
  hub = (cal_hub_close(hub), begin());
  say.early_end = true, say.cut = 1000, say.cuts = 1;
  CHECK(!get(hub) && here());
  hub = (cal_hub_close(hub), begin());
  say.gzip = true;
  CHECK(get(hub) == CAL_E_NETWORK && strstr(err.text, "compressed (gzip)") && part_size(NULL) == 0);
  hub = (cal_hub_close(hub), begin());
  say.status = 429, say.times = 9, say.extra = "RateLimit: \"api\";r=0;t=900";
  CHECK(get(hub) == CAL_E_BUSY && strstr(err.text, "asks for a pause of 15 min 1 s; with HF_TOKEN it allows more") && seen_count == 1);
  cal_hub_close(hub);
}

static const char *refusal(const char *key, int status, const char *code) {
  cal_hub_close(begin());
  if (key) setenv("HF_TOKEN", key, 1);
  cal_hub *hub = cal_hub_open(&err);
  say.status = status, say.times = 9, say.error_code = code;
  CHECK(get(hub) != CAL_OK && seen_count == 1);
  cal_hub_close(hub);
  return err.text;
}

TEST(every_refusal_says_what_to_do) {
  const char *key = "hf_0123456789abcdefghij";
  CHECK(strstr(refusal(NULL, 401, "RepoNotFound"), "own/er: vae/a b.bin: there is no such repository, or it is private (401)"));
  CHECK(strstr(refusal(NULL, 401, "RepoNotFound"), "put HF_TOKEN=... into the environment or .env"));
  CHECK(strstr(refusal(key, 401, NULL), "does not accept HF_TOKEN"));
  CHECK(strstr(refusal(NULL, 401, "GatedRepo"), "is gated: accept its terms at http://127.0.0.1:") &&
        strstr(err.text, "/own/er in a browser, make a key"));
  CHECK(strstr(refusal(key, 403, "GatedRepo"), "/own/er in a browser, accept its terms with the account that HF_TOKEN belongs to"));
  CHECK(err.code == CAL_E_DENIED && !strstr(err.text, "0123456789abcdefghij"));
  CHECK(strstr(refusal(key, 403, NULL), "does HF_TOKEN have the right to read it?"));
  CHECK(strstr(refusal(NULL, 404, "EntryNotFound"), "no such file (404)") && err.code == CAL_E_NOTFOUND);
  CHECK(strstr(refusal(NULL, 404, "RevisionNotFound"), "no such revision"));
  CHECK(strstr(refusal(NULL, 404, "RepoNotFound"), "no such repository (404)"));
  CHECK(strstr(refusal(NULL, 418, NULL), "answers with status 418"));
}

TEST(names_from_a_server_do_not_lead_out) {
  const char *good[] = {"a", "a/b.c", ".gitattributes", "a b/\xc3\xa4", "a..b", "-x"};
  const char *bad[] = {"",     "/a",  "a/",   "a//b", ".",  "..", "a/../b", "../a", "a/..",
                       "a\\b", "c:a", "a\nb", "a/.",  "a.", "a ", "a\x7f",  "\xff", "..."};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) CHECK(cal_download_path_ok(good[i]));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!cal_download_path_ok(bad[i]));
  cal_hub *hub = begin();
  cal_download file = {.fs = fs, .repository = "own/er", .revision = "main", .path = "a/../../x\n", .to = target};
  CHECK(cal_download_file(hub, &file, &done, &err) == CAL_E_ARG && seen_count == 0 && !strchr(err.text, '\n'));
  file.path = "x", file.to = "/tmp/calotype-elsewhere";
  CHECK(cal_download_file(hub, &file, &done, &err) == CAL_E_DENIED);
  char guarded[500];
  snprintf(guarded, sizeof guarded, "%s/.env", folder);
  file.to = guarded; /* a repository that brings settings of its own */
  CHECK(cal_download_file(hub, &file, &done, &err) == CAL_E_DENIED && access(guarded, F_OK) != 0);
  cal_hub_close(hub);
}

TEST(one_process_fetches_a_file) {
  cal_hub *hub = begin();
  make_part(hub);
  char part[600];
  part_size(part);
  int ready[2];
  char byte = 0;
  CHECK(pipe(ready) == 0);
  pid_t child = fork(); /* a lock is the process's */
  if (child == 0) {
    int fd = cal_fs_open_append(fs, part, NULL);
    if (flock(fd, LOCK_EX) == 0 && write(ready[1], "x", 1) == 1) pause();
    _exit(1);
  }
  close(ready[1]);
  CHECK(read(ready[0], &byte, 1) == 1);
  close(ready[0]);
  CHECK(get(hub) == CAL_E_BUSY && strstr(err.text, "is being fetched by another process"));
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  CHECK(!get(hub) && here());
  cal_hub_close(hub);
}

/* ---- the hub itself ---- */

TEST(lists_come_in_pages_from_the_same_host) {
  cal_hub *hub = begin();
  cal_buffer body = {0}, next = {0};
  say.body = "[1]", say.extra = "Link: <https://x/first>; rel=\"first\", </api/list?cursor=2>; rel=\"next\"\r\n";
  CHECK(!cal_hub_get(hub, "own/er", "/api/list", &body, &next, &err));
  CHECK_TEXT(body.data, "[1]");
  char expected[100];
  snprintf(expected, sizeof expected, "%s/api/list?cursor=2", cal_hub_address(hub));
  CHECK_TEXT(next.data, expected);
  body.size = 0;
  CHECK(!cal_hub_get(hub, "own/er", expected, &body, NULL, &err) && body.size == 3);
  CHECK(cal_hub_get(hub, "own/er", "https://elsewhere/x", &body, NULL, &err) == CAL_E_ARG);
  say.extra = "Link: <https://elsewhere/api/list>; rel=\"next\"\r\n";
  body.size = next.size = 0;
  CHECK(cal_hub_get(hub, "own/er", "/api/list", &body, &next, &err) == CAL_E_NETWORK && strstr(err.text, "at another host"));
  say.extra = "Link: <</>, <x\r\n";
  CHECK(!cal_hub_get(hub, "own/er", "/api/list", &body, &next, &err) && !next.size);
  say.extra = NULL, say.moved = "/api/new"; /* a repository with a new name */
  body.size = 0;
  CHECK(!cal_hub_get(hub, "own/er", "/old", &body, &next, &err) && body.size == 3);
  say.moved = "/old";
  CHECK(cal_hub_get(hub, "own/er", "/old", &body, &next, &err) == CAL_E_NETWORK && strstr(err.text, "lead nowhere"));
  say.moved = "https://elsewhere/api";
  CHECK(cal_hub_get(hub, "own/er", "/old", &body, &next, &err) == CAL_E_NETWORK && strstr(err.text, "another host"));
  cal_buffer_free(&body);
  cal_buffer_free(&next);
  cal_hub_close(hub);
}

TEST(a_moved_repository_is_followed_for_files_too) {
  cal_hub *hub = begin();
  say.moved = "/new/er/resolve/main/x";
  cal_download file = {.fs = fs, .repository = "old/er", .revision = "main", .path = "x", .to = target};
  say.no_commit = true; /* where it is handed on to */
  CHECK(!cal_download_file(hub, &file, &done, &err) && here());
  CHECK_TEXT(done.commit, commit);
  cal_hub_close(hub);
}

TEST(redirects_are_read_with_care) {
  cal_buffer out = {0};
  bool same;
#define TO(location, expected, is_same)                                                                  \
  CHECK(!cal_hub_redirect("https://hub.example/a/b", location, &out, &same, &err) && same == (is_same)); \
  CHECK_TEXT(out.data, expected)
  TO("/c?d", "https://hub.example/c?d", true);
  TO("//cdn.example/c", "https://cdn.example/c", false);
  TO("https://HUB.example/c", "https://HUB.example/c", true);
  TO("https://hub.example:444/c", "https://hub.example:444/c", false);
  TO("https://hub.example.evil/c", "https://hub.example.evil/c", false);
  const char *bad[] = {"", "c", "http://hub.example/c", "ftp://hub.example/", "https://", "https://hub.example@evil/", "https:/x", "//"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    CHECK(cal_hub_redirect("https://hub.example/a", bad[i], &out, &same, &err) == CAL_E_NETWORK);
  CHECK(!cal_hub_redirect("http://127.0.0.1:1/a", "https://cdn.example/c", &out, &same, &err) && !same);
  cal_buffer_free(&out);
}

TEST(a_key_from_outside_is_not_sent_where_only_dot_env_points) {
  cal_hub_close(begin());
  setenv("HF_TOKEN", "hf_0123456789abcdefghij", 1);
  unsetenv("HF_ENDPOINT");
  FILE *f = fopen(".env", "wb");
  fputs("HF_ENDPOINT=https://mirror.example\n", f);
  fclose(f);
  cal_env_forget();
  cal_hub *hub = cal_hub_open(&err);
  CHECK_TEXT(cal_hub_address(hub), "https://mirror.example");
  CHECK(!cal_hub_key_name(hub) && strstr(cal_hub_note(hub), "HF_TOKEN is not sent to mirror.example: only .env names"));
  cal_hub_close(hub);
  unsetenv("HF_TOKEN");
  f = fopen(".env", "wb");
  fputs("HF_ENDPOINT=https://mirror.example\nHUGGING_FACE_HUB_TOKEN=hf_abcdefghij0123456789\n", f);
  fclose(f);
  cal_env_forget();
  hub = cal_hub_open(&err);
  CHECK_TEXT(cal_hub_key_name(hub), "HUGGING_FACE_HUB_TOKEN");
  CHECK(!cal_hub_note(hub));
  cal_hub_close(hub);
  const char *bad[] = {"HF_ENDPOINT=huggingface.co\n", "HF_ENDPOINT=https://a@b\n", "HF_ENDPOINT=https://a/?q\n", "HF_ENDPOINT=https://\n"};
  for (size_t i = 0; i < 4; i++) {
    f = fopen(".env", "wb");
    fputs(bad[i], f);
    fclose(f);
    cal_env_forget();
    CHECK(!cal_hub_open(&err) && err.code == CAL_E_ARG && strstr(err.text, "HF_ENDPOINT (.env) is no address"));
  }
  unlink(".env");
}

TEST(the_hub_s_pause_is_kept_before_it_refuses) {
  cal_hub *hub = begin();
  say.extra = "RateLimit: \"resolve\";r=0;t=0\r\n"; /* the last of this window: one more second */
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  CHECK(!get(hub) && here());
  clock_gettime(CLOCK_MONOTONIC, &b);
  CHECK((double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9 > 0.99);
  cal_hub_close(hub);
}

TEST(sizes_are_for_people) {
  char out[32];
  CHECK_TEXT(cal_download_size(0, out), "0 bytes");
  CHECK_TEXT(cal_download_size(34567, out), "35 kB");
  CHECK_TEXT(cal_download_size(3438167540, out), "3.4 GB");
}

TEST(a_file_is_checked_by_its_hash) {
  cal_hub *hub = begin();
  CHECK(!get(hub));
  CHECK(!cal_download_check(fs, target, git, &err) && !cal_download_check(fs, target, sha, &err));
  sha[0] ^= 1;
  CHECK(cal_download_check(fs, target, sha, &err) != CAL_OK);
  sha[0] ^= 1;
  CHECK(cal_download_check(fs, target, "abc", &err) == CAL_E_ARG);
  cal_hub_close(hub);
}

TEST_MAIN()
