#include "core/base/progress.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/memory.h"

struct cal_progress {
  char label[64], note[96];
  size_t total, done, kept;
  double start, drawn, every; /* seconds */
  bool terminal, visible, bytes;
};

static atomic_int quiet;

void cal_progress_quiet(int on) { atomic_store(&quiet, on); }

cal_progress *cal_progress_new(const char *label, size_t total) {
  cal_progress *p = cal_alloc_zero(1, sizeof *p, NULL);
  if (!p) return NULL;
  snprintf(p->label, sizeof p->label, "%s", label);
  p->total = total;
  p->start = p->drawn = cal_clock();
  p->terminal = isatty(STDERR_FILENO) == 1;
  const char *every = getenv("CALOTYPE_PROGRESS");
  const double asked = every ? strtod(every, NULL) : 0;
  p->every = p->terminal ? 0.1 : asked >= 0.1 && asked <= 3600 ? asked : 10;
  return p;
}

static int columns(void) {
  struct winsize size;
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

/* The numbers of a bar, and what is left to say of its time: what was there at the start says nothing about it. */
static void count(const cal_progress *p, double spent, char numbers[64], char left[64]) {
  size_t done = p->done > p->kept ? p->done - p->kept : 0, rest = p->total > p->done ? p->total - p->done : 0;
  char text[32];
  left[0] = 0;
  if (done) snprintf(left, 64, ", %s left", cal_duration(spent * (double)rest / (double)done, text));
  if (!p->bytes) {
    snprintf(numbers, 64, "%zu/%zu", p->done, p->total);
    return;
  }
  double unit = p->total >= 1000000000 ? 1e9 : 1e6;
  snprintf(numbers, 64, "%.*f/%.*f %s, %.1f MB/s", unit > 1e6 ? 2 : 1, (double)p->done / unit, unit > 1e6 ? 2 : 1, (double)p->total / unit,
           unit > 1e6 ? "GB" : "MB", spent > 0 ? (double)done / spent / 1e6 : 0);
}

static void draw(cal_progress *p, double now) {
  double spent = now - p->start;
  char spent_text[32], numbers[64], left[64], line[512];
  cal_duration(spent, spent_text);
  if (p->total) {
    double share = (double)p->done / (double)p->total;
    enum { WIDTH = 24 };
    char bar[WIDTH + 1];
    int full = (int)(share * WIDTH + 0.5);
    for (int i = 0; i < WIDTH; i++) bar[i] = i < full ? '=' : ' ';
    bar[WIDTH] = 0;
    count(p, spent, numbers, left);
    if (p->bytes) spent_text[0] = 0; /* a line of 80 columns has room for one of the two times */
    snprintf(line, sizeof line, "  %s [%s] %s%s%s%s%s", p->label, bar, numbers, p->bytes ? "" : "  ", spent_text, left, p->note);
  } else {
    snprintf(line, sizeof line, "  %s  %zu  %s%s", p->label, p->done, spent_text, p->note);
  }
  if (p->terminal) fprintf(stderr, "\r\033[K%.*s", columns() - 1, line);
  else fprintf(stderr, "%s\n", line);
  fflush(stderr);
  p->visible = true;
  p->drawn = now;
}

void cal_progress_set(cal_progress *p, size_t done) {
  if (!p) return;
  p->done = done;
  if (atomic_load(&quiet)) return;
  double now = cal_clock();
  if (now - p->start < 1.0 || now - p->drawn < p->every) return;
  draw(p, now);
}

void cal_progress_bytes(cal_progress *p, size_t kept) {
  if (p) p->bytes = true, p->done = p->kept = kept;
}

void cal_progress_note(cal_progress *p, const char *note) {
  if (p) snprintf(p->note, sizeof p->note, "  %s", note);
}

void cal_progress_free(cal_progress *p) {
  if (!p) return;
  if (p->visible && p->terminal) {
    fprintf(stderr, "\r\033[K");
    fflush(stderr);
  }
  cal_free(p);
}
