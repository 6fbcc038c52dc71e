#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/interrupt.h"
#include "core/base/log.h"
#include "core/net/http.h"
#include "loopback.h"
#include "test.h"

static const char KEY[] = "sk-0123456789abcdef-loopback";

static const cal_secret *key(void) {
  static const char *const names[] = {"CALOTYPE_TEST_KEY", NULL};
  setenv(names[0], KEY, 1);
  const cal_secret *secret = NULL;
  cal_error err = {0};
  CHECK(!cal_secret_find(names, &secret, NULL, NULL, &err));
  CHECK(secret != NULL);
  return secret;
}

/* One request, waited for. Freed by the caller; NULL: refused, see err. */
static cal_http_reply *ask(cal_http *h, cal_http_request request, cal_error *err) {
  int tag;
  void *which = NULL;
  cal_http_reply *got = NULL;
  if (!request.total_seconds) request.total_seconds = 20;
  if (cal_http_start(h, &request, &tag, err)) return NULL;
  CHECK(!cal_http_wait(h, 30, &which, &got, err));
  CHECK(got && which == &tag);
  CHECK(cal_http_flying(h) == 0);
  return got;
}

static cal_http_reply *get(const char *address) {
  cal_error err = {0};
  cal_http *h = cal_http_open(&err);
  cal_http_reply *got = ask(h, (cal_http_request){.url = address}, &err);
  cal_http_close(h);
  return got;
}

/* --- Replies -------------------------------------------------------------------------------------------------------- */
TEST(a_reply_has_status_headers_by_name_and_body) {
  cal_http_reply *got = get(url(common(), "/ok"));
  CHECK(got->failure == CAL_TRANSFER_OK && got->status == 200);
  CHECK(got->body.size == 5 && memcmp(got->body.data, "hello", 5) == 0);
  CHECK_TEXT(cal_http_header(got, "CONTENT-LENGTH"), "5");
  CHECK_TEXT(cal_http_header(got, "x-empty"), "");
  CHECK_TEXT(cal_http_header(got, "X-Twice"), "one");
  CHECK(!cal_http_header(got, "one"));
  CHECK(got->sent_any && got->bytes_sent > 40 && got->bytes_received > 60);
  CHECK(got->seconds > 0 && got->first_byte > 0 && got->first_byte <= got->seconds + 0.001);
  cal_http_reply_free(got);
  cal_http_reply_free(NULL);
}

TEST(methods_bodies_and_headers_arrive_as_given) {
  cal_error err = {0};
  server *s = common();
  cal_http *h = cal_http_open(&err);
  size_t size = 3 << 20;
  char *body = malloc(size);
  memset(body, 'b', size);
  const char *lines[] = {"Content-Type: application/json", "X-Mine: yes", NULL};
  static const struct {
    const char *method, *expect;
    bool body;
  } rows[] = {{"POST", "POST /echo", true},
              {"PUT", "PUT /echo ", true},
              {"DELETE", "DELETE /ec", false},
              {"GET", "GET /echo ", false},
              {"POST", "POST /echo", false}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    cal_http_request request = {.method = rows[i].method, .url = url(s, "/echo"), .headers = lines};
    if (rows[i].body) request.body = body, request.body_size = size;
    cal_http_reply *got = ask(h, request, &err);
    char expect[64];
    snprintf(expect, sizeof expect, "%s %zu", rows[i].expect, rows[i].body ? size : 0);
    CHECK(got->body.size && strcmp(got->body.data, expect) == 0);
    CHECK(seen(s, "X-Mine: yes\r\n") && seen(s, "Content-Type: application/json\r\n") && !seen(s, "Expect:"));
    CHECK(!rows[i].body || (got->bytes_sent > size && got->bytes_sent < size + 1000));
    cal_http_reply_free(got);
  }
  cal_http_reply *got = ask(h, (cal_http_request){.method = "POST", .url = url(s, "/echo"), .body = body, .body_size = 20000}, &err);
  CHECK(got->bytes_sent > 20000 && got->bytes_sent < 21000);
  cal_http_reply_free(got);
  got = ask(h, (cal_http_request){.method = "HEAD", .url = url(s, "/large")}, &err);
  CHECK(got->status == 200 && got->body.size == 0);
  CHECK_TEXT(cal_http_header(got, "content-length"), "200000");
  cal_http_reply_free(got);
  cal_http_close(h);
  free(body);
}

TEST(connections_are_kept_and_a_billed_request_has_one_of_its_own) {
  cal_error err = {0};
  server *s = open_server();
  cal_http *h = cal_http_open(&err);
  for (int i = 0; i < 5; i++) cal_http_reply_free(ask(h, (cal_http_request){.url = url(s, "/ok")}, &err));
  CHECK(s->connections == 1);
  cal_http_reply_free(
      ask(h, (cal_http_request){.method = "POST", .url = url(s, "/echo"), .body = "{}", .body_size = 2, .once = true}, &err));
  CHECK(s->connections == 2);
  /* The server closes a kept connection without an answer: what is asked once is not asked twice behind our back. */
  const int before = s->requests;
  cal_http_reply *got =
      ask(h, (cal_http_request){.method = "POST", .url = url(s, "/silent"), .body = "{}", .body_size = 2, .once = true}, &err);
  CHECK(got->failure == CAL_TRANSFER_CUT && got->sent_any && got->status == 0);
  CHECK(s->requests == before + 1);
  cal_http_reply_free(got);
  cal_http_close(h);
}

TEST(fifty_fly_at_once_from_one_thread) {
  cal_error err = {0};
  server *s = common();
  cal_http *h = cal_http_open(&err);
  int tags[50], came[50] = {0};
  for (int i = 0; i < 50; i++) CHECK(!cal_http_start(h, &(cal_http_request){.url = url(s, "/ok"), .total_seconds = 30}, &tags[i], &err));
  CHECK(cal_http_flying(h) == 50);
  for (int i = 0; i < 50; i++) {
    void *which;
    cal_http_reply *got;
    CHECK(!cal_http_wait(h, 30, &which, &got, &err));
    CHECK(got && got->status == 200);
    if (!got) break;
    came[(int *)which - tags]++;
    cal_http_reply_free(got);
  }
  for (int i = 0; i < 50; i++) CHECK(came[i] == 1);
  cal_http_close(h);
}

TEST(gzip_is_undone_and_held_to_the_limit_after_that) {
  cal_error err = {0};
  server *s = common();
  cal_http *h = cal_http_open(&err);
  cal_http_reply *got = ask(h, (cal_http_request){.url = url(s, "/gzip")}, &err);
  CHECK(got->body.size == 200000 && got->bytes_received < 2000);
  cal_http_reply_free(got);
  got = ask(h, (cal_http_request){.url = url(s, "/gzip"), .largest = 100000}, &err);
  CHECK(got->failure == CAL_TRANSFER_TOO_LARGE);
  CHECK_TEXT(got->why.text, "127.0.0.1: the reply has more than 100000 bytes");
  cal_http_reply_free(got);
  cal_http_close(h);
}

TEST(trailers_after_the_last_chunk_are_no_cut) {
  cal_http_reply *got = get(url(common(), "/trailers"));
  CHECK(got->failure == CAL_TRANSFER_OK && got->status == 200 && got->body.size == 5);
  cal_http_reply_free(got);
}

TEST(of_an_error_the_first_64_kb_are_kept) {
  cal_http_reply *got = get(url(common(), "/error"));
  CHECK(got->failure == CAL_TRANSFER_OK && got->status == 500 && got->body.size == 64 << 10);
  CHECK_TEXT(cal_http_header(got, "retry-after"), "7");
  cal_http_reply_free(got);
}

/* --- Failures ------------------------------------------------------------------------------------------------------- */
TEST(a_cut_is_never_taken_for_a_whole_reply) {
  static const struct {
    const char *path, *says;
  } rows[] = {{"/cut", "cut after 10 bytes"}, {"/chunks", "cut after"}, {"/silent", "cut after 0 bytes"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    cal_http_reply *got = get(url(common(), rows[i].path));
    CHECK(got->failure == CAL_TRANSFER_CUT && got->sent_any);
    CHECK(strstr(got->why.text, rows[i].says));
    cal_http_reply_free(got);
  }
}

TEST(nobody_listens_and_nothing_was_sent) {
  server s = {0};
  take_port(&s);
  cal_http_reply *got = get(url(&s, "/ok?key=sesame"));
  CHECK(got->failure == CAL_TRANSFER_CONNECT && !got->sent_any && got->status == 0 && got->bytes_sent == 0);
  CHECK(strstr(got->why.text, "127.0.0.1:") && !strstr(got->why.text, "sesame"));
  CHECK(strstr(got->why.text, " cannot be reached: Connection refused") &&
        !strstr(got->why.text, "Failed")); /* the host stands there once */
  cal_http_reply_free(got);
}

TEST(a_name_without_an_address_is_told) {
  cal_error err = {0};
  cal_http *h = cal_http_open(&err);
  cal_http_reply *got = ask(h, (cal_http_request){.url = "http://calotype.invalid/", .connect_seconds = 5}, &err);
  CHECK(got->failure == CAL_TRANSFER_RESOLVE || got->failure == CAL_TRANSFER_CONNECT); /* a resolver that hangs is the second */
  CHECK(strstr(got->why.text, "calotype.invalid") && !got->sent_any);
  cal_http_reply_free(got);
  cal_http_close(h);
}

TEST(https_to_what_does_not_speak_it_is_a_tls_failure) {
  char address[64];
  snprintf(address, sizeof address, "https://127.0.0.1:%d/ok", common()->port);
  cal_http_reply *got = get(address);
  CHECK(got->failure == CAL_TRANSFER_TLS || got->failure == CAL_TRANSFER_CUT);
  CHECK(got->status == 0);
  cal_http_reply_free(got);
}

TEST(time_that_is_over_and_bytes_that_stall) {
  cal_error err = {0};
  server *s = common();
  cal_http *h = cal_http_open(&err);
  cal_http_reply *got = ask(h, (cal_http_request){.url = url(s, "/hold"), .total_seconds = 1.5}, &err);
  CHECK(got->failure == CAL_TRANSFER_TIMEOUT && got->sent_any && got->seconds >= 1.49 && got->seconds < 60);
  CHECK_TEXT(got->why.text, "127.0.0.1: no whole reply within 1.5 s");
  cal_http_reply_free(got);
  got = ask(h, (cal_http_request){.url = url(s, "/trickle"), .stall_seconds = 3, .total_seconds = 90}, &err);
  CHECK(got->failure == CAL_TRANSFER_STALL && got->status == 200 && got->seconds < 55); /* the whole would take 60 s */
  CHECK_TEXT(got->why.text, "127.0.0.1: less than 1 kB/s for 3 s");
  cal_http_reply_free(got);
  cal_http_close(h);
}

TEST(headers_without_end_are_cut_off) {
  cal_http_reply *got = get(url(common(), "/headers"));
  CHECK(got->failure != CAL_TRANSFER_OK && got->headers.size < 512 << 10);
  cal_http_reply_free(got);
}

TEST(what_cannot_be_sent_is_refused_at_the_start) {
  cal_error err = {0};
  cal_http *h = cal_http_open(&err);
  const char *broken[] = {"X-A: 1\r\nX-B: 2", NULL}, *nameless[] = {"no colon", NULL};
  const struct {
    cal_http_request request;
    const char *says;
  } rows[] = {
      {{.url = "ftp://127.0.0.1/x"}, "ftp:// is not spoken here"},
      {{.url = "file:///etc/passwd"}, "file:// is not spoken here"},
      {{.url = "http://me:sesame@127.0.0.1/"}, "127.0.0.1: a URL with a name or password"},
      {{.url = "no url?key=sesame"}, "\"no url\" is no URL"},
      {{.url = ""}, "is no URL"},
      {{.url = "http://127.0.0.1/", .method = "get"}, "\"get\" is no method"},
      {{.url = "http://127.0.0.1/", .method = "POST", .follow = true}, "a POST does not follow redirects"},
      {{.url = "http://127.0.0.1/", .headers = broken}, "line break"},
      {{.url = "http://127.0.0.1/", .headers = nameless}, "Name: value"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int tag;
    err = (cal_error){0};
    CHECK(cal_http_start(h, &rows[i].request, &tag, &err) == CAL_E_ARG);
    CHECK(strstr(err.text, rows[i].says));
    CHECK(!strstr(err.text, "sesame"));
  }
  CHECK(cal_http_flying(h) == 0);
  cal_http_close(h);
}

/* --- Keys ----------------------------------------------------------------------------------------------------------- */
TEST(a_key_goes_into_its_header) {
  cal_error err = {0};
  server *s = common();
  cal_http *h = cal_http_open(&err);
  cal_http_request request = {.url = url(s, "/ok"), .secret = key(), .secret_header = "x-goog-api-key"};
  cal_http_reply_free(ask(h, request, &err));
  CHECK(seen(s, "x-goog-api-key: sk-0123456789abcdef-loopback\r\n"));
  request.secret_header = NULL, request.secret_prefix = "Bearer ";
  cal_http_reply_free(ask(h, request, &err));
  CHECK(seen(s, "Authorization: Bearer sk-0123456789abcdef-loopback\r\n"));
  cal_http_close(h);
}

TEST(a_redirect_is_followed_only_when_asked_and_the_key_stays_with_its_host) {
  cal_error err = {0};
  server *s = common(), *other = open_server();
  char path[64], back[96];
  snprintf(path, sizeof path, "/to/%d/ok", other->port);
  cal_http *h = cal_http_open(&err);
  cal_http_request request = {.url = url(s, path), .secret = key(), .secret_header = "x-api-key"};
  cal_http_reply *got = ask(h, request, &err);
  CHECK(got->status == 307 && other->requests == 0);
  CHECK(strstr(cal_http_header(got, "location"), "/ok"));
  cal_http_reply_free(got);
  request.follow = true;
  got = ask(h, request, &err);
  CHECK(got->status == 200 && got->body.size == 5 && !cal_http_header(got, "location"));
  CHECK(other->requests == 1 && !seen(other, KEY) && !seen(other, "x-api-key"));
  CHECK(seen(s, KEY));
  cal_http_reply_free(got);
  /* Same host: the key goes along. Back from elsewhere: it does not. */
  snprintf(path, sizeof path, "/to/%d/ok", s->port);
  request.url = url(s, path);
  cal_http_reply_free(ask(h, request, &err));
  CHECK(seen(s, "GET /ok ") && seen(s, KEY));
  snprintf(back, sizeof back, "/to/%d/to/%d/ok", other->port, s->port);
  request.url = url(s, back);
  cal_http_reply_free(ask(h, request, &err));
  CHECK(seen(s, "GET /ok ") && !seen(s, KEY));
  cal_http_close(h);
}

TEST(redirects_that_lead_nowhere_end) {
  cal_error err = {0};
  cal_http *h = cal_http_open(&err);
  static const struct {
    const char *path, *says;
  } rows[] = {{"/loop", "more than 10 redirects"}, {"/nowhere", "says not where to"}, {"/file", "file:// is not spoken here"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    cal_http_reply *got = ask(h, (cal_http_request){.url = url(common(), rows[i].path), .follow = true}, &err);
    CHECK(got->failure == CAL_TRANSFER_OTHER && strstr(got->why.text, rows[i].says));
    cal_http_reply_free(got);
  }
  cal_http_close(h);
}

TEST(a_key_does_not_travel_in_the_open) {
  cal_error err = {0};
  int tag;
  cal_http *h = cal_http_open(&err);
  cal_http_request request = {.url = "http://93.184.216.34/v1", .secret = key()};
  CHECK(cal_http_start(h, &request, &tag, &err) == CAL_E_DENIED);
  CHECK_TEXT(err.text, "93.184.216.34: a key would go over the open net; https:// is needed there");
  CHECK(cal_http_flying(h) == 0);
  /* A name is looked at when the connection stands: this one leads to loopback. */
  char address[64];
  snprintf(address, sizeof address, "http://localhost:%d/ok", common()->port);
  request.url = address;
  cal_http_reply *got = ask(h, request, &err);
  CHECK(got->status == 200);
  cal_http_reply_free(got);
  cal_http_close(h);
}

TEST(hosts_that_are_this_machine_or_private) {
  static const char *const loopback[] = {"127.0.0.1", "127.9.9.9", "[::1]",       "::1",
                                         "localhost", "LOCALHOST", "a.localhost", "::ffff:127.0.0.1"};
  static const char *const near[] = {"10.0.0.1",    "172.16.0.1", "172.31.255.255",  "192.168.1.9",
                                     "169.254.1.1", "fd00::1",    "[fe80::1%25eth0]"};
  static const char *const far[] = {
      "8.8.8.8",      "172.15.0.1",        "172.32.0.1", "192.169.0.1",    "126.0.0.1", "2001:db8::1", "localhost.example",
      "notlocalhost", "127.0.0.1.example", "",           "::ffff:8.8.8.8", "0.0.0.0"};
  for (size_t i = 0; i < sizeof loopback / sizeof *loopback; i++) CHECK(cal_host_loopback(loopback[i]) && cal_host_private(loopback[i]));
  for (size_t i = 0; i < sizeof near / sizeof *near; i++) CHECK(!cal_host_loopback(near[i]) && cal_host_private(near[i]));
  for (size_t i = 0; i < sizeof far / sizeof *far; i++) CHECK(!cal_host_loopback(far[i]) && !cal_host_private(far[i]));
}

static char shown[65536];
static void listener(void *context, cal_log_level level, const char *line) {
  (void)context, (void)level;
  strncat(shown, line, sizeof shown - strlen(shown) - 2);
  strcat(shown, "\n");
}

TEST(what_debugging_shows_has_no_key_no_header_and_no_body) {
  cal_error err = {0};
  cal_log_listen(listener, NULL);
  setenv("CALOTYPE_DEBUG", "2", 1);
  cal_http *h = cal_http_open(&err);
  cal_http_request request = {
      .method = "POST", .url = url(common(), "/echo?key=sesame"), .secret = key(), .body = "my picture", .body_size = 10};
  cal_http_reply_free(ask(h, request, &err));
  cal_http_close(h);
  cal_log_listen(NULL, NULL);
  unsetenv("CALOTYPE_DEBUG");
  CHECK(strstr(shown, "127.0.0.1: ")); /* how the connection was made */
  CHECK(!strstr(shown, KEY) && !strstr(shown, "sesame") && !strstr(shown, "picture") && !strstr(shown, "Authorization"));
}

TEST(a_proxy_of_the_environment_is_asked_but_never_for_this_machine_nor_with_a_key_in_the_open) {
  cal_error err = {0};
  server *s = common(), *proxy = open_server(), closed = {0};
  char address[96];
  take_port(&closed);
  snprintf(address, sizeof address, "http://me:sesame@127.0.0.1:%d", proxy->port);
  setenv("http_proxy", address, 1);
  cal_http *h = cal_http_open(&err);
  cal_http_reply *got = ask(h, (cal_http_request){.url = "http://calotype.invalid/far"}, &err);
  CHECK(got->status == 404 && seen(proxy, "GET http://calotype.invalid/far HTTP/1.1\r\n"));
  cal_http_reply_free(got);
  got = ask(h, (cal_http_request){.url = url(s, "/ok")}, &err);
  CHECK(got->status == 200 && proxy->requests == 1);
  cal_http_reply_free(got);
  got = ask(h, (cal_http_request){.url = "http://calotype.invalid/far", .secret = key(), .connect_seconds = 5}, &err);
  CHECK(got->failure != CAL_TRANSFER_OK && proxy->requests == 1);
  cal_http_reply_free(got);
  snprintf(address, sizeof address, "http://me:sesame@127.0.0.1:%d", closed.port);
  setenv("http_proxy", address, 1);
  got = ask(h, (cal_http_request){.url = "http://calotype.invalid/far"}, &err);
  CHECK(got->failure == CAL_TRANSFER_CONNECT && !strstr(got->why.text, "sesame"));
  cal_http_reply_free(got);
  setenv("http_proxy", "morse://me:sesame@127.0.0.1:1", 1);
  got = ask(h, (cal_http_request){.url = "http://calotype.invalid/far"}, &err);
  CHECK(got->failure != CAL_TRANSFER_OK && !strstr(got->why.text, "sesame"));
  cal_http_reply_free(got);
  unsetenv("http_proxy");
  cal_http_close(h);
}

/* --- Sinks ---------------------------------------------------------------------------------------------------------- */
typedef struct {
  size_t taken, most;
  int status;
} tub;

static cal_status pour(void *context, const cal_http_reply *so_far, const void *bytes, size_t size, cal_error *err) {
  tub *t = context;
  (void)bytes;
  t->status = so_far->status;
  if (t->taken + size > t->most) return cal_fail(err, CAL_E_IO, "the disk is full");
  t->taken += size;
  return CAL_OK;
}

TEST(a_sink_takes_good_bodies_only_and_can_end_the_transfer) {
  cal_error err = {0};
  server *s = common();
  cal_http *h = cal_http_open(&err);
  tub t = {.most = SIZE_MAX};
  cal_http_request request = {.url = url(s, "/large"), .sink = pour, .sink_context = &t};
  cal_http_reply *got = ask(h, request, &err);
  CHECK(!got->failure && t.taken == 200000 && t.status == 200 && got->body.size == 0);
  cal_http_reply_free(got);
  t = (tub){.most = SIZE_MAX};
  request.url = url(s, "/error");
  got = ask(h, request, &err);
  CHECK(!got->failure && got->status == 500 && t.taken == 0 && got->body.size == 64 << 10);
  cal_http_reply_free(got);
  t = (tub){.most = 100};
  request.url = url(s, "/large");
  got = ask(h, request, &err);
  CHECK(got->failure == CAL_TRANSFER_OTHER && got->why.code == CAL_E_IO && t.taken <= 100);
  CHECK_TEXT(got->why.text, "the disk is full");
  cal_http_reply_free(got);
  t = (tub){.most = SIZE_MAX};
  request.url = url(s, "/gzip"); /* a file's bytes are not undone: the server is not told that they could be */
  got = ask(h, request, &err);
  CHECK(!got->failure && t.taken < 2000);
  cal_http_reply_free(got);
  cal_http_close(h);
}

/* --- Stopping ------------------------------------------------------------------------------------------------------- */
static void *press(void *context) {
  usleep(200000);
  *(double *)context = cal_clock();
  cal_interrupt_raise();
  return NULL;
}

TEST(ctrl_c_ends_the_wait_soon_and_what_flies_is_dropped) {
  cal_error err = {0};
  server *s = open_server();
  cal_http *h = cal_http_open(&err);
  double pressed = 0, least = 60;
  int tag;
  void *which;
  cal_http_reply *got;
  CHECK(!cal_http_start(h, &(cal_http_request){.url = url(s, "/hold")}, &tag, &err));
  for (int i = 0; i < 10 && least >= 0.05; i++) { /* a busy machine may be late, but not always */
    cal_interrupt_clear();
    pthread_t thread;
    pthread_create(&thread, NULL, press, &pressed);
    CHECK(!cal_http_wait(h, 60, &which, &got, &err));
    const double heard = cal_clock();
    pthread_join(thread, NULL);
    CHECK(!got && cal_interrupt_level() == 1);
    if (heard - pressed < least) least = heard - pressed;
  }
  CHECK(least < 0.06); /* 50 ms, and what it takes to look at the clock */
  CHECK(cal_http_flying(h) == 1);
  cal_http_close(h);
  for (int i = 0; i < 3000 && !s->gone; i++) usleep(20000);
  CHECK(s->gone == 1); /* the server has seen the connection end */
  cal_interrupt_clear();
}

TEST(a_cancelled_transfer_gives_no_reply_and_the_others_come) {
  cal_error err = {0};
  server *s = common();
  cal_http *h = cal_http_open(&err);
  int held, quick;
  void *which;
  cal_http_reply *got;
  CHECK(!cal_http_start(h, &(cal_http_request){.url = url(s, "/hold")}, &held, &err));
  CHECK(!cal_http_start(h, &(cal_http_request){.url = url(s, "/ok")}, &quick, &err));
  CHECK(!cal_http_wait(h, 20, &which, &got, &err));
  CHECK(got && which == &quick);
  cal_http_reply_free(got);
  CHECK(!cal_http_wait(h, 0.05, &which, &got, &err));
  CHECK(!got && cal_http_flying(h) == 1);
  cal_http_cancel(h, &quick); /* not there: nothing happens */
  CHECK(cal_http_flying(h) == 1);
  cal_http_cancel(h, &held);
  CHECK(cal_http_flying(h) == 0);
  CHECK(!cal_http_wait(h, 20, &which, &got, &err));
  CHECK(!got);
  cal_http_close(h);
  cal_http_close(NULL);
}

TEST(certificates_that_are_named_must_be_there) {
  cal_error err = {0};
  setenv("CALOTYPE_CA", "/nowhere/ca.pem", 1);
  CHECK(!cal_http_open(&err));
  CHECK(err.code == CAL_E_NOTFOUND && strstr(err.text, "CALOTYPE_CA: /nowhere/ca.pem"));
  unsetenv("CALOTYPE_CA");
}

TEST(no_memory_at_any_allocation_is_told_and_nothing_leaks) {
  server *s = common();
  const size_t before = cal_memory_in_use();
  for (long left = 0; left < 12; left++) {
    cal_error err = {0};
    cal_http *h = cal_http_open(&err);
    void *which;
    int tag;
    cal_http_reply *got = NULL;
    cal_memory_fail_after(left);
    cal_status status = cal_http_start(h, &(cal_http_request){.url = url(s, "/ok"), .total_seconds = 20}, &tag, &err);
    CHECK(!status || status == CAL_E_MEMORY);
    if (!status) CHECK(!cal_http_wait(h, 20, &which, &got, &err));
    cal_memory_fail_after(-1);
    if (got && got->failure) CHECK(strstr(got->why.text, "not enough memory"));
    cal_http_reply_free(got);
    cal_http_close(h);
  }
  CHECK(cal_memory_in_use() == before);
}

TEST_MAIN()
