#include "core/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif
#if defined(__APPLE__)
#include <mach-o/dyld.h>
#endif

#include "core/base/buffer.h"
#include "core/base/clock.h"
#include "core/base/memory.h"

extern char **environ;

/* What one of the two pipes brought: `bytes` from `taken` on were not handed out. */
typedef struct {
  int fd; /* -1: at its end */
  char *bytes;
  size_t size, taken;
} stream;

struct cal_process {
  pid_t id;
  bool detached, ended;
  int code;
  stream streams[2]; /* stdout, stderr */
};

/* ---- what the child is made of, before it is made ---- */

typedef struct {
  char *program, **environment;
  int out[2], err[2], trouble[2]; /* pipes; trouble: what went wrong before the program began */
} plan;

/* 0 to 3 are the child's own (3: its trouble): an end that got such a number moves. */
static bool open_pipe(int ends[2], cal_error *err) {
#if defined(__linux__)
  bool good = pipe2(ends, O_CLOEXEC) == 0;
#else
  bool good = pipe(ends) == 0 && fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0 && fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0;
#endif
  for (int i = 0; good && i < 2; i++) {
    if (ends[i] > 3) continue;
    const int moved = fcntl(ends[i], F_DUPFD_CLOEXEC, 10);
    close(ends[i]);
    ends[i] = moved;
    good = moved >= 0;
  }
  if (!good) cal_fail_errno(err, errno, "no pipe can be opened");
  return good;
}

static void close_end(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static void free_plan(plan *p) {
  cal_free(p->program);
  for (char **v = p->environment; v && *v; v++) cal_free(*v);
  cal_free(p->environment);
  for (int i = 0; i < 2; i++) close_end(&p->out[i]), close_end(&p->err[i]), close_end(&p->trouble[i]);
}

static bool is_named(const char *variable, const char *name) {
  const size_t size = strlen(name);
  return strncmp(variable, name, size) == 0 && variable[size] == '=';
}

static const cal_process_variable *given(const cal_process_options *o, const char *variable) {
  for (size_t i = 0; i < o->variable_count; i++)
    if (is_named(variable, o->variables[i].name)) return &o->variables[i];
  return NULL;
}

static char *joined(const char *name, const char *value, cal_error *err) {
  cal_buffer b = {0};
  cal_buffer_printf(&b, "%s=%s", name, value);
  char *text = cal_buffer_take(&b);
  if (!text) cal_fail(err, CAL_E_MEMORY, "not enough memory to start a program");
  return text;
}

static bool make_environment(plan *p, const cal_process_options *o, cal_error *err) {
  size_t count = 0, made = 0;
  while (environ && environ[count]) count++;
  p->environment = cal_alloc_zero(count + o->variable_count + 2, sizeof *p->environment, err);
  if (!p->environment) return false;
  bool colour = true; /* nobody said NO_COLOR */
  for (size_t i = 0; i < o->variable_count; i++) {
    const cal_process_variable *v = &o->variables[i];
    if (!*v->name || strchr(v->name, '=')) return cal_fail(err, CAL_E_ARG, "\"%s\" is no name of a variable", v->name), false;
    if (!strcmp(v->name, "NO_COLOR")) colour = false;
    if (v->value && !(p->environment[made++] = joined(v->name, v->value, err))) return false;
  }
  for (size_t i = 0; i < count; i++)
    if (!given(o, environ[i]) && !(colour && is_named(environ[i], "NO_COLOR")) &&
        !(p->environment[made++] = cal_copy_text(environ[i], err)))
      return false;
  return !colour || (p->environment[made++] = joined("NO_COLOR", "1", err));
}

/* The program as a path: with a slash as it is, else the first in PATH that can be run. */
static char *find_program(const char *word, cal_error *err) {
  if (strchr(word, '/')) return cal_copy_text(word, err);
  const char *folder = getenv("PATH");
  if (!folder || !*folder) folder = "/usr/local/bin:/usr/bin:/bin";
  for (size_t size; *folder; folder += size + (folder[size] == ':')) {
    size = strcspn(folder, ":");
    cal_buffer b = {0};
    cal_buffer_printf(&b, "%.*s/%s", size ? (int)size : 1, size ? folder : ".", word);
    char *path = cal_buffer_take(&b);
    if (!path) return cal_fail(err, CAL_E_MEMORY, "not enough memory to start a program"), NULL;
    struct stat st;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0) return path;
    cal_free(path);
  }
  return cal_fail(err, CAL_E_NOTFOUND, "there is no program %s", word), NULL;
}

/* ---- in the child: system calls only, since other threads may have held any lock when it was made ---- */

enum { SESSION, STREAMS, FOLDER, PROGRAM };
typedef struct {
  int step, number;
} trouble;

static void fail_in_child(int step) {
  const trouble t = {step, errno};
  if (write(3, &t, sizeof t) < 0) _exit(126);
  _exit(127);
}

static void close_all_from(int first) {
#if defined(SYS_close_range)
  if (syscall(SYS_close_range, (unsigned)first, ~0u, 0u) == 0) return;
#endif
  long most = sysconf(_SC_OPEN_MAX);
  if (most < 0 || most > 65536) most = 65536;
  for (int fd = first; fd < most; fd++) close(fd);
}

static void clear_signals(void) {
  struct sigaction standard;
  memset(&standard, 0, sizeof standard);
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL); /* what cannot be changed stays */
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static void run_child(const plan *p, const cal_process_options *o, pid_t parent) {
  if (o->detached ? setsid() < 0 : setpgid(0, 0) < 0) fail_in_child(SESSION);
  const int nothing = open("/dev/null", O_RDWR);
  if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(o->detached ? nothing : p->out[1], 1) < 0 ||
      dup2(o->detached ? nothing : p->err[1], 2) < 0)
    fail_in_child(STREAMS);
  close_all_from(4);
  if (o->folder && chdir(o->folder)) fail_in_child(FOLDER);
  clear_signals();
#if defined(__linux__)
  if (!o->detached) {
    prctl(PR_SET_PDEATHSIG, SIGINT);
    if (getppid() != parent) raise(SIGINT); /* it was quicker */
  }
#else
  (void)parent;
#endif
  execve(p->program, (char **)(uintptr_t)o->words, p->environment);
  fail_in_child(PROGRAM);
}

/* ---- starting ---- */

/* Nobody would learn of a child's end whose signal is ignored: whoever started us may have said so. */
static void hear_of_children(void) {
  struct sigaction now;
  if (sigaction(SIGCHLD, NULL, &now) == 0 && now.sa_handler == SIG_IGN) signal(SIGCHLD, SIG_DFL);
}

/* What the child had to say before it became the program; 0 bytes: it did. */
static cal_status hear_trouble(int fd, const cal_process_options *o, cal_error *err) {
  trouble t;
  ssize_t got;
  do got = read(fd, &t, sizeof t);
  while (got < 0 && errno == EINTR);
  if (got == 0) return CAL_OK;
  if (got != sizeof t) return cal_fail(err, CAL_E_IO, "%s ended before it began", o->words[0]);
  switch (t.step) {
    case FOLDER: return cal_fail_errno(err, t.number, "%s cannot work in %s", o->words[0], o->folder);
    case PROGRAM: return cal_fail_errno(err, t.number, "%s cannot be started", o->words[0]);
    default: return cal_fail_errno(err, t.number, "%s cannot be prepared", o->words[0]);
  }
}

static pid_t wait_for(pid_t id, int *status, int flags) {
  pid_t got;
  do got = waitpid(id, status, flags);
  while (got < 0 && errno == EINTR);
  return got;
}

/* The child's number, or -1. Until the child has its mask no handler of ours may run in it. */
static pid_t make_child(plan *p, const cal_process_options *o, cal_error *err) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  const pid_t parent = getpid(), id = fork();
  if (id == 0) {
    if (dup2(p->trouble[1], 3) < 0 || fcntl(3, F_SETFD, FD_CLOEXEC) < 0) _exit(126);
    run_child(p, o, parent);
  }
  const int number = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (id < 0) return cal_fail_errno(err, number, "%s cannot be started", o->words[0]), -1;
  close_end(&p->trouble[1]);
  if (!hear_trouble(p->trouble[0], o, err)) return id;
  wait_for(id, &(int){0}, 0);
  return -1;
}

cal_process *cal_process_start(const cal_process_options *o, cal_error *err) {
  if (!o->words[0] || !*o->words[0]) return cal_fail(err, CAL_E_ARG, "no program is named"), NULL;
  plan made = {.out = {-1, -1}, .err = {-1, -1}, .trouble = {-1, -1}};
  cal_process *p = cal_alloc_zero(1, sizeof *p, err);
  bool good = p && (made.program = find_program(o->words[0], err)) && make_environment(&made, o, err) && open_pipe(made.trouble, err) &&
              (o->detached || (open_pipe(made.out, err) && open_pipe(made.err, err)));
  hear_of_children();
  good = good && (p->id = make_child(&made, o, err)) > 0;
  if (good) {
    p->detached = o->detached;
    p->streams[0].fd = made.out[0];
    p->streams[1].fd = made.err[0];
    for (int i = 0; i < 2 && !o->detached; i++) fcntl(p->streams[i].fd, F_SETFL, O_NONBLOCK);
    made.out[0] = made.err[0] = -1;
  }
  free_plan(&made);
  if (good) return p;
  cal_free(p);
  return NULL;
}

/* ---- its lines ---- */

/* One line from what is there; at the end of the stream, or when there is no more room, what is left. */
static bool split(stream *s, cal_process_line *line) {
  if (!s->bytes) return false;
  char *start = s->bytes + s->taken, *end = s->size > s->taken ? memchr(start, '\n', s->size - s->taken) : NULL;
  if (!end && s->taken) {
    memmove(s->bytes, start, s->size -= s->taken);
    s->taken = 0;
    start = s->bytes;
  }
  const bool whole = end != NULL;
  if (!whole && !(s->size && (s->fd < 0 || s->size == CAL_PROCESS_LINE))) return false;
  line->text = start;
  line->size = whole ? (size_t)(end - start) : s->size;
  s->taken += line->size + whole;
  if (whole && line->size && start[line->size - 1] == '\r') line->size--;
  start[line->size] = 0; /* over its end of line, or behind all of it */
  return true;
}

/* More bytes; false: none now. */
static bool fill(stream *s) {
  if (s->fd < 0 || s->size == CAL_PROCESS_LINE) return false;
  if (!s->bytes && !(s->bytes = cal_alloc(CAL_PROCESS_LINE + 1, NULL))) return false; /* later, perhaps */
  ssize_t got;
  do got = read(s->fd, s->bytes + s->size, CAL_PROCESS_LINE - s->size);
  while (got < 0 && errno == EINTR);
  if (got > 0) s->size += (size_t)got;
  else if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) close_end(&s->fd);
  return got >= 0;
}

bool cal_process_read(cal_process *p, cal_process_line *line) {
  for (int i = 0; i < 2; i++) {
    line->from_err = i == 1;
    do
      if (split(&p->streams[i], line)) return true;
    while (fill(&p->streams[i]));
  }
  return false;
}

/* ---- its end ---- */

bool cal_process_ended(cal_process *p, int *code) {
  int status;
  if (!p->ended) {
    const pid_t got = wait_for(p->id, &status, WNOHANG);
    if (!got) return false;
    p->ended = true;
    p->code = got < 0 ? 127 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  *code = p->code;
  return true;
}

/* Only while it was not waited for: until then nobody else gets its number. */
static void send_signal(cal_process *p, int number) {
  int code;
  if (!cal_process_ended(p, &code) && kill(-p->id, number) < 0) kill(p->id, number);
}

void cal_process_interrupt(cal_process *p) { send_signal(p, SIGINT); }
void cal_process_kill(cal_process *p) { send_signal(p, SIGKILL); }
int cal_process_id(const cal_process *p) { return (int)p->id; }

static void *wait_in_thread(void *id) {
  wait_for((pid_t)(intptr_t)id, &(int){0}, 0);
  return NULL;
}

/* One that goes on without us is waited for by a thread that does nothing else: no zombie stays when it ends before we do. */
static void leave(pid_t id) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 128 << 10);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  pthread_t thread;
  (void)!pthread_create(&thread, &attributes, wait_in_thread, (void *)(intptr_t)id);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
}

void cal_process_close(cal_process *p) {
  if (!p) return;
  int code;
  if (!p->detached) cal_process_kill(p);
  const double until = cal_clock() + 1; /* what hangs in a driver or on a dead network disk does not even die */
  while (!p->detached && !cal_process_ended(p, &code) && cal_clock() < until) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  if (!cal_process_ended(p, &code)) leave(p->id);
  for (int i = 0; i < 2; i++) {
    if (!p->detached) close_end(&p->streams[i].fd);
    cal_free(p->streams[i].bytes);
  }
  cal_free(p);
}

/* ---- this program ---- */

char *cal_process_self(cal_error *err) {
  char path[PATH_MAX + 16];
#if defined(__APPLE__)
  uint32_t room = sizeof path;
  if (_NSGetExecutablePath(path, &room)) return cal_fail(err, CAL_E_IO, "the path of this program is too long"), NULL;
#else
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
  if (size < 0) return cal_fail_errno(err, errno, "the path of this program cannot be read"), NULL;
  path[size] = 0;
  static const char gone[] = " (deleted)"; /* it was built or installed anew while it runs */
  const size_t tail = sizeof gone - 1;
  if ((size_t)size > tail && access(path, F_OK) && !strcmp(path + size - tail, gone)) path[(size_t)size - tail] = 0;
#endif
  return cal_copy_text(path, err);
}
