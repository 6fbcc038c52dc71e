/* main.c - two listening sockets, poll, and who answers which path.
 *
 *   build/release/tests/fake            prints "port N", "other M" and "closed K" (a port that is taken and where nobody listens), serves
 *                                       until GET /quit, or until its parent is gone
 *   build/release/tests/fake faults     the ways to misbehave
 *
 * `/s/NAME/...` is answered as scenario NAME says (scenario.c); GET /counts[/NAME], /requests[/NAME],
 * /files/NAME (how many that were sent lie here), /wait/NAME/N (answers when there were N requests), /ready/NAME (its answers are
 * ready now, and from now on at once), /faults, /reset. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"

typedef struct {
  int fd, serial;
  bool other, answering, closing, told; /* told: "100 Continue" was sent for the request that is being read */
  cal_buffer in;
  script out;
  double ready; /* when the next step may go */
  scenario *in_scenario;
  count *of;
  char *waits_for; /* GET /wait/NAME/N: the name; answered when it had N requests, or after a minute */
  long waits_until;
  bool counts; /* the answer is one that can be counted as delivered */
} peer;

enum { MOST_LINKS = 512 };
static peer links[MOST_LINKS];
static int link_count;
int fake_port, fake_other_port;
char fake_key[512]; /* of the request that is being answered */
static bool quitting;

static void take_key(const request *r) {
  const char *sent = request_header(r, "x-goog-api-key");
  if (!sent) sent = request_header(r, "authorization");
  snprintf(fake_key, sizeof fake_key, "%s", sent ? sent : "none");
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int listener(int *port, bool listens) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  if (listens) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || (listens && listen(fd, 256)) ||
      getsockname(fd, (struct sockaddr *)&at, &size)) {
    perror("fake: listen");
    exit(1);
  }
  fcntl(fd, F_SETFL, O_NONBLOCK);
  *port = ntohs(at.sin_port);
  return fd;
}

/* The services of captions by their paths. false: the path is nobody's. */
static bool caption_answer(scenario *sc, peer *l, const request *r, const char *path) {
  const char *type = request_header(r, "content-type"), *why = "", *tail;
  char model[96] = "";
  service from = HUGGINGFACE;
  bool raw = type && !strncmp(type, "image/", 6), none = false;
  if (strcmp(r->method, "POST")) return false;
  if (!strncmp(path, "/v1beta/models/", 15) && (tail = strstr(path, ":generateContent"))) {
    from = GEMINI;
    snprintf(model, sizeof model, "%.*s", (int)(tail - path - 15), path + 15);
  } else if (strstr(path, "/chat/completions")) from = OPENAI;
  else if (strstr(path, "/api/chat")) from = OLLAMA_CHAT;
  else if (strstr(path, "/api/generate")) from = OLLAMA_GENERATE;
  else if ((tail = strstr(path, "/models/"))) snprintf(model, sizeof model, "%s", tail + 8);
  else if (strlen(path) > 1) none = true;
  if (none && !raw) return false;
  question q;
  answer a = {0};
  const fault *f = fault_table;
  if (!question_read(&q, from, model, r->body.data, r->body.size, raw, &why)) {
    char said[400];
    snprintf(said, sizeof said, "Invalid JSON payload received. %.300s", why);
    answer_plain_error(from, 400, "INVALID_ARGUMENT", said, NULL, &a);
    scenario_record(sc, r, path, NULL, f, 400);
    answer_deliver(&a, WHOLE, &l->out);
    return answer_free(&a), true;
  }
  char key[CAL_SHA256_HEX + 8];
  snprintf(key, sizeof key, "%s", *q.sha ? q.sha : "words");
  count *c = scenario_count(sc, key);
  f = scenario_choose(sc, c, q.model, 0, NULL);
  take_key(r);
  bool refused = f->how == CLOSED_REUSED && r->serial > 1;
  if (f->make) f->make(&q, f, &a);
  else answer_right(&q, &a);
  if (f->headers) cal_buffer_add_text(&a.headers, f->headers);
  bool lost = f->flags & LOST;
  if (!refused) {
    if (a.paid && (a.intact || lost)) c->produced++, sc->produced++;
    else if (a.paid) c->barren++, sc->barren++;
  }
  l->of = c, l->counts = a.paid && a.intact && !lost;
  scenario_record(sc, r, path, &q, f, refused ? 0 : a.status);
  if (refused) script_add(&l->out, STEP_CLOSE, 0);
  else answer_deliver(&a, f->how, &l->out);
  answer_free(&a);
  question_free(&q);
  return true;
}

static void small_answer(scenario *sc, const request *r, const char *path, script *s) {
  static const struct {
    const char *path, *body;
  } table[] = {
      {"/health", "{\"status\":\"ok\"}"},
      {"/v1/models",
       "{\"object\":\"list\",\"data\":[{\"id\":\"fake-vlm\",\"object\":\"model\",\"architecture\":{\"input_modalities\":[\"text\","
       "\"image\"]}}]}"},
      {"/models", "{\"object\":\"list\",\"data\":[{\"id\":\"fake-vlm\",\"object\":\"model\"}]}"},
      {"/props", "{\"modalities\":{\"vision\":true,\"audio\":false}}"},
      {"/api/tags", "{\"models\":[{\"name\":\"llava:latest\",\"model\":\"llava:latest\",\"size\":1}]}"},
      {"/api/show", "{\"capabilities\":[\"completion\",\"vision\"]}"},
      {"/api/version", "{\"version\":\"0.33.0\"}"},
  };
  char key[1024];
  snprintf(key, sizeof key, "%s %s", r->method, path);
  const fault *f = scenario_choose(sc, scenario_count(sc, key), "", 0, NULL);
  question q = {.from = OPENAI};
  take_key(r);
  answer a = {.head_only = !strcmp(r->method, "HEAD")};
  if (f->make && f->status != 200) f->make(&q, f, &a);
  else {
    answer_plain_error(OPENAI, 404, "NOT_FOUND", "there is nothing at this path", NULL, &a);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
      if (!strcmp(path, table[i].path)) a.status = 200, a.body.size = 0, cal_buffer_add_text(&a.body, table[i].body);
  }
  if (f->headers) cal_buffer_add_text(&a.headers, f->headers);
  a.head_length = a.body.size;
  scenario_record(sc, r, path, NULL, f, a.status);
  answer_deliver(&a, f->make ? WHOLE : f->how, s);
  answer_free(&a);
}

static long requests_of(const char *name) {
  const char *why;
  const scenario *sc = scenario_find(name, strlen(name), &why);
  return sc ? sc->requests : 0;
}

static void ready_now(const char *name) {
  const char *why;
  scenario *sc = scenario_find(name, strlen(name), &why);
  if (!sc) return;
  sc->seconds = 0;
  for (int i = 0; i < link_count; i++)
    if (links[i].in_scenario == sc && links[i].out.at == 0) links[i].ready = 0;
}

static void control(peer *l, const request *r, script *s) {
  const char *slash = strrchr(r->path, '/');
  if (!strncmp(r->path, "/wait/", 6) && slash > r->path + 6) {
    l->waits_for = strndup(r->path + 6, (size_t)(slash - r->path - 6));
    l->waits_until = atol(slash + 1);
    l->ready = now() + 60;
  }
  if (!strncmp(r->path, "/ready/", 7)) ready_now(r->path + 7);
  answer a = {.status = 200, .type = "application/json"};
  if (!strncmp(r->path, "/counts", 7)) scenario_counts(r->path[7] ? r->path + 8 : "", &a.body);
  else if (!strncmp(r->path, "/requests", 9)) scenario_requests(r->path[9] ? r->path + 10 : "", &a.body);
  else if (!strncmp(r->path, "/files/", 7)) cal_buffer_printf(&a.body, "%d\n", batch_files(r->path + 7));
  else if (!strcmp(r->path, "/faults")) scenario_fault_list(&a.body);
  else if (!strcmp(r->path, "/reset")) batch_reset(), scenario_reset();
  else if (!strcmp(r->path, "/quit")) quitting = true;
  else if (l->waits_for || !strncmp(r->path, "/ready/", 7)) cal_buffer_add_text(&a.body, "{}");
  else
    a.status = 404,
    cal_buffer_add_text(
        &a.body,
        "{\"error\":\"paths are /s/NAME/..., /counts, /requests, /files/NAME, /wait/NAME/N, /ready/NAME, /faults, /reset, /quit\"}");
  answer_deliver(&a, WHOLE, s);
  answer_free(&a);
}

static void answer_request(peer *l, request *r) {
  l->answering = true, l->told = false, l->of = NULL, l->counts = false, l->in_scenario = NULL;
  l->closing = r->old_client;
  l->ready = 0;
  r->serial = ++l->serial, r->other = l->other;
  if (strncmp(r->path, "/s/", 3)) {
    control(l, r, &l->out);
    return;
  }
  const char *name = r->path + 3, *path = strchr(name, '/'), *why = "";
  size_t size = path ? (size_t)(path - name) : strlen(name);
  scenario *sc = scenario_find(name, size, &why);
  if (!sc) {
    answer a = {.status = 404, .type = "application/json"};
    cal_buffer_add_text(&a.body, "{\"error\":");
    json_text(&a.body, why, strlen(why));
    cal_buffer_add_byte(&a.body, '}');
    answer_deliver(&a, WHOLE, &l->out);
    answer_free(&a);
    return;
  }
  if (!path || !path[0]) path = "/";
  l->in_scenario = sc;
  if (++sc->open > sc->most_open) sc->most_open = sc->open;
  if (sc->seconds > 0) l->ready = now() + sc->seconds;
  if (!batch_answer(sc, r, path, fake_port, &l->out) && !caption_answer(sc, l, r, path) &&
      !hub_answer(sc, r, path, fake_other_port, &l->out))
    small_answer(sc, r, path, &l->out);
}

static void answered(peer *l) {
  if (l->in_scenario) l->in_scenario->open--;
  l->in_scenario = NULL, l->answering = false;
  free(l->waits_for), l->waits_for = NULL;
  script_clear(&l->out);
}

static void drop(peer *l, bool with_reset) {
  if (l->answering) answered(l);
  if (with_reset) setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
  else { /* what still lies unread would turn the close into a reset */ char rest[4096];
    while (recv(l->fd, rest, sizeof rest, MSG_DONTWAIT) > 0) continue;
  }
  close(l->fd);
  cal_buffer_free(&l->in);
  *l = links[--link_count];
}

/* Goes through the steps as far as they go. false: the connection is gone. */
static bool go_on(peer *l) {
  while (l->answering && l->ready <= now()) {
    if (l->out.at == l->out.count) {
      bool last = l->closing;
      answered(l);
      if (last) return drop(l, false), false;
      return true;
    }
    step *s = &l->out.items[l->out.at];
    switch (s->kind) {
      case STEP_SEND:
        while (l->out.sent < s->bytes.size) {
          ssize_t n = send(l->fd, s->bytes.data + l->out.sent, s->bytes.size - l->out.sent, 0);
          if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
          if (n < 0) {
            if (l->in_scenario) l->in_scenario->left++;
            return drop(l, false), false;
          }
          l->out.sent += (size_t)n;
        }
        l->out.sent = 0;
        break;
      case STEP_WAIT: l->ready = now() + s->seconds; break;
      case STEP_CLOSE: return drop(l, false), false;
      case STEP_RESET: return drop(l, true), false;
      case STEP_STALL: l->ready = 1e300; break;
      case STEP_DELIVERED:
        if (l->counts) l->of->delivered++, l->in_scenario->delivered++;
        break;
    }
    l->out.at++;
  }
  return true;
}

/* Reads what has come. false: the connection is gone. */
static bool take_in(peer *l) {
  char piece[1 << 16];
  ssize_t n = recv(l->fd, piece, sizeof piece, 0);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
  if (n <= 0) {
    if (l->answering && l->in_scenario) l->in_scenario->left++;
    return drop(l, false), false;
  }
  cal_buffer_add(&l->in, piece, (size_t)n);
  return true;
}

static bool serve(peer *l) {
  while (!l->answering && l->in.size) {
    request r = {0};
    bool continue_wanted;
    int got = request_read(&l->in, &r, &continue_wanted);
    if (got < 0) return drop(l, false), false;
    if (continue_wanted && !l->told) {
      static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
      l->told = send(l->fd, go, sizeof go - 1, 0) > 0;
    }
    if (got == 0) break;
    answer_request(l, &r);
    request_free(&r);
    if (!go_on(l)) return false;
  }
  return true;
}

int main(int argc, char **args) {
  if (argc > 1 && !strcmp(args[1], "faults")) {
    for (const fault *f = fault_table; f->name; f++) printf("%-14s %s%s\n", f->name, f->about, f->flags & SOAK ? " (soak)" : "");
    return 0;
  }
  if (argc > 1) return client_main(argc, args);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGINT, SIG_IGN); /* a test that is interrupted still wants to count */
  int closed, main_fd = listener(&fake_port, true), other_fd = listener(&fake_other_port, true);
  listener(&closed, false);
  pid_t parent = getppid();
  printf("port %d\nother %d\nclosed %d\n", fake_port, fake_other_port, closed);
  fflush(stdout);
  static struct pollfd polled[MOST_LINKS + 2];
  while (!quitting || link_count) {
    double at = now(), wait = 1;
    for (int i = 0; i < link_count; i++) {
      peer *l = &links[i];
      if (l->waits_for && requests_of(l->waits_for) >= l->waits_until) l->ready = 0;
      bool writing = l->answering && l->ready <= at;
      if (l->answering && l->ready > at && l->ready - at < wait) wait = l->ready - at;
      polled[i + 2] = (struct pollfd){.fd = l->fd, .events = POLLIN | (writing ? POLLOUT : 0)};
    }
    bool room = link_count < MOST_LINKS;
    polled[0] = (struct pollfd){.fd = main_fd, .events = room ? POLLIN : 0};
    polled[1] = (struct pollfd){.fd = other_fd, .events = room ? POLLIN : 0};
    int polled_count = link_count;
    poll(polled, (nfds_t)polled_count + 2, (int)(wait * 1000) + 1);
    if (getppid() != parent || (quitting && wait >= 1)) break;
    for (int i = polled_count - 1; i >= 0; i--) { /* from the end: drop() moves the last one into the gap */
      peer *l = &links[i];
      short events = polled[i + 2].revents;
      if (events & (POLLIN | POLLHUP | POLLERR) && !take_in(l)) continue;
      if (!serve(l)) continue;
      if (l->answering && !go_on(l)) continue;
      serve(l);
    }
    for (int k = 0; k < 2; k++) {
      if (!(polled[k].revents & POLLIN)) continue;
      for (int fd; link_count < MOST_LINKS && (fd = accept(k ? other_fd : main_fd, NULL, NULL)) >= 0;) {
        int one = 1;
        fcntl(fd, F_SETFL, O_NONBLOCK);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        links[link_count++] = (peer){.fd = fd, .other = k == 1};
      }
    }
  }
  return 0;
}
