#include "core/base/fold.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { NARROWEST = 40, FURTHER = 2 };

static bool as_it_is(const char *line, size_t size) {
  size_t at = 0;
  while (at < size && (line[at] == ' ' || (line[at] >= '0' && line[at] <= '9'))) at++;
  if (at > 0 && at < size && line[at] == '|') return true;
  static const char copied[] = "go on with: ";
  for (size_t i = 0; i + sizeof copied - 1 <= size; i++)
    if (memcmp(line + i, copied, sizeof copied - 1) == 0) return true;
  return false;
}

static int width_of(const char *text, size_t size) {
  int width = 0;
  for (size_t i = 0; i < size; i++) {
    if (text[i] == '\033' && i + 1 < size && text[i + 1] == '[') { /* a colour takes no room */
      for (i += 2; i < size && (text[i] < '@' || text[i] > '~');) i++;
      continue;
    }
    width += ((unsigned char)text[i] & 0xc0) != 0x80;
  }
  return width;
}

/* Where a line goes on: below its last column (what follows two spaces) in the first half of the terminal, else a little further in. */
static int further_in(const char *line, size_t size, int indent, int columns) {
  int at = indent + FURTHER;
  for (size_t i = (size_t)indent + 1; i + 2 < size && width_of(line, i) + 2 <= columns / 2; i++)
    if (line[i] == ' ' && line[i + 1] == ' ' && line[i + 2] != ' ') at = width_of(line, i + 2);
  return at <= columns / 2 ? at : indent + FURTHER;
}

static void fold_line(cal_buffer *out, const char *line, size_t size, int columns) {
  size_t indent = 0;
  while (indent < size && line[indent] == ' ') indent++;
  size_t first = indent; /* no break before the first word */
  const int further = further_in(line, size, (int)indent, columns);
  int room = columns;
  while (width_of(line, size) > room) {
    size_t best = 0;
    for (size_t i = first; i < size; i++) {
      if (line[i] != ' ') continue;
      if (best && width_of(line, i) > room) break;
      best = i; /* the last that fits, or the first at all */
    }
    if (!best) break;
    cal_buffer_add(out, line, best);
    cal_buffer_add_byte(out, '\n');
    for (int i = 0; i < further; i++) cal_buffer_add_byte(out, ' ');
    while (best < size && line[best] == ' ') best++;
    line += best, size -= best, first = 0;
    room = columns - further;
  }
  cal_buffer_add(out, line, size);
}

void cal_fold(cal_buffer *out, const char *text, int columns) {
  while (*text) {
    const size_t size = strcspn(text, "\n");
    if (columns < NARROWEST || as_it_is(text, size)) cal_buffer_add(out, text, size);
    else fold_line(out, text, size, columns);
    text += size;
    if (*text == '\n') cal_buffer_add_byte(out, '\n'), text++;
  }
}

int cal_terminal_columns(int fd) {
  struct winsize size = {0};
  if (isatty(fd) != 1) return 0;
  return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void cal_stderr_put(const char *text) {
  const int columns = cal_terminal_columns(STDERR_FILENO);
  cal_buffer folded = {0};
  if (columns) cal_fold(&folded, text, columns);
  const bool good = columns && !folded.failed && folded.data;
  fprintf(stderr, "%s%.*s", columns ? "\r\033[K" : "", good ? (int)folded.size : (int)strlen(text), good ? folded.data : text);
  cal_buffer_free(&folded);
}
