#include "repl/lines.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "core/base/buffer.h"
#include "core/base/fs.h"
#include "core/base/interrupt.h"
#include "core/net/secret.h"

enum { REMEMBERED = 1000, LARGEST_HISTORY = 1 << 20, LONGEST_PASTE = 1 << 20, KEY_LIKE = 24 };

struct cal_lines {
  EditLine *el; /* NULL: lines are just read */
  History *history;
  cal_buffer remembered; /* the history file's content */
  char *folder, *path;   /* of it; NULL: nowhere to keep it */
  const char *prompt;
  cal_buffer pasted;
  bool terminal, stopped;
  char bytes[4096]; /* read, and not yet handed out */
  size_t at, filled;
  const char *given, *given_end;
  cal_lines_complete complete;
  void *context;
};

static cal_lines *owner(EditLine *el) {
  void *in = NULL;
  el_get(el, EL_CLIENTDATA, &in);
  return in;
}

static char *prompt(EditLine *el) {
  static char text[16];
  snprintf(text, sizeof text, "%s", owner(el)->prompt);
  return text;
}

/* --- Tab and paste ------------------------------------------------------------------------------------------------- */

static unsigned char on_tab(EditLine *el, int key) {
  (void)key;
  cal_lines *in = owner(el);
  const LineInfo *line = el_line(el);
  cal_buffer before = {0};
  cal_buffer_add(&before, line->buffer, (size_t)(line->cursor - line->buffer));
  char *text = cal_buffer_take(&before), *list = NULL;
  char *insert = text && in->complete ? in->complete(in->context, text, &list) : NULL;
  unsigned char action = CC_NORM;
  if (insert && insert[0]) {
    el_insertstr(el, insert);
    action = CC_REFRESH;
  } else if (list) {
    printf("\n%s\n", list);
    action = CC_REDISPLAY;
  } else action = CC_REFRESH_BEEP;
  cal_free(insert);
  cal_free(list);
  cal_free(text);
  return action;
}

/* The terminal says "\033[200~" before and "\033[201~" after what is pasted: newlines inside do not end the line. */
static unsigned char on_paste(EditLine *el, int key) {
  (void)key;
  static const char stop[] = "\033[201~";
  cal_lines *in = owner(el);
  cal_buffer bytes = {0};
  char c;
  while (bytes.size < LONGEST_PASTE && el_getc(el, &c) == 1) {
    cal_buffer_add_byte(&bytes, c == '\r' ? '\n' : c);
    if (bytes.failed) break;
    size_t size = sizeof stop - 1;
    if (bytes.size >= size && memcmp(bytes.data + bytes.size - size, stop, size) == 0) {
      bytes.data[bytes.size -= size] = 0;
      break;
    }
  }
  if (bytes.failed || !bytes.size) return cal_buffer_free(&bytes), CC_REFRESH;
  if (!memchr(bytes.data, '\n', bytes.size)) {
    cal_buffer clean = {0}; /* controls in a paste are not keys */
    cal_buffer_add_printable(&clean, bytes.data, bytes.size);
    if (clean.data) el_insertstr(el, clean.data);
    cal_buffer_free(&clean);
    cal_buffer_free(&bytes);
    return CC_REFRESH;
  }
  const LineInfo *line = el_line(el);
  cal_buffer_free(&in->pasted);
  cal_buffer_add(&in->pasted, line->buffer, (size_t)(line->cursor - line->buffer));
  cal_buffer_add(&in->pasted, bytes.data, bytes.size);
  cal_buffer shown = {0};
  cal_buffer_add_printable(&shown, bytes.data, bytes.size);
  if (shown.data) fwrite(shown.data, 1, shown.size, stdout);
  fflush(stdout);
  cal_buffer_free(&shown);
  cal_buffer_free(&bytes);
  return CC_NEWLINE;
}

/* --- History ------------------------------------------------------------------------------------------------------- */

static void find_path(cal_lines *in) {
  const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  cal_buffer folder = {0}, path = {0};
  if (state && state[0] == '/') cal_buffer_printf(&folder, "%s/calotype", state);
  else if (home && home[0] == '/') cal_buffer_printf(&folder, "%s/.local/state/calotype", home);
  else return;
  in->folder = cal_buffer_take(&folder);
  if (in->folder) cal_buffer_printf(&path, "%s/history", in->folder);
  if (in->folder) in->path = cal_buffer_take(&path);
}

static cal_fs *history_files(const cal_lines *in) {
  cal_fs *fs = in->path ? cal_fs_new("/", 0, NULL) : NULL;
  if (fs && cal_fs_grant(fs, in->folder, CAL_FS_READ | CAL_FS_WRITE, NULL)) cal_fs_free(fs), fs = NULL;
  return fs;
}

static void add_to_editor(cal_lines *in, const char *line) {
  HistEvent event;
  if (in->history) history(in->history, &event, H_ENTER, line);
}

static void load_history(cal_lines *in) {
  cal_fs *fs = history_files(in);
  if (fs && cal_fs_read(fs, in->path, LARGEST_HISTORY, &in->remembered, NULL)) cal_buffer_free(&in->remembered);
  cal_fs_free(fs);
  char *line = in->remembered.data;
  for (char *end; line && (end = strchr(line, '\n')); line = end + 1) {
    *end = 0;
    if (line[0]) add_to_editor(in, line);
    *end = '\n';
  }
}

/* 24 or more letters and digits in a row, digits among them, inside quotes: likely a key. */
static bool has_key(const char *line) {
  size_t run = 0, digits = 0;
  if (!strpbrk(line, "\"'[")) return false;
  for (; *line; line++) {
    bool digit = *line >= '0' && *line <= '9';
    if (digit || (unsigned)(*line | 0x20) - 'a' < 26u || *line == '_' || *line == '-') run++, digits += digit;
    else run = digits = 0;
    if (run >= KEY_LIKE && digits) return true;
  }
  return false;
}

/* A line of .env in the wrong place: NAME=value, the name in capitals and that of a key. */
static bool sets_key(const char *line) {
  char name[64];
  line += strspn(line, " \t");
  if (strncmp(line, "export ", 7) == 0) line += 7;
  size_t size = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
  if (!size || size >= sizeof name || line[size + strspn(line + size, " ")] != '=') return false;
  memcpy(name, line, size);
  name[size] = 0;
  return cal_env_is_secret(name);
}

/* A key that this process has used. */
static bool quotes_key(const char *line) {
  cal_buffer text = {0};
  cal_buffer_add_text(&text, line);
  bool same = !text.failed && !cal_scrub_keys(&text, NULL) && text.data && strcmp(text.data, line) == 0;
  cal_buffer_free(&text);
  return !same;
}

void cal_lines_remember(cal_lines *in, const char *line) {
  if (!in->el || !line[0] || has_key(line) || sets_key(line) || quotes_key(line)) return;
  for (const char *at = line; *at;) { /* each line of a piece by itself: that is how they are called back */
    size_t size = strcspn(at, "\n");
    if (size) {
      size_t from = in->remembered.size;
      cal_buffer_add(&in->remembered, at, size);
      if (!in->remembered.failed) add_to_editor(in, in->remembered.data + from);
      cal_buffer_add_byte(&in->remembered, '\n');
    }
    at += size + (at[size] == '\n');
  }
  if (in->remembered.failed) {
    cal_buffer_free(&in->remembered);
    return;
  }
  size_t lines = 0, keep = in->remembered.size;
  while (keep && lines <= REMEMBERED) lines += in->remembered.data[--keep] == '\n';
  if (keep) keep++; /* behind the newline that was one too many */
  cal_fs *fs = history_files(in);
  mode_t mask = umask(077); /* 0600 */
  if (fs) cal_fs_write(fs, in->path, in->remembered.data + keep, in->remembered.size - keep, NULL);
  umask(mask);
  cal_fs_free(fs);
}

/* --- Bytes --------------------------------------------------------------------------------------------------------- */

/* A byte of stdin, or -1: its end, or Ctrl-C (then `stopped`). A signal just before a plain read() would be seen only at
 * the next key; ppoll lets it in while waiting and at no other time. */
static int next_byte(cal_lines *in) {
  if (in->given < in->given_end) return (unsigned char)*in->given++;
  if (in->at < in->filled) return (unsigned char)in->bytes[in->at++];
  sigset_t interrupts, before;
  sigemptyset(&interrupts);
  sigaddset(&interrupts, SIGINT);
  sigaddset(&interrupts, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &interrupts, &before);
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  int ready = cal_interrupt_level() ? -1 : ppoll(&input, 1, NULL, &before);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  in->stopped = cal_interrupt_level() > 0;
  if (in->stopped || (ready < 0 && errno != EINTR)) return -1;
  if (ready < 0) return next_byte(in); /* the window changed its size */
  /* The editor takes one byte at a time: what is typed ahead belongs to the program that runs next. */
  ssize_t got = read(STDIN_FILENO, in->bytes, in->el ? 1 : sizeof in->bytes);
  in->at = 0;
  in->filled = got > 0 ? (size_t)got : 0;
  return got > 0 ? (unsigned char)in->bytes[in->at++] : -1;
}

/* libedit asks for whole characters. */
static int next_character(EditLine *el, wchar_t *out) {
  cal_lines *in = owner(el);
  mbstate_t partial = {0};
  for (;;) {
    int byte = next_byte(in);
    if (byte < 0) return in->stopped ? -1 : 0;
    char c = (char)byte;
    size_t size = mbrtowc(out, &c, 1, &partial);
    if (size == (size_t)-2) continue;
    if (size == (size_t)-1) *out = L'?';
    return 1;
  }
}

/* --- Lines --------------------------------------------------------------------------------------------------------- */

static void start_editor(cal_lines *in) {
  HistEvent event;
  setlocale(LC_CTYPE, ""); /* letters of several bytes */
  in->el = el_init("calotype", stdin, stdout, stderr);
  if (!in->el) return;
  in->history = history_init();
  el_set(in->el, EL_CLIENTDATA, in);
  el_set(in->el, EL_EDITOR, "emacs");
  el_set(in->el, EL_PROMPT, prompt);
  el_set(in->el, EL_GETCFN, next_character);
  if (in->history) {
    history(in->history, &event, H_SETSIZE, REMEMBERED);
    history(in->history, &event, H_SETUNIQUE, 1);
    el_set(in->el, EL_HIST, history, in->history);
  }
  el_set(in->el, EL_ADDFN, "calotype-complete", "complete a name", on_tab);
  el_set(in->el, EL_BIND, "\t", "calotype-complete", NULL);
  el_set(in->el, EL_ADDFN, "calotype-paste", "take a paste as one piece", on_paste);
  el_set(in->el, EL_BIND, "\033[200~", "calotype-paste", NULL);
  el_set(in->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
}

cal_lines *cal_lines_open(cal_lines_complete complete, void *context) {
  cal_lines *in = cal_alloc_zero(1, sizeof *in, NULL);
  if (!in) return NULL;
  const char *term = getenv("TERM");
  in->terminal = isatty(STDIN_FILENO) == 1;
  in->complete = complete;
  in->context = context;
  if (in->terminal && isatty(STDOUT_FILENO) == 1 && term && strcmp(term, "dumb") != 0) start_editor(in);
  if (in->el) find_path(in), load_history(in);
  return in;
}

void cal_lines_close(cal_lines *in) {
  if (!in) return;
  if (in->history) history_end(in->history);
  if (in->el) el_end(in->el);
  cal_buffer_free(&in->remembered);
  cal_buffer_free(&in->pasted);
  cal_free(in->folder);
  cal_free(in->path);
  cal_free(in);
}

void cal_lines_give(cal_lines *in, const char *text, size_t size) { in->given = text, in->given_end = text + size; }

bool cal_lines_stopped(const cal_lines *in) { return in->stopped; }

static char *read_plain(cal_lines *in, const char *text) {
  cal_buffer line = {0};
  int c;
  if (in->terminal) fputs(text, stdout), fflush(stdout);
  while ((c = next_byte(in)) >= 0 && c != '\n' && line.size < LONGEST_PASTE) cal_buffer_add_byte(&line, (char)c);
  if (c < 0 && (!line.size || in->stopped)) return cal_buffer_free(&line), NULL;
  return cal_buffer_take(&line);
}

char *cal_lines_read(cal_lines *in, const char *text) {
  in->stopped = false;
  if (!in->el) return read_plain(in, text);
  int count = 0;
  in->prompt = text;
  fputs("\033[?2004h", stdout);
  fflush(stdout);
  el_set(in->el, EL_PREP_TERM, 1); /* before the prompt shows: a Ctrl-D typed at its sight must arrive as a key */
  const char *line = el_gets(in->el, &count);
  fputs("\033[?2004l", stdout);
  fflush(stdout);
  if (in->pasted.size) return cal_buffer_take(&in->pasted);
  if (!line || count <= 0) {
    in->stopped = cal_interrupt_level() > 0;
    if (in->stopped) el_reset(in->el);
    return NULL;
  }
  cal_buffer copy = {0};
  size_t size = strlen(line);
  if (size && line[size - 1] == '\n') size--;
  cal_buffer_add(&copy, line, size);
  return cal_buffer_take(&copy);
}
