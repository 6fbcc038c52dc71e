#include "core/net/talk.h"

#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/base/interrupt.h"
#include "core/codec/json.h"
#include "core/net/tape.h"
#include "loopback.h"
#include "test.h"

static const char KEY[] = "sk-0123456789abcdef-talking";

static const cal_secret *key(void) {
  static const char *const names[] = {"CALOTYPE_TALK_KEY", NULL};
  setenv(names[0], KEY, 1);
  const cal_secret *secret = NULL;
  CHECK(!cal_secret_find(names, &secret, NULL, NULL, NULL) && secret);
  return secret;
}

/* A talk with the common server. */
static cal_talk *open_talk(cal_talk_options options) {
  cal_error err = {0};
  static char base[64];
  snprintf(base, sizeof base, "http://127.0.0.1:%d", common()->port);
  options.service = "test";
  if (!options.base) options.base = base;
  cal_talk *t = cal_talk_open(&options, &err);
  if (!t) printf("  %s\n", err.text);
  CHECK(t);
  return t;
}

static void *mark(int n) { return (void *)(intptr_t)n; }

static void ask(cal_talk *t, const char *path, int tag) {
  cal_error err = {0};
  CHECK(!cal_talk_ask(t, &(cal_talk_request){.path = path}, mark(tag), &err));
}

static void post(cal_talk *t, const char *path, int tag, cal_retry_class class) {
  cal_error err = {0};
  cal_talk_request request = {.path = path, .class = class};
  cal_buffer_add_text(&request.body, "{\"a\":1}");
  CHECK(!cal_talk_ask(t, &request, mark(tag), &err));
  CHECK(!request.body.data);
}

static cal_talk_reply *next(cal_talk *t) {
  cal_talk_reply *reply = NULL;
  cal_error err = {0};
  CHECK(!cal_talk_next(t, 60, &reply, &err));
  CHECK(reply);
  return reply;
}

static const char *scratch(const char *name) {
  static char path[4][512];
  static int turn;
  const char *top = getenv("CALOTYPE_TEST_TMP");
  char *out = path[turn++ % 4];
  snprintf(out, sizeof path[0], "%s/talk-%ld-%s", top ? top : "/tmp", (long)getpid(), name);
  return out;
}

static char *whole(const char *path) { /* freed by the caller */
  FILE *f = fopen(path, "rb");
  char *text = calloc(1, 1 << 20);
  if (f && fread(text, 1, (1 << 20) - 1, f) == 0) text[0] = 0;
  if (f) fclose(f);
  return text;
}

/* --- Answers -------------------------------------------------------------------------------------------------------- */
TEST(each_request_has_its_reply_with_its_tag) {
  cal_talk *t = open_talk((cal_talk_options){.in_flight = 8});
  int came[12] = {0};
  CHECK(cal_talk_room(t) == 12 && cal_talk_pending(t) == 0);
  for (int i = 0; i < 12; i++) post(t, "/echo", i, CAL_RETRY_SAFE);
  CHECK(cal_talk_room(t) == 0 && cal_talk_pending(t) == 12);
  cal_error err = {0};
  CHECK(cal_talk_ask(t, &(cal_talk_request){.path = "/ok"}, NULL, &err) == CAL_E_BUSY);
  CHECK_TEXT(err.text, "test: 12 requests are pending; take a reply before asking more");
  for (int i = 0; i < 12; i++) {
    cal_talk_reply *r = next(t);
    CHECK(r->end == CAL_TALK_DONE && r->http->status == 200 && r->attempts == 1 && r->seconds > 0);
    CHECK_TEXT(r->label, "done");
    CHECK(strcmp(r->http->body.data, "POST /echo 7") == 0);
    came[(intptr_t)r->tag]++;
    cal_talk_reply_free(r);
  }
  for (int i = 0; i < 12; i++) CHECK(came[i] == 1);
  cal_talk_reply *none = mark(1);
  CHECK(!cal_talk_next(t, -1, &none, &err) && !none); /* nothing is pending: no wait */
  CHECK(cal_talk_room(t) == 12);
  cal_talk_close(t);
  cal_talk_close(NULL);
  cal_talk_reply_free(NULL);
}

TEST(no_more_fly_than_in_flight_says) {
  server *s = common();
  cal_talk *t = open_talk((cal_talk_options){.in_flight = 3});
  s->most_busy = 0;
  for (int i = 0; i < 5; i++) ask(t, "/slow/400", i);
  for (int i = 0; i < 5; i++) cal_talk_reply_free(next(t));
  CHECK(s->most_busy >= 2 && s->most_busy <= 3);
  cal_talk_close(t);
}

TEST(two_talks_move_while_one_is_waited_for) {
  cal_talk *a = open_talk((cal_talk_options){.in_flight = 1}), *b = open_talk((cal_talk_options){.in_flight = 1});
  ask(a, "/slow/1500", 1);
  ask(b, "/slow/10", 2);
  cal_talk_reply_free(next(a));
  cal_talk_reply *r = NULL;
  cal_error err = {0};
  CHECK(!cal_talk_next(b, 0, &r, &err) && r && r->tag == mark(2)); /* it came meanwhile */
  cal_talk_reply_free(r);
  cal_talk_close(a);
  ask(b, "/ok", 3); /* the one that is left goes on */
  cal_talk_reply_free(next(b));
  cal_talk_close(b);
}

TEST(bytes_move_while_who_asks_is_busy_with_the_next_picture) {
  server *s = open_server();
  char base[64];
  snprintf(base, sizeof base, "http://127.0.0.1:%d", s->port);
  cal_talk *t = open_talk((cal_talk_options){.base = base});
  int asked = 0;
  for (; asked < 4 || (!s->requests && asked < 1200); asked++) {
    ask(t, "/ok", asked);
    usleep(50000);
  }
  CHECK(s->requests > 0);
  for (int i = 0; i < asked; i++) cal_talk_reply_free(next(t));
  cal_talk_close(t);
}

TEST(the_key_goes_along_and_the_type_of_the_body) {
  cal_talk *t = open_talk((cal_talk_options){.secret = key(), .secret_header = "x-goog-api-key"});
  post(t, "/echo", 1, CAL_RETRY_SAFE);
  cal_talk_reply_free(next(t));
  CHECK(seen(common(), "x-goog-api-key: sk-0123456789abcdef-talking\r\n") && seen(common(), "Content-Type: application/json\r\n"));
  cal_talk_close(t);
}

/* --- Trying again --------------------------------------------------------------------------------------------------- */
TEST(what_may_pass_is_tried_again_and_counted) {
  cal_talk *t = open_talk((cal_talk_options){0});
  ask(t, "/cuts/1/b", 2); /* first: on a kept connection libcurl would send it again by itself */
  ask(t, "/first/503/1/a", 1);
  for (int i = 0; i < 2; i++) {
    cal_talk_reply *r = next(t);
    CHECK(r->end == CAL_TALK_DONE && r->http->status == 200 && r->attempts == 2 && r->seconds >= 1);
    CHECK(r->lost == (r->tag == mark(2)));
    cal_talk_reply_free(r);
  }
  cal_talk_counts c;
  CHECK(!cal_talk_count(t, &c, NULL));
  CHECK(c.requests == 4 && c.ok == 2 && c.kinds == 2 && c.p50 > 0 && c.p50 <= c.p95 && c.p95 <= c.p99);
  CHECK(c.bytes_sent > 100 && c.bytes_received > 100);
  for (int i = 0; i < c.kinds; i++)
    CHECK(c.errors[i].count == 1 && (strcmp(c.errors[i].label, "503") == 0 || strcmp(c.errors[i].label, "cut") == 0));
  cal_talk_close(t);
}

TEST(what_will_not_pass_is_kept_at_once) {
  cal_talk *t = open_talk((cal_talk_options){0});
  ask(t, "/nothing", 1);
  cal_talk_reply *r = next(t);
  CHECK(r->end == CAL_TALK_DONE && r->http->status == 404 && r->attempts == 1);
  CHECK_TEXT(r->label, "404");
  CHECK_TEXT(r->why.text, "127.0.0.1: status 404");
  cal_talk_reply_free(r);
  cal_talk_close(t);
}

TEST(attempts_end_with_the_reason) {
  for (int held = 0; held < 2; held++) {
    cal_talk *t = open_talk((cal_talk_options){.attempts = 2, .seconds = held ? 0.3 : 60});
    ask(t, held ? "/hold" : "/first/503/9/c", 1);
    cal_talk_reply *r = next(t);
    CHECK(r->end == CAL_TALK_FAILED && r->attempts == 2 && r->why.code == CAL_E_NETWORK);
    CHECK_TEXT(r->why.text,
               held ? "127.0.0.1: no whole reply within 0.3 s (after 2 attempts)" : "127.0.0.1: status 503 (after 2 attempts)");
    CHECK_TEXT(r->label, held ? "timeout" : "503");
    cal_talk_reply_free(r);
    cal_talk_close(t);
  }
}

TEST(what_is_billed_is_not_sent_twice_when_its_reply_was_lost) {
  server *s = common();
  cal_talk *t = open_talk((cal_talk_options){0});
  ask(t, "/ok", 0);
  cal_talk_reply_free(next(t)); /* a connection is kept, on which libcurl would send it again by itself */
  const int before = s->requests;
  post(t, "/cuts/1/d", 1, CAL_RETRY_BILLED);
  cal_talk_reply *r = next(t);
  CHECK(r->end == CAL_TALK_FAILED && r->attempts == 1 && r->http->sent_any && s->requests == before + 1);
  CHECK(strstr(r->why.text, "paid again"));
  cal_talk_reply_free(r);
  cal_talk_close(t);
}

/* Waits until the server has asked for a pause: no reply comes meanwhile. */
static bool holds_back(cal_talk *t) {
  cal_talk_reply *none = NULL;
  for (const double until = cal_clock() + 60; cal_talk_pause(t) == 0 && !none && cal_clock() < until;) cal_talk_next(t, 0.02, &none, NULL);
  return !none && cal_talk_pause(t) > 0;
}

TEST(a_429_holds_back_all_of_the_host_as_long_as_the_server_asks) {
  cal_talk *t = open_talk((cal_talk_options){.in_flight = 4}), *other = open_talk((cal_talk_options){0});
  const double start = cal_clock();
  for (int i = 0; i < 4; i++) {
    char path[64];
    snprintf(path, sizeof path, "/first/429/1/e%d/after/2", i);
    ask(t, path, i);
  }
  CHECK(holds_back(t));
  ask(other, "/ok", 9);
  cal_talk_reply *r = next(other);
  CHECK(cal_clock() - start >= 2); /* the other talk shares the gate */
  cal_talk_reply_free(r);
  for (int i = 0; i < 4; i++) {
    r = next(t);
    CHECK(r->end == CAL_TALK_DONE && r->attempts == 2);
    cal_talk_reply_free(r);
  }
  cal_talk_close(t), cal_talk_close(other);
}

TEST(what_waits_can_be_taken_back_and_how_long_it_would_wait_is_known) {
  server *s = open_server(); /* the pause stays with its host */
  char base[64];
  snprintf(base, sizeof base, "http://127.0.0.1:%d", s->port);
  cal_talk *t = open_talk((cal_talk_options){.base = base, .in_flight = 2});
  CHECK(cal_talk_pause(t) == 0);
  ask(t, "/first/429/9/g/after/200", 1);
  CHECK(!cal_talk_recall(t, mark(1)) && cal_talk_pause(t) == 0); /* on its way */
  CHECK(holds_back(t));
  ask(t, "/ok", 2);
  CHECK(cal_talk_pause(t) > 100 && cal_talk_pause(t) < 260);
  const double start = cal_clock();
  CHECK(cal_talk_recall(t, mark(1)) && cal_talk_recall(t, mark(2)) && !cal_talk_recall(t, mark(2)) && !cal_talk_recall(t, mark(3)));
  CHECK(cal_talk_pause(t) == 0);
  for (int i = 1; i <= 2; i++) {
    cal_talk_reply *r = next(t);
    CHECK(r->end == CAL_TALK_FAILED && r->tag == mark(i) && !r->http && r->attempts == 2 - i && r->lost == 0);
    CHECK_TEXT(r->label, "recalled");
    cal_talk_reply_free(r);
  }
  CHECK(cal_clock() - start < 100 && cal_talk_pending(t) == 0);
  cal_talk_close(t);
}

TEST(a_service_that_answered_nothing_yet_is_waited_for_once_when_it_asks_for_long_pauses) {
  const char *path = scratch("pauses");
  cal_error err = {0};
  cal_fs *fs = cal_fs_new(NULL, 0, &err);
  CHECK(fs && !cal_fs_grant(fs, getenv("CALOTYPE_TEST_TMP") ? getenv("CALOTYPE_TEST_TMP") : "/tmp", CAL_FS_READ | CAL_FS_WRITE, &err));
  cal_tape *tape = cal_tape_record(fs, path, &err);
  CHECK(tape);
  const cal_tape_reply later = {.status = 429, .retry_after = "60", .body = "", .size = 0}, fine = {.status = 200, .body = "{}", .size = 2};
  for (int i = 0; i < 5; i++)
    CHECK(!cal_tape_add(tape, "GET", "/a", NULL, 0, &later, &err) && !cal_tape_add(tape, "GET", "/b", NULL, 0, &later, &err));
  CHECK(!cal_tape_add(tape, "GET", "/fine", NULL, 0, &fine, &err));
  cal_tape_close(tape);
  cal_talk *t = open_talk((cal_talk_options){.replay = path});
  const char *const paths[] = {"/a", "/fine", "/b"};
  const int attempts[] = {2, 1, 5};
  for (int i = 0; i < 3; i++) {
    ask(t, paths[i], i);
    cal_talk_reply *r = next(t);
    CHECK(r->attempts == attempts[i] && (i == 1) == (r->end == CAL_TALK_DONE));
    cal_talk_reply_free(r);
  }
  cal_talk_close(t);
  cal_fs_free(fs);
}

TEST(a_wave_of_429_halves_how_many_fly) {
  server *s = open_server();
  char base[64], path[64];
  snprintf(base, sizeof base, "http://127.0.0.1:%d", s->port);
  cal_talk *t = open_talk((cal_talk_options){.base = base, .in_flight = 8});
  for (int i = 0; i < 8; i++) {
    snprintf(path, sizeof path, "/first/429/1/w%d", i);
    ask(t, path, i);
  }
  for (int i = 0; i < 4; i++) ask(t, "/slow/300", i);
  for (int i = 0; i < 12; i++) {
    cal_talk_reply *r = next(t);
    CHECK(r->end == CAL_TALK_DONE && r->http->status == 200 && r->lost == 0);
    cal_talk_reply_free(r);
  }
  CHECK(s->most_busy <= 5);
  for (int i = 0; i < 12; i++) ask(t, "/slow/50", i);
  for (int i = 0; i < 12; i++) cal_talk_reply_free(next(t));
  for (int i = 0; i < 12; i++) ask(t, "/slow/500", i);
  for (int i = 0; i < 12; i++) cal_talk_reply_free(next(t));
  CHECK(s->most_busy > 4); /* good replies let it grow again */
  cal_talk_close(t);
}

TEST(a_server_that_asks_for_more_than_five_minutes_ends_the_talk) {
  cal_talk *t = open_talk((cal_talk_options){.in_flight = 1});
  ask(t, "/first/429/9/f/after/4000", 1);
  ask(t, "/ok", 2);
  cal_talk_reply *r = next(t);
  CHECK(r->end == CAL_TALK_STOPPED && r->tag == mark(1) && strstr(r->why.text, "4000 s"));
  cal_talk_reply_free(r);
  r = next(t);
  CHECK(r->end == CAL_TALK_STOPPED && r->tag == mark(2) && r->attempts == 0 && !r->http && strstr(r->why.text, "4000 s"));
  cal_talk_reply_free(r);
  cal_talk_close(t);
}

TEST(when_nobody_is_there_the_rest_is_not_tried_one_by_one) {
  server s = {0};
  take_port(&s);
  char base[64];
  snprintf(base, sizeof base, "http://127.0.0.1:%d", s.port);
  cal_talk *t = open_talk((cal_talk_options){.base = base, .in_flight = 8, .attempts = 1});
  for (int i = 0; i < 12; i++) ask(t, "/ok", i);
  int failed = 0, stopped = 0;
  for (int i = 0; i < 12; i++) {
    cal_talk_reply *r = next(t);
    failed += r->end == CAL_TALK_FAILED, stopped += r->end == CAL_TALK_STOPPED;
    CHECK(strstr(r->why.text, "cannot be reached") && r->lost == 0);
    cal_talk_reply_free(r);
  }
  CHECK(failed >= 3 && stopped >= 1);
  cal_talk_close(t);
}

TEST(a_gate_spreads_requests_over_the_minute) {
  server *s = open_server();
  char base[64];
  snprintf(base, sizeof base, "http://127.0.0.1:%d", s->port);
  cal_talk *t = open_talk((cal_talk_options){.base = base, .per_minute = 60}); /* six at once, then about one a second */
  const double start = cal_clock();
  for (int i = 0; i < 7; i++) ask(t, "/ok", i);
  for (int i = 0; i < 7; i++) cal_talk_reply_free(next(t));
  CHECK(cal_clock() - start > 0.8 && cal_clock() - start < 50); /* one by one they would take the minute */
  cal_talk_close(t);
}

/* --- The reader ----------------------------------------------------------------------------------------------------- */
static void read_it(void *context, void *tag, const cal_http_reply *reply, cal_talk_judgement *j) {
  (*(int *)context)++;
  if (tag == mark(1)) { /* an answer without words, twice worth another try */
    j->what = CAL_TALK_AGAIN, j->good = false, j->attempts = 2;
    strcpy(j->label, "empty");
    strcpy(j->why, "no words came, with sk-0123456789abcdef-talking in them");
  } else if (tag == mark(2)) {
    CHECK(reply->status == 404 && !j->good && j->what == CAL_TALK_KEEP);
    j->what = CAL_TALK_LAST;
    strcpy(j->label, "stop");
    strcpy(j->why, "the key is not valid");
  }
}

TEST(the_reader_has_the_last_word_and_what_it_says_is_scrubbed) {
  int calls = 0;
  key();
  cal_talk *t = open_talk((cal_talk_options){.in_flight = 1, .read = read_it, .context = &calls});
  ask(t, "/ok", 1);
  cal_talk_reply *r = next(t);
  CHECK(calls == 2 && r->end == CAL_TALK_FAILED && r->attempts == 2);
  CHECK_TEXT(r->why.text, "no words came, with <CALOTYPE_TALK_KEY> in them (after 2 attempts)");
  cal_talk_reply_free(r);
  ask(t, "/nothing", 2);
  ask(t, "/ok", 3);
  r = next(t);
  CHECK(r->end == CAL_TALK_STOPPED && r->tag == mark(2));
  CHECK_TEXT(r->why.text, "the key is not valid");
  cal_talk_reply_free(r);
  r = next(t);
  CHECK(r->end == CAL_TALK_STOPPED && r->tag == mark(3) && r->attempts == 0);
  CHECK_TEXT(r->why.text, "the key is not valid");
  cal_talk_reply_free(r);
  cal_talk_close(t);
}

/* --- Log and tape --------------------------------------------------------------------------------------------------- */
TEST(the_log_has_a_line_of_json_for_each_attempt_and_no_key_query_or_body) {
  const char *path = scratch("requests.log");
  cal_talk *t = open_talk((cal_talk_options){.log = path, .secret = key(), .secret_prefix = "Bearer "});
  post(t, "/first/503/1/g?page=sesame", 1, CAL_RETRY_SAFE);
  cal_talk_reply_free(next(t));
  cal_talk_close(t);
  char *text = whole(path);
  CHECK(!strstr(text, "sesame") && !strstr(text, KEY) && !strstr(text, "Bearer") && !strstr(text, "\"a\""));
  char *second = strchr(text, '\n');
  CHECK(second && second[1]);
  if (second) {
    cal_error err = {0};
    cal_json *line = cal_json_parse(text, (size_t)(second - text), &err);
    CHECK(line && cal_json_number(cal_json_find(line, "status")) == 503 && cal_json_number(cal_json_find(line, "again_in")) >= 1);
    CHECK_TEXT(cal_json_text(cal_json_find(line, "verdict")), "503");
    CHECK_TEXT(cal_json_text(cal_json_find(line, "service")), "test");
    CHECK(line && strstr(cal_json_text(cal_json_find(line, "url")), "/first/503/1/g"));
    cal_json_free(line);
    line = cal_json_parse(second + 1, strlen(second + 1), &err);
    CHECK(line && cal_json_number(cal_json_find(line, "attempt")) == 2 && cal_json_number(cal_json_find(line, "ms")) >= 0);
    CHECK_TEXT(cal_json_text(cal_json_find(line, "verdict")), "done");
    cal_json_free(line);
  }
  free(text);
}

TEST(a_log_of_more_than_32_mb_is_set_aside) {
  char path[512], old[600];
  strcpy(path, scratch("long.log"));
  snprintf(old, sizeof old, "%s.old", path);
  FILE *f = fopen(path, "wb");
  if (f && !ftruncate(fileno(f), 33 << 20)) fclose(f);
  cal_talk_close(open_talk((cal_talk_options){.log = path}));
  struct stat info;
  CHECK(stat(path, &info) == 0 && info.st_size == 0);
  CHECK(stat(old, &info) == 0 && info.st_size == 33 << 20);
  remove(old);
}

TEST(a_tape_answers_without_a_server_and_without_waiting) {
  char tape[512];
  strcpy(tape, scratch("talk.rec"));
  server *s = common();
  cal_talk *t = open_talk((cal_talk_options){.record = tape, .secret = key()});
  post(t, "/first/503/1/h", 1, CAL_RETRY_SAFE);
  cal_talk_reply_free(next(t));
  cal_talk_close(t);
  char *text = whole(tape);
  CHECK(strstr(text, "503") && !strstr(text, KEY));
  free(text);
  const int before = s->requests;
  double least = 60;
  for (int i = 0; i < 10 && least >= 0.9; i++) { /* a busy machine may be slow, but not always */
    const double start = cal_clock();
    t = open_talk((cal_talk_options){.replay = tape, .base = "https://elsewhere.invalid"});
    post(t, "/first/503/1/h", 1, CAL_RETRY_SAFE);
    ask(t, "/never/asked", 2);
    cal_talk_reply *r = next(t);
    CHECK(r->end == CAL_TALK_DONE && r->attempts == 2 && r->http->status == 200 && strstr(r->http->body.data, "ok"));
    cal_talk_reply_free(r);
    r = next(t);
    CHECK(r->end == CAL_TALK_FAILED && r->tag == mark(2) && r->why.code == CAL_E_NOTFOUND && !r->http);
    CHECK_TEXT(r->label, "tape");
    cal_talk_reply_free(r);
    cal_talk_close(t);
    if (cal_clock() - start < least) least = cal_clock() - start;
  }
  CHECK(s->requests == before && least < 0.9);
}

TEST(a_key_that_a_server_quotes_is_in_no_header_no_body_and_no_tape) {
  char tape[512];
  strcpy(tape, scratch("quotes.rec"));
  cal_talk *t = open_talk((cal_talk_options){.record = tape, .secret = key()});
  ask(t, "/quotes", 1);
  cal_talk_reply *r = next(t);
  CHECK(r->end == CAL_TALK_DONE);
  CHECK_TEXT(r->http->body.data, "<CALOTYPE_TALK_KEY>");
  CHECK_TEXT(cal_http_header(r->http, "content-type"), "text/plain; key=<CALOTYPE_TALK_KEY>");
  cal_talk_reply_free(r);
  cal_talk_close(t);
  char *text = whole(tape);
  CHECK(strstr(text, "<CALOTYPE_TALK_KEY>") && !strstr(text, KEY));
  free(text);
}

TEST(a_tape_below_an_allowed_folder_follows_no_link_out_of_it) {
  char allowed[512], outside[512], path[600];
  strcpy(allowed, scratch("allowed"));
  strcpy(outside, scratch("outside"));
  snprintf(path, sizeof path, "%s/link", allowed);
  CHECK(!mkdir(allowed, 0700) && !mkdir(outside, 0700) && !symlink(outside, path));
  cal_fs *fs = cal_fs_new("/", 0, NULL);
  CHECK(!cal_fs_grant(fs, allowed, CAL_FS_WRITE | CAL_FS_READ, NULL));
  cal_error err = {0};
  snprintf(path, sizeof path, "%s/link/a.rec", allowed);
  CHECK(!cal_talk_open(&(cal_talk_options){.service = "s", .base = "http://127.0.0.1:9", .record = path, .fs = fs}, &err));
  CHECK(err.code == CAL_E_DENIED && strstr(err.text, "leads out"));
  CHECK(!cal_talk_open(&(cal_talk_options){.service = "s", .base = "http://127.0.0.1:9", .replay = path, .fs = fs}, &err));
  CHECK(err.code == CAL_E_DENIED);
  snprintf(path, sizeof path, "%s/a.rec", outside);
  CHECK(access(path, F_OK) != 0);
  snprintf(path, sizeof path, "%s/a.rec", allowed);
  cal_talk_close(open_talk((cal_talk_options){.record = path, .fs = fs}));
  CHECK(access(path, F_OK) == 0);
  cal_fs_free(fs);
}

/* --- What is refused ------------------------------------------------------------------------------------------------ */
TEST(a_talk_that_cannot_be_is_refused) {
  const cal_secret *secret = key();
  const struct {
    cal_talk_options options;
    cal_status code;
    const char *says;
  } rows[] = {
      {{.base = "ftp://x"}, CAL_E_ARG, "s: ftp:// is not spoken here"},
      {{.base = "nothing at all"}, CAL_E_ARG, "is no URL"},
      {{.base = "http://127.0.0.1/v1?key=1"}, CAL_E_ARG, "ends before \"?\""},
      {{.base = "http://127.0.0.1", .in_flight = 1000}, CAL_E_ARG, "in_flight is 1000; 256 is the most"},
      {{.base = "http://127.0.0.1", .record = "a", .replay = "b"}, CAL_E_ARG, "not both"},
      {{.base = "http://127.0.0.1", .replay = "/nowhere/x.rec"}, CAL_E_NOTFOUND, "/nowhere/x.rec"},
      {{.base = "http://127.0.0.1", .log = "/proc/nowhere/x.log"}, CAL_E_NOTFOUND, "/proc/nowhere"},
      {{.base = "https://example.invalid", .base_place = CAL_FROM_ENV_FILE, .secret = secret, .secret_place = CAL_FROM_ENVIRONMENT},
       CAL_E_DENIED,
       "CALOTYPE_TALK_KEY from the environment: a key is not sent to where only a .env points"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    cal_error err = {0};
    cal_talk_options options = rows[i].options;
    options.service = "s";
    cal_talk *t = cal_talk_open(&options, &err);
    CHECK(!t && err.code == rows[i].code && strstr(err.text, rows[i].says));
    if (t || !strstr(err.text, rows[i].says)) printf("  %zu: %s\n", i, err.text);
  }
}

TEST(the_places_of_address_and_key_that_are_fine) {
  const cal_secret *secret = key();
  const cal_talk_options rows[] = {
      {.base = "https://example.invalid", .base_place = CAL_FROM_ENV_FILE, .secret = secret, .secret_place = CAL_FROM_ENV_FILE},
      {.base = "https://example.invalid", .base_place = CAL_FROM_ENVIRONMENT, .secret = secret, .secret_place = CAL_FROM_ENVIRONMENT},
      {.base = "https://example.invalid", .base_place = CAL_FROM_ENVIRONMENT, .secret = secret, .secret_place = CAL_FROM_ENV_FILE},
      {.base = "https://example.invalid", .secret = secret, .secret_place = CAL_FROM_ENVIRONMENT},
      {.base = "https://example.invalid", .base_place = CAL_FROM_ENV_FILE},
      {.base = "http://localhost:1", .base_place = CAL_FROM_ENV_FILE, .secret = secret, .secret_place = CAL_FROM_ENVIRONMENT},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) cal_talk_close(open_talk(rows[i]));
}

TEST(a_key_that_would_travel_in_the_open_ends_the_talk) {
  cal_talk *t = open_talk((cal_talk_options){.base = "http://93.184.216.34", .secret = key(), .in_flight = 1});
  ask(t, "/a", 1);
  ask(t, "/b", 2);
  cal_talk_reply *r = next(t);
  CHECK(r->end == CAL_TALK_FAILED && r->why.code == CAL_E_DENIED && strstr(r->why.text, "over the open net"));
  cal_talk_reply_free(r);
  r = next(t);
  CHECK(r->end == CAL_TALK_STOPPED && strstr(r->why.text, "over the open net"));
  cal_talk_reply_free(r);
  cal_error err = {0};
  CHECK(cal_talk_ask(t, &(cal_talk_request){.path = "no slash"}, NULL, &err) == CAL_E_ARG);
  cal_talk_close(t);
}

/* --- Stopping ------------------------------------------------------------------------------------------------------- */
static void *press(void *context) {
  usleep(200000);
  *(double *)context = cal_clock();
  cal_interrupt_raise();
  return NULL;
}

TEST(ctrl_c_ends_the_wait_hands_out_what_came_and_starts_nothing) {
  server *s = common();
  cal_talk *t = open_talk((cal_talk_options){.in_flight = 3}), *other = open_talk((cal_talk_options){.in_flight = 1});
  double pressed, least = 60;
  ask(t, "/hold", 1);
  ask(t, "/gate", 3);
  cal_talk_reply *r = NULL;
  cal_error err = {0};
  for (int i = 0; i < 10 && least >= 0.05; i++) { /* a busy machine may be late, but not always */
    cal_interrupt_clear();
    pthread_t thread;
    pthread_create(&thread, NULL, press, &pressed);
    CHECK(!cal_talk_next(t, -1, &r, &err) && !r && cal_talk_pending(t) == 2);
    const double heard = cal_clock();
    pthread_join(thread, NULL);
    if (heard - pressed < least) least = heard - pressed;
  }
  CHECK(least < 0.06); /* 50 ms, and what it takes to look at the clock */
  cal_interrupt_clear();
  CHECK(!cal_talk_next(t, 0, &r, &err) && !r);
  const int answered = s->answered;
  ask(t, "/ok", 2);
  for (int i = 0, last = 0; i < 3000 && !last;
       i++) { /* until it was answered, and once more: who waits for one talk moves the bytes of all */
    last = s->answered - answered > i;
    ask(other, "/slow/1", 4);
    cal_talk_reply_free(next(other));
  }
  cal_interrupt_raise();
  CHECK(!cal_talk_next(t, -1, &r, &err) && r && r->tag == mark(2));
  cal_talk_reply_free(r);
  const int before = s->requests;
  CHECK(!cal_talk_next(t, -1, &r, &err) && !r && cal_talk_pending(t) == 2);
  ask(t, "/ok", 5);
  s->open = true;
  CHECK(!cal_talk_next(t, -1, &r, &err) && r && r->tag == mark(3)); /* what flies is waited for by who asks again */
  cal_talk_reply_free(r);
  CHECK(!cal_talk_next(t, 0.1, &r, &err) && !r && s->requests == before);
  cal_interrupt_raise();
  CHECK(!cal_talk_next(t, -1, &r, &err) && !r && cal_talk_pending(t) == 2); /* the second ends that */
  CHECK(cal_talk_flying(t) == 1);                                           /* /hold; what was asked after Ctrl-C never went */
  cal_interrupt_clear();
  cal_talk_close(t), cal_talk_close(other);
}

TEST(no_memory_at_any_allocation_is_told_and_nothing_leaks) {
  cal_talk_close(open_talk((cal_talk_options){0})); /* the gates stay */
  const size_t before = cal_memory_in_use();
  for (long left = 0; left < 60; left++) {
    cal_error err = {0};
    char base[64];
    snprintf(base, sizeof base, "http://127.0.0.1:%d", common()->port);
    cal_memory_fail_after(left);
    cal_talk *t = cal_talk_open(&(cal_talk_options){.service = "s", .base = base}, &err);
    if (!t) CHECK(err.code == CAL_E_MEMORY);
    if (t) {
      cal_talk_request request = {.path = "/ok"};
      cal_talk_reply *r = NULL;
      if (!cal_talk_ask(t, &request, mark(1), &err)) cal_talk_next(t, 0.5, &r, &err);
      cal_talk_reply_free(r);
    }
    cal_memory_fail_after(-1);
    cal_talk_close(t);
  }
  CHECK(cal_memory_in_use() == before);
}

TEST_MAIN()
