/* client.c - the other side: sends bytes as they are and prints what comes until the server closes, so that a test needs
 * neither curl nor the client it is about.
 *
 *   fake get PORT PATH [S]      one GET; prints the body, or nothing when nothing came for S seconds (60)
 *   fake send PORT FILE [S]     the bytes of FILE; prints everything that comes back, until nothing came for S seconds (5)
 *   fake quit PORT              tells the server to end */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "fake.h"

static bool exchange(int port, double seconds, const cal_buffer *out, cal_buffer *in) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) return perror("fake: connect"), false;
  struct timeval most = {(time_t)seconds, (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
  for (size_t at = 0; at < out->size;) {
    ssize_t n = write(fd, out->data + at, out->size - at);
    if (n <= 0) break;
    at += (size_t)n;
  }
  char piece[1 << 16];
  for (ssize_t n; (n = read(fd, piece, sizeof piece)) > 0;) cal_buffer_add(in, piece, (size_t)n);
  close(fd);
  return true;
}

int client_main(int argc, char **args) {
  if (argc < 3) return fprintf(stderr, "usage: fake [get PORT PATH | send PORT FILE [SECONDS] | quit PORT | faults]\n"), 2;
  cal_buffer out = {0}, in = {0};
  if (!strcmp(args[1], "send")) {
    FILE *from = fopen(argc > 3 ? args[3] : "/dev/stdin", "rb");
    char piece[1 << 16];
    if (!from) return perror("fake: send"), 1;
    for (size_t n; (n = fread(piece, 1, sizeof piece, from)) > 0;) cal_buffer_add(&out, piece, n);
    fclose(from);
  } else
    cal_buffer_printf(&out, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
                      !strcmp(args[1], "quit") ? "/quit"
                      : argc > 3               ? args[3]
                                               : "/");
  if (!exchange(atoi(args[2]), argc > 4 ? strtod(args[4], NULL) : !strcmp(args[1], "send") ? 5 : 60, &out, &in)) return 1;
  const char *body = !strcmp(args[1], "get") && in.size ? memmem(in.data, in.size, "\r\n\r\n", 4) : NULL;
  size_t skip = body ? (size_t)(body + 4 - in.data) : 0;
  if (strcmp(args[1], "quit") && in.size) fwrite(in.data + skip, 1, in.size - skip, stdout);
  cal_buffer_free(&out);
  cal_buffer_free(&in);
  return 0;
}
