#include "core/base/progress.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/memory.h"

struct cal_progress {
  char label[64], note[96];
  size_t total, done;
  double start, drawn;
  bool terminal, visible;
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
  return p;
}

static int columns(void) {
  struct winsize size;
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

static void draw(cal_progress *p, double now) {
  double spent = now - p->start;
  char spent_text[32], left_text[32], line[512];
  cal_duration(spent, spent_text);
  if (p->total) {
    double share = (double)p->done / (double)p->total;
    enum { WIDTH = 24 };
    char bar[WIDTH + 1];
    int full = (int)(share * WIDTH + 0.5);
    for (int i = 0; i < WIDTH; i++) bar[i] = i < full ? '=' : ' ';
    bar[WIDTH] = 0;
    cal_duration(p->done ? spent / share - spent : 0, left_text);
    snprintf(line, sizeof line, "  %s [%s] %zu/%zu  %s%s%s%s%s", p->label, bar, p->done, p->total, spent_text, p->done ? ", " : "",
             p->done ? left_text : "", p->done ? " left" : "", p->note);
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
  if (now - p->start < 1.0 || now - p->drawn < (p->terminal ? 0.1 : 10.0)) return;
  draw(p, now);
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
