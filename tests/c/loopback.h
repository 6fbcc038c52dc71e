/* loopback.h - a small server for the tests of core/net that misbehaves on request: the path says how.
 *
 *   server *s = open_server();                  // lives as long as the test program; one thread for each connection
 *   const char *address = url(s, "/ok");        // "http://127.0.0.1:PORT/ok", good for four more calls
 *
 * tests/fake is the one that knows the services; this one counts connections and shows what arrived. */
#ifndef CAL_TEST_LOOPBACK_H
#define CAL_TEST_LOOPBACK_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

typedef struct {
  int listener, port;
  atomic_bool open;                       /* /gate is answered from now on */
  atomic_int busy, most_busy;             /* requests of /slow at the same time */
  atomic_int connections, requests, gone; /* gone: connections that the client ended while they were held */
  atomic_int answered;                    /* requests whose reply was written */
  pthread_mutex_t lock;
  char last[8192]; /* head of the last request */
  size_t last_body;
  struct {
    char path[128];
    int times;
  } seen[256]; /* paths that count how often they were asked */
} server;

typedef struct {
  server *s;
  int fd;
} visit;

static void say(int fd, const char *text) {
  if (write(fd, text, strlen(text)) < 0) return;
}

static void reply(int fd, const char *status, const char *more, const void *body, size_t size) {
  char head[1024];
  snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status, size, more);
  say(fd, head);
  for (size_t at = 0; at < size;) {
    ssize_t sent = send(fd, (const char *)body + at, size - at, MSG_NOSIGNAL);
    if (sent <= 0) return;
    at += (size_t)sent;
  }
}

static void hold(visit *v) { /* until the client goes */
  char c;
  while (read(v->fd, &c, 1) > 0) {
  }
  v->s->gone++;
}

static int nth(server *s, const char *path) { /* 1 for the first time that this path is asked */
  int i = 0, times = 0;
  pthread_mutex_lock(&s->lock);
  while (i < 255 && s->seen[i].times && strcmp(s->seen[i].path, path) != 0) i++;
  snprintf(s->seen[i].path, sizeof s->seen[i].path, "%s", path);
  times = ++s->seen[i].times;
  pthread_mutex_unlock(&s->lock);
  return times;
}

/* False: the connection ends. */
static bool answer(visit *v, const char *path, const char *head, size_t body) {
  const int fd = v->fd;
  char text[256];
  static char many[200000];
  memset(many, 'x', sizeof many);
  if (strcmp(path, "/ok") == 0) reply(fd, "200 OK", "X-Empty:\r\nX-Twice: one\r\nx-twice: two\r\n", "hello", 5);
  else if (strcmp(path, "/echo") == 0) {
    snprintf(text, sizeof text, "%.10s %zu", head, body);
    reply(fd, "200 OK", "", text, strlen(text));
  } else if (strcmp(path, "/hold") == 0) return hold(v), false;
  else if (strcmp(path, "/silent") == 0) return false;
  else if (strcmp(path, "/once") == 0) return reply(fd, "200 OK", "", "last", 4), false; /* does not say that it will close */
  else if (strcmp(path, "/cut") == 0) return say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789"), false;
  else if (strcmp(path, "/chunks") == 0)
    return say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nwor"), false;
  else if (strcmp(path, "/trailers") == 0)
    say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n");
  else if (strcmp(path, "/large") == 0) reply(fd, "200 OK", "", many, sizeof many);
  else if (strcmp(path, "/error") == 0) reply(fd, "500 Oops", "Retry-After: 7\r\n", many, sizeof many);
  else if (strcmp(path, "/headers") == 0) {
    say(fd, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 20000; i++) say(fd, "X-More: 0123456789012345678901234567890123456789\r\n");
    return false;
  } else if (strcmp(path, "/gzip") == 0) {
    unsigned char packed[4096];
    z_stream z = {0};
    deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (unsigned char *)many, z.avail_in = sizeof many, z.next_out = packed, z.avail_out = sizeof packed;
    deflate(&z, Z_FINISH);
    reply(fd, "200 OK", strstr(head, "gzip") ? "Content-Encoding: gzip\r\n" : "", packed, z.total_out);
    deflateEnd(&z);
  } else if (strcmp(path, "/trickle") == 0) {
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    for (int i = 0; i < 600; i++) {
      if (send(fd, "x", 1, MSG_NOSIGNAL) < 0) return false;
      usleep(100000);
    }
    return false;
  } else if (strcmp(path, "/loop") == 0) reply(fd, "302 Found", "Location: /loop\r\n", "gone", 4);
  else if (strcmp(path, "/quotes") == 0) { /* the key in headers and in the body, as some servers do */ char key[200] = "";
    const char *at = strcasestr(head, "authorization: ");
    if (at) sscanf(at + 15, "%199[^\r\n]", key);
    snprintf(text, sizeof text, "Content-Type: text/plain; key=%s\r\nRateLimit: %s\r\n", key, key);
    reply(fd, "200 OK", text, key, strlen(key));
  } else if (strcmp(path, "/nowhere") == 0) reply(fd, "302 Found", "", "gone", 4);
  else if (strcmp(path, "/file") == 0) reply(fd, "302 Found", "Location: file:///etc/passwd\r\n", "", 0);
  else if (strncmp(path, "/to/", 4) == 0) { /* /to/PORT/PATH */ char *end;
    const long port = strtol(path + 4, &end, 10);
    snprintf(text, sizeof text, "Location: http://127.0.0.1:%ld%s\r\n", port, end);
    reply(fd, "307 Temporary Redirect", text, "gone", 4);
  } else if (strncmp(path, "/first/", 7) == 0) { /* /first/STATUS/N/NAME[/after/SECONDS]: that status the first N times, then 200 */
    int status = 0, times = 0, after = -1;
    sscanf(path, "/first/%d/%d/%*[^/]/after/%d", &status, &times, &after);
    const bool bad = nth(v->s, path) <= times;
    char line[64];
    snprintf(text, sizeof text, "%d Said So", bad ? status : 200);
    snprintf(line, sizeof line, "Retry-After: %d\r\n", after);
    reply(fd, text, bad && after >= 0 ? line : "", bad ? "busy" : "{\"ok\":true}", bad ? 4 : 11);
  } else if (strncmp(path, "/cuts/", 6) == 0) { /* /cuts/N/NAME: no answer the first N times */
    if (nth(v->s, path) <= atoi(path + 6)) return false;
    reply(fd, "200 OK", "", "{}", 2);
  } else if (strncmp(path, "/slow/", 6) == 0) { /* /slow/MILLISECONDS */
    const int now = ++v->s->busy;
    if (now > v->s->most_busy) v->s->most_busy = now;
    usleep((useconds_t)atoi(path + 6) * 1000);
    v->s->busy--;
    reply(fd, "200 OK", "", "{}", 2);
  } else if (strcmp(path, "/gate") == 0) { /* answered when the test says so */
    while (!v->s->open) usleep(1000);
    reply(fd, "200 OK", "", "{}", 2);
  } else reply(fd, "404 Not Found", "", "no", 2);
  return true;
}

static void *attend(void *context) {
  visit *v = context;
  static const char length_is[] = "Content-Length:";
  for (bool more = true; more;) {
    char head[8192];
    size_t size = 0;
    while (size + 1 < sizeof head && (size < 4 || memcmp(head + size - 4, "\r\n\r\n", 4) != 0)) {
      if (read(v->fd, head + size, 1) != 1 || head[0] == 0x16) goto end; /* 0x16: TLS, which is not spoken here */
      size++;
    }
    head[size] = 0;
    const char *length = strcasestr(head, length_is);
    size_t body = length ? strtoul(length + sizeof length_is - 1, NULL, 10) : 0;
    for (size_t left = body; left > 0;) {
      char piece[65536];
      ssize_t got = read(v->fd, piece, left < sizeof piece ? left : sizeof piece);
      if (got <= 0) goto end;
      left -= (size_t)got;
    }
    char path[256] = "";
    sscanf(head, "%*s %255[^ ?]", path);
    pthread_mutex_lock(&v->s->lock);
    v->s->requests++;
    strcpy(v->s->last, head);
    v->s->last_body = body;
    pthread_mutex_unlock(&v->s->lock);
    more = answer(v, path, head, body);
    v->s->answered++;
  }
end:
  close(v->fd);
  free(v);
  return NULL;
}

static void *serve(void *context) {
  server *s = context;
  for (int fd; (fd = accept(s->listener, NULL, NULL)) >= 0;) {
    visit *v = malloc(sizeof *v);
    *v = (visit){s, fd};
    s->connections++;
    pthread_t thread;
    pthread_create(&thread, NULL, attend, v);
    pthread_detach(thread);
  }
  return NULL;
}

/* A port of this machine on which nobody listens, and nobody will: it stays taken as long as the test program lives. */
static void take_port(server *s) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  s->listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(s->listener, (struct sockaddr *)&at, sizeof at)) perror("bind");
  getsockname(s->listener, (struct sockaddr *)&at, &size);
  s->port = ntohs(at.sin_port);
}

static server *open_server(void) { /* lives as long as the test program */
  signal(SIGPIPE, SIG_IGN);
  server *s = calloc(1, sizeof *s);
  take_port(s);
  if (listen(s->listener, 128)) perror("listen");
  pthread_mutex_init(&s->lock, NULL);
  pthread_t thread;
  pthread_create(&thread, NULL, serve, s);
  pthread_detach(thread);
  return s;
}

__attribute__((unused)) static const char *url(const server *s, const char *path) {
  static char text[4][300];
  static int turn;
  char *out = text[turn++ % 4];
  snprintf(out, sizeof text[0], "http://127.0.0.1:%d%s", s->port, path);
  return out;
}

static server *common(void) {
  static server *s;
  if (!s) s = open_server();
  return s;
}

__attribute__((unused)) static bool seen(server *s, const char *text) { /* in the head of the last request */
  pthread_mutex_lock(&s->lock);
  const bool there = strstr(s->last, text) != NULL;
  pthread_mutex_unlock(&s->lock);
  return there;
}

#endif
