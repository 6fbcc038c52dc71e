/* The parts of core/net that need no network: .env, keys and how they are hidden, gates, retries. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/net/env_file.h"
#include "core/net/rate.h"
#include "core/net/retry.h"
#include "core/net/secret.h"
#include "test.h"

/* ---- .env ---- */

static const char *value_of(const char *text, const char *name) {
  static char kept[CAL_ERROR_TEXT];
  cal_error err = {0};
  cal_env_file *file = cal_env_file_parse(text, strlen(text), &err);
  const char *value = cal_env_file_find(file, name);
  snprintf(kept, sizeof kept, "%s", !file ? err.text : value ? value : "(none)");
  cal_env_file_free(file);
  return kept;
}

TEST(env_file_reads_the_lines_people_write) {
  CHECK_TEXT(value_of("A=1", "A"), "1");
  CHECK_TEXT(value_of("  export A = some words  # why\r\nB=2", "A"), "some words");
  CHECK_TEXT(value_of("\xef\xbb\xbf"
                      "A=1\n",
                      "A"),
             "1");
  CHECK_TEXT(value_of("A=a#b", "A"), "a#b");
  CHECK_TEXT(value_of("A= # nothing", "A"), "");
  CHECK_TEXT(value_of("A=", "A"), "");
  CHECK_TEXT(value_of("A='x # $B \\n'", "A"), "x # $B \\n");
  CHECK_TEXT(value_of("A=\"x\\t\\\"y\\\\\\$\" # c", "A"), "x\t\"y\\$");
  CHECK_TEXT(value_of("A=$B\nB=2", "A"), "$B");
  CHECK_TEXT(value_of("A=1\n# A=2\n\n\t\nA=3", "A"), "3");
  CHECK_TEXT(value_of("export=1", "export"), "1");
  CHECK_TEXT(value_of("exported=1", "exported"), "1");
  CHECK_TEXT(value_of("A=1", "a"), "(none)");
  CHECK_TEXT(value_of("A=k\xc3\xbc"
                      "che",
                      "A"),
             "k\xc3\xbc"
             "che");
}

TEST(env_file_says_the_line_and_never_what_stands_in_it) {
  CHECK_TEXT(value_of("A=1\nhf_abcdef", "A"), "line 2: a line is NAME=value, the name of letters, digits and _; # begins a comment");
  CHECK(strncmp(value_of("\n\nA-B=1", "A"), "line 3: ", 8) == 0);
  CHECK(strncmp(value_of("=1", "A"), "line 1: ", 8) == 0);
  CHECK(strncmp(value_of("1A=1", "A"), "line 1: ", 8) == 0);
  CHECK_TEXT(value_of("A='1", "A"), "line 1: the quote ' is not closed on its line");
  CHECK_TEXT(value_of("A=\"1\\\"", "A"), "line 1: the quote \" is not closed on its line");
  CHECK_TEXT(value_of("A='1'2", "A"), "line 1: text stands after the closing quote");
  CHECK(strncmp(value_of("A=\"\\q\"", "A"), "line 1: this escape", 19) == 0);
  CHECK_TEXT(value_of("A=1\x1b[2J", "A"), "line 1: byte 4 is a control character (27)");
  CHECK_TEXT(value_of("B=2\nA=\xff", "A"), "line 2: the bytes are not UTF-8");
  CHECK(strstr(value_of("sk-secretvalue", "A"), "secretvalue") == NULL);
  cal_error err = {0};
  CHECK(!cal_env_file_parse("A=1\0B", 5, &err) && err.code == CAL_E_FORMAT);
  static char big[CAL_ENV_FILE_MOST + 1];
  memset(big, '\n', sizeof big);
  CHECK(!cal_env_file_parse(big, sizeof big, &err) && err.code == CAL_E_LIMIT);
}

TEST(env_file_survives_every_allocation_that_fails) {
  const char text[] = "A='1'\nexport B=2\nA=3\n";
  for (long i = 0;; i++) {
    cal_error err = {0};
    cal_memory_fail_after(i);
    cal_env_file *file = cal_env_file_parse(text, sizeof text - 1, &err);
    cal_memory_fail_after(-1);
    if (file) {
      CHECK(cal_env_file_count(file) == 2 && i > 4);
      CHECK_TEXT(cal_env_file_name(file, 1), "B");
      CHECK_TEXT(cal_env_file_value(file, 0), "3");
      cal_env_file_free(file);
      break;
    }
    CHECK(err.code == CAL_E_MEMORY);
  }
}

/* ---- settings and keys ---- */

static char folder[512];

static void enter(const char *dot_env) {
  const char *tmp = getenv("CALOTYPE_TEST_TMP");
  snprintf(folder, sizeof folder, "%s/net-parts", tmp ? tmp : "/tmp");
  mkdir(folder, 0777);
  if (chdir(folder) != 0) test_failures++;
  unlink(".env");
  if (dot_env) {
    FILE *f = fopen(".env", "wb");
    if (!f) test_failures++;
    else fputs(dot_env, f), fclose(f);
  }
  cal_env_forget();
}

static const char *setting(const char *name, cal_env_place *place) {
  static char kept[CAL_ERROR_TEXT];
  cal_buffer value = {0};
  cal_error err = {0};
  cal_status status = cal_env_get(name, &value, place, &err);
  snprintf(kept, sizeof kept, "%s", status ? err.text : value.data ? value.data : "(none)");
  cal_buffer_free(&value);
  return kept;
}

TEST(settings_come_from_the_environment_first_and_then_from_dot_env) {
  enter("CALOTYPE_TEST_A=file\nCALOTYPE_TEST_B=  \nCALOTYPE_TEST_C=file\n");
  setenv("CALOTYPE_TEST_A", "  outside\n", 1);
  setenv("CALOTYPE_TEST_C", "", 1);
  cal_env_place place;
  CHECK_TEXT(setting("CALOTYPE_TEST_A", &place), "outside");
  CHECK(place == CAL_FROM_ENVIRONMENT);
  unsetenv("CALOTYPE_TEST_A");
  CHECK_TEXT(setting("CALOTYPE_TEST_A", &place), "file");
  CHECK(place == CAL_FROM_ENV_FILE);
  CHECK_TEXT(setting("CALOTYPE_TEST_B", &place), "(none)");
  CHECK(place == CAL_FROM_NOWHERE);
  CHECK_TEXT(setting("CALOTYPE_TEST_C", &place), "(none)"); /* set to nothing hides the file's */
  CHECK(place == CAL_FROM_NOWHERE);
  unsetenv("CALOTYPE_TEST_C");
  CHECK_TEXT(setting("CALOTYPE_TEST_D", &place), "(none)");
  CHECK_TEXT(cal_env_place_name(CAL_FROM_ENV_FILE), ".env");
  enter(NULL);
  CHECK_TEXT(setting("CALOTYPE_TEST_A", &place), "(none)");
}

TEST(a_broken_dot_env_is_told_every_time_and_only_when_it_is_needed) {
  enter("A=1\n'oops\n");
  setenv("CALOTYPE_TEST_A", "outside", 1);
  CHECK_TEXT(setting("CALOTYPE_TEST_A", NULL), "outside");
  unsetenv("CALOTYPE_TEST_A");
  for (int i = 0; i < 2; i++) CHECK(strncmp(setting("CALOTYPE_TEST_A", NULL), ".env: line 2: a line is NAME=value", 33) == 0);
  enter(NULL);
  mkdir(".env", 0777);
  CHECK(strstr(setting("CALOTYPE_TEST_A", NULL), ".env is not a regular file") != NULL);
  rmdir(".env");
}

TEST(names_that_say_key_are_known) {
  CHECK(cal_env_is_secret("GEMINI_API_KEY") && cal_env_is_secret("hf_token") && cal_env_is_secret("MY_SECRET") &&
        cal_env_is_secret("DB_PASSWORD"));
  CHECK(!cal_env_is_secret("GEMINI_BASE_URL") && !cal_env_is_secret("") && !cal_env_is_secret("USE_GEMINI"));
}

TEST(the_first_key_that_is_set_is_found_and_the_same_value_is_the_same_secret) {
  enter("SECOND_TEST_KEY=AQ.from-the-file-0001\nTHIRD_TEST_KEY=AQ.from-the-file-0001\n");
  const cal_secret *a, *b;
  const char *name;
  cal_env_place place;
  cal_error err = {0};
  CHECK(!cal_secret_find((const char *const[]){"FIRST_TEST_KEY", "SECOND_TEST_KEY", "THIRD_TEST_KEY", NULL}, &a, &name, &place, &err));
  CHECK(a && place == CAL_FROM_ENV_FILE);
  CHECK_TEXT(name, "SECOND_TEST_KEY");
  CHECK_TEXT(a ? cal_secret_value(a) : NULL, "AQ.from-the-file-0001");
  CHECK(!cal_secret_find((const char *const[]){"THIRD_TEST_KEY", NULL}, &b, NULL, NULL, &err) && a == b);
  CHECK_TEXT(b ? cal_secret_name(b) : NULL, "SECOND_TEST_KEY");
  CHECK(!cal_secret_find((const char *const[]){"NO_TEST_KEY", NULL}, &b, &name, &place, &err) && !b && !name && place == CAL_FROM_NOWHERE);
}

TEST(a_value_that_is_no_key_is_refused_without_being_shown) {
  enter("A_TEST_KEY='hf_first hf_second'\n");
  const cal_secret *s;
  cal_error err = {0};
  CHECK(cal_secret_find((const char *const[]){"A_TEST_KEY", NULL}, &s, NULL, NULL, &err) == CAL_E_ARG && !s);
  CHECK(strncmp(err.text, "A_TEST_KEY (.env) cannot be a key", 33) == 0 && !strstr(err.text, "hf_"));
  enter("A_TEST_KEY=\"hf_first\\r\\nX-Evil: 1\"\n");
  CHECK(cal_secret_find((const char *const[]){"A_TEST_KEY", NULL}, &s, NULL, NULL, &err) == CAL_E_ARG);
}

/* ---- hiding ---- */

static const char *hidden(const char *text) {
  static char kept[4][2000];
  static int turn;
  cal_buffer b = {0};
  cal_error err = {0};
  cal_buffer_add_text(&b, text);
  CHECK(!cal_scrub(&b, &err));
  turn = (turn + 1) % 4;
  snprintf(kept[turn], sizeof kept[turn], "%s", b.data ? b.data : "");
  cal_buffer_free(&b);
  return kept[turn];
}

TEST(a_loaded_key_is_hidden_in_every_form) {
  enter("ODD_TEST_KEY='p/q+r\"s\\t=%41-u'\nSHORT_TEST_KEY=none\n");
  const cal_secret *s;
  cal_error err = {0};
  CHECK(!cal_secret_find((const char *const[]){"ODD_TEST_KEY", NULL}, &s, NULL, NULL, &err) && s);
  CHECK(!cal_secret_find((const char *const[]){"SHORT_TEST_KEY", NULL}, &s, NULL, NULL, &err) && s);
  CHECK_TEXT(hidden("at p/q+r\"s\\t=%41-u."), "at <ODD_TEST_KEY>.");
  CHECK_TEXT(hidden("xp/q+r\"s\\t=%41-ux"), "x<ODD_TEST_KEY>x");
  CHECK_TEXT(hidden("{\"a\":\"p/q+r\\\"s\\\\t=%41-u\"}"), "{\"a\":\"<ODD_TEST_KEY>\"}");
  CHECK_TEXT(hidden("p\\/q\\u002br\\u0022s\\\\t\\u003D%41-u"), "<ODD_TEST_KEY>");
  CHECK_TEXT(hidden("x=p%2Fq%2br%22s%5ct%3D%2541-u&y"), "x=<ODD_TEST_KEY>&y");
  CHECK_TEXT(hidden("p/q+r\"s\\t=%41-"), "p/q+r\"s\\t=%41-");
  CHECK_TEXT(hidden("none of them"), "none of them");
  CHECK_TEXT(hidden(""), "");
}

TEST(what_looks_like_a_key_is_hidden_and_words_of_programs_are_not) {
  CHECK_TEXT(hidden("AIzaSyA0123456789abcdefghijklmnopqrstuv x"), "<key> x");
  CHECK_TEXT(hidden("AQ.Ab8RN6Jabcdefgh-ij_kl"), "<key>");
  CHECK_TEXT(hidden("(hf_abcdefghijklmnopqrstuvwxyzABCDEFGH)"), "(<key>)");
  CHECK_TEXT(hidden("r8_0123456789abcdefgh rpa_0123456789ABCDEFGH rps_0123456789ABCDEFGH whsec_a/b+c=defg sk-proj-0123456789abcdef"),
             "<key> <key> <key> <key> <key>");
  CHECK_TEXT(hidden("hf_hub_download task-sk-1 risk-0123456789abcdefghijk AQ. r8_"),
             "hf_hub_download task-sk-1 risk-0123456789abcdefghijk AQ. r8_");
}

TEST(headers_and_addresses_lose_what_grants_access) {
  CHECK_TEXT(hidden("Authorization: Bearer abc.def\r\nAccept: */*"), "Authorization: <hidden>\r\nAccept: */*");
  CHECK_TEXT(hidden("{\"authorization\": \"Bearer abc\", \"a\": 1}"), "{\"authorization\": \"<hidden>\", \"a\": 1}");
  CHECK_TEXT(hidden("x-goog-api-key:abc"), "x-goog-api-key:<hidden>");
  CHECK_TEXT(hidden("X-Goog-Upload-URL: https://h/u?upload_id=1"), "X-Goog-Upload-URL: <hidden>");
  CHECK_TEXT(hidden("https://h/p?key=abc&alt=sse"), "https://h/p?key=<hidden>&alt=sse");
  CHECK_TEXT(hidden("Location: https://cdn/f?X-Amz-Signature=12ab&X-Amz-Date=2026&a=1 next"),
             "Location: https://cdn/f?X-Amz-Signature=<hidden>&X-Amz-Date=<hidden>&a=1 next");
  CHECK_TEXT(hidden("?Policy=abc&Signature=d~e&Key-Pair-Id=K1&token=t\n"),
             "?Policy=<hidden>&Signature=<hidden>&Key-Pair-Id=<hidden>&token=<hidden>\n");
  CHECK_TEXT(hidden("monkey=1 tokens=2 authorization is asked for"), "monkey=1 tokens=2 authorization is asked for");
}

TEST(a_picture_in_base64_becomes_its_length_and_hash) {
  char text[900];
  memset(text, 'A', 600);
  strcpy(text + 600, "\"}");
  const char *shown = hidden(text);
  CHECK(strncmp(shown, "<base64, 600 characters, sha256 ", 32) == 0);
  CHECK_TEXT(shown + 32 + 12, ">\"}");
  CHECK(strlen(hidden(text + 100)) == 502);
}

TEST(hiding_without_memory_shows_nothing) {
  cal_buffer b = {0};
  cal_error err = {0};
  cal_buffer_add_text(&b, "Authorization: Bearer abc");
  cal_memory_fail_after(0);
  CHECK(cal_scrub(&b, &err) == CAL_E_MEMORY && b.size == 0 && !b.data);
  cal_memory_fail_after(-1);
}

/* ---- gates ---- */

static cal_rate *one_gate(cal_rates **rates, double requests, double tokens) {
  cal_error err = {0};
  *rates = cal_rates_new(&err);
  cal_rate *gate = cal_rates_gate(*rates, "host", NULL, &err);
  cal_rate_set(gate, requests, tokens);
  return gate;
}

/* The most requests that any 60 seconds saw, when a request goes as soon as it may, for 10 minutes. */
static int busiest_minute(double per_minute, int *all) {
  static double times[20000];
  cal_rates *rates;
  cal_rate *gate = one_gate(&rates, per_minute, 0);
  int count = 0, most = 0;
  for (double now = 1000; now < 1600 && count < 20000;) {
    double wait = cal_rate_wait(gate, now, 0);
    if (wait > 0) {
      now += wait;
      continue;
    }
    cal_rate_take(gate, now, 0);
    times[count++] = now;
  }
  for (int from = 0, to = 0; to < count; to++) {
    while (times[to] - times[from] >= 60 - 1e-6) from++;
    if (to - from + 1 > most) most = to - from + 1;
  }
  cal_rates_free(rates);
  *all = count;
  return most;
}

TEST(no_minute_sees_more_requests_than_the_limit_and_little_is_given_away) {
  const double limits[] = {1, 2, 7, 10, 60, 1000};
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    int all;
    CHECK(busiest_minute(limits[i], &all) <= limits[i]);
    CHECK(all >= 8 * limits[i]);
  }
  int all;
  CHECK(busiest_minute(0.5, &all) == 1 && all == 5);
}

TEST(tokens_are_waited_for_and_a_guess_is_put_right) {
  cal_rates *rates;
  cal_rate *gate = one_gate(&rates, 0, 6000); /* 600 at once, then 90 a second */
  CHECK(cal_rate_wait(gate, 0, 500) == 0);
  cal_rate_take(gate, 0, 500);
  CHECK_NEAR(cal_rate_wait(gate, 0, 280), 2, 1e-9);
  cal_rate_correct(gate, 500, 320);
  CHECK(cal_rate_wait(gate, 0, 280) == 0);
  cal_rate_correct(gate, 320, 500);
  CHECK_NEAR(cal_rate_wait(gate, 1, 280), 1, 1e-9);
  CHECK_NEAR(cal_rate_wait(gate, 0.5, 280), 1, 1e-9); /* a clock that steps back */
  cal_rate_take(gate, 100, 6000);                     /* more than fits: from a full gate, and then a debt of 5400 */
  CHECK_NEAR(cal_rate_wait(gate, 100, 0), 60, 1e-9);
  CHECK_NEAR(cal_rate_wait(gate, 100, 100), 60 + 100 / 90.0, 1e-9);
  cal_rates_free(rates);
}

TEST(a_pause_holds_everyone_at_the_gate_and_nobody_at_another) {
  cal_error err = {0};
  cal_rates *rates = cal_rates_new(&err);
  int key, other;
  cal_rate *gate = cal_rates_gate(rates, "host", &key, &err);
  CHECK(gate && gate == cal_rates_gate(rates, "host", &key, &err));
  cal_rate *beside = cal_rates_gate(rates, "host", &other, &err);
  CHECK(beside != gate && cal_rates_gate(rates, "other", &key, &err) != gate);
  CHECK(cal_rate_wait(gate, 5, 1e9) == 0); /* no limits yet */
  cal_rate_pause(gate, 30);
  cal_rate_pause(gate, 20);
  CHECK_NEAR(cal_rate_wait(gate, 5, 0), 25, 1e-9);
  CHECK(cal_rate_wait(beside, 5, 0) == 0 && cal_rate_wait(gate, 31, 0) == 0);
  cal_memory_fail_after(0);
  CHECK(!cal_rates_gate(rates, "third", NULL, &err) && err.code == CAL_E_MEMORY);
  cal_memory_fail_after(1);
  CHECK(!cal_rates_gate(rates, "third", NULL, &err));
  cal_memory_fail_after(-1);
  cal_rates_free(rates);
}

/* ---- retries ---- */

static cal_retry_advice ask(cal_retry_class class, int attempt, cal_transfer transfer, int status, bool sent, double hint) {
  return cal_retry(&(cal_retry_case){.class = class,
                                     .attempt = attempt,
                                     .attempts = 5,
                                     .transfer = transfer,
                                     .status = status,
                                     .sent_any = sent,
                                     .hint = hint,
                                     .left = -1});
}

TEST(safe_requests_go_again_after_what_may_pass) {
  const int again[] = {408, 429, 499, 500, 502, 503, 504}, never[] = {200, 301, 400, 401, 402, 403, 404, 409, 410, 416, 422, 501};
  for (size_t i = 0; i < sizeof again / sizeof *again; i++) CHECK(ask(CAL_RETRY_SAFE, 1, 0, again[i], true, -1).what == CAL_RETRY_WAIT);
  for (size_t i = 0; i < sizeof never / sizeof *never; i++) CHECK(ask(CAL_RETRY_SAFE, 1, 0, never[i], true, -1).what == CAL_RETRY_GIVE_UP);
  const cal_transfer passing[] = {CAL_TRANSFER_RESOLVE, CAL_TRANSFER_CONNECT, CAL_TRANSFER_TIMEOUT, CAL_TRANSFER_STALL, CAL_TRANSFER_CUT};
  for (size_t i = 0; i < 5; i++) CHECK(ask(CAL_RETRY_SAFE, 4, passing[i], 0, true, -1).what == CAL_RETRY_WAIT);
  CHECK(ask(CAL_RETRY_SAFE, 1, CAL_TRANSFER_TOO_LARGE, 0, true, -1).what == CAL_RETRY_GIVE_UP);
  CHECK(ask(CAL_RETRY_SAFE, 1, CAL_TRANSFER_TLS, 0, false, -1).what == CAL_RETRY_WAIT);
  CHECK(ask(CAL_RETRY_SAFE, 2, CAL_TRANSFER_TLS, 0, false, -1).what == CAL_RETRY_GIVE_UP);
  CHECK(ask(CAL_RETRY_SAFE, 5, 0, 503, true, -1).what == CAL_RETRY_GIVE_UP);
  CHECK(ask(CAL_RETRY_SAFE, 3, 0, 504, true, -1).what == CAL_RETRY_GIVE_UP &&
        ask(CAL_RETRY_SAFE, 2, 0, 500, true, -1).what == CAL_RETRY_WAIT);
}

TEST(what_is_paid_goes_again_only_when_the_server_did_not_take_it) {
  CHECK(ask(CAL_RETRY_BILLED, 1, CAL_TRANSFER_CONNECT, 0, false, -1).what == CAL_RETRY_WAIT);
  CHECK(ask(CAL_RETRY_BILLED, 1, CAL_TRANSFER_TIMEOUT, 0, false, -1).what == CAL_RETRY_WAIT);
  CHECK(ask(CAL_RETRY_BILLED, 1, 0, 429, true, -1).what == CAL_RETRY_WAIT &&
        ask(CAL_RETRY_BILLED, 1, 0, 503, true, -1).what == CAL_RETRY_WAIT);
  const cal_transfer lost[] = {CAL_TRANSFER_TIMEOUT, CAL_TRANSFER_STALL, CAL_TRANSFER_CUT};
  for (size_t i = 0; i < 3; i++) {
    cal_retry_advice advice = ask(CAL_RETRY_BILLED, 1, lost[i], 0, true, -1);
    CHECK(advice.what == CAL_RETRY_GIVE_UP && strstr(advice.why, "paid again") != NULL);
  }
  const int unsure[] = {408, 499, 500, 502, 504};
  for (size_t i = 0; i < 5; i++) CHECK(ask(CAL_RETRY_BILLED, 1, 0, unsure[i], true, -1).what == CAL_RETRY_GIVE_UP);
}

TEST(waits_double_up_to_a_minute_and_the_server_has_the_last_word) {
  const double steps[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
  for (int i = 0; i < 9; i++) {
    cal_retry_case c = {.attempt = i + 1, .attempts = 20, .status = 503, .hint = -1, .left = -1};
    CHECK_NEAR(cal_retry(&c).seconds, steps[i], 1e-9);
    c.random = 1;
    CHECK_NEAR(cal_retry(&c).seconds, steps[i] * 1.25, 1e-9);
  }
  CHECK_NEAR(ask(CAL_RETRY_SAFE, 1, 0, 429, true, 54).seconds, 54, 1e-9);
  CHECK_NEAR(ask(CAL_RETRY_SAFE, 3, 0, 429, true, 0.5).seconds, 4, 1e-9); /* asked too soon three times */
  CHECK_TEXT(ask(CAL_RETRY_SAFE, 1, 0, 429, true, 54).why, "status 429, the server asks for 54 s");
  CHECK(ask(CAL_RETRY_SAFE, 1, 0, 429, true, 300).what == CAL_RETRY_WAIT);
  cal_retry_advice stop = ask(CAL_RETRY_BILLED, 1, 0, 429, true, 68940);
  CHECK(stop.what == CAL_RETRY_STOP_SERVICE && stop.seconds == 0);
  CHECK_TEXT(stop.why, "status 429, the server asks for a pause of 68940 s");
  cal_retry_case late = {.attempt = 1, .attempts = 5, .status = 429, .hint = 54, .left = 50};
  CHECK(cal_retry(&late).what == CAL_RETRY_GIVE_UP && strstr(cal_retry(&late).why, "time limit"));
}

TEST(hints_are_read_from_both_headers) {
  CHECK(cal_retry_hint(NULL, NULL, 0) == -1);
  CHECK(cal_retry_hint(" 12 ", NULL, 0) == 12);
  CHECK(cal_retry_hint("soon", NULL, 0) == -1 && cal_retry_hint("12 s", NULL, 0) == -1 && cal_retry_hint("-4", NULL, 0) == -1);
  CHECK(cal_retry_hint("Wed, 21 Oct 2015 07:28:00 GMT", NULL, 1445412480 - 30) == 30);
  CHECK(cal_retry_hint("Wed, 21 Oct 2015 07:28:00 GMT", NULL, 1445412480 + 30) == 0);
  CHECK(cal_retry_now("Wed, 21 Oct 2015 07:27:30 GMT", 7) == 1445412450 && cal_retry_now(NULL, 7) == 7 && cal_retry_now("today", 7) == 7);
  CHECK(cal_retry_hint(NULL, "\"api\";r=0;t=55", 0) == 56);
  CHECK(cal_retry_hint(NULL, "\"api\";r=3;t=55", 0) == -1);
  CHECK(cal_retry_hint(NULL, "\"minute\";r=0;t=12, \"hour\";r=0;t=900", 0) == 901);
  CHECK(cal_retry_hint("5", "\"api\";r=0;t=1", 0) == 5);
  CHECK(cal_retry_hint(NULL, "", 0) == -1 && cal_retry_hint(NULL, ";r=", 0) == -1 && cal_retry_hint(NULL, "r=0;t=5", 0) == -1);
}

TEST(transfers_have_names) {
  CHECK_TEXT(cal_transfer_name(CAL_TRANSFER_TOO_LARGE), "too large");
  CHECK_TEXT(cal_transfer_name((cal_transfer)99), "other");
}

TEST_MAIN()
