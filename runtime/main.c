/* main.c - the command line; nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/embedded.h"
#include "bind/fault.h"
#include "bind/runtime.h"
#include "bind/stop.h"
#include "core/base/buffer.h"
#include "core/base/fold.h"
#include "core/base/log.h"
#include "core/base/progress.h"
#include "core/base/suggest.h"
#include "repl/repl.h"

enum { PARAMS = 64, WORDS_MOST = 64, LARGEST_SCRIPT = 1 << 20, MEMORY_MB = 512 };

typedef struct {
  char *name, *value; /* owned */
} param;

/* What a command takes, and what its function gets:
 *   ONE     its subject, or nothing       f(subject, all)
 *   RECIPE  a recipe and -p NAME=VALUE    f { file =, text =, params =, fresh = }
 *   WORDS   words and NAME=VALUE          f { words = { "log", "cat.jpg" }, params = { with = "fake" } }; its module's `help` is a text
 *   SCRIPT  a folder and NAME=VALUE       f { folder =, params =, fresh = } */
typedef enum { ONE, RECIPE, WORDS, SCRIPT } takes;

typedef struct command {
  const char *name, *subject, *about;
  takes takes;
  const char *module, *function;
} command;

typedef struct {
  const command *command;
  struct command script; /* what `command` points to when the word was one of scripts/ */
  const char *subject;   /* the file, the folder, or the topic of help; the first of the words */
  const char *words[WORDS_MOST];
  int word_count;
  cal_buffer text; /* of a recipe that came through stdin */
  param params[PARAMS];
  int param_count;
  bool quiet, trace, fresh, all, help;
  const struct command *about; /* what help is asked about, when it takes words */
} invocation;

static const command commands[] = {
    {"run", "FILE", "run a recipe (so does: calotype FILE); running again goes on where it stopped", RECIPE, "recipe.command", "run"},
    {"check", "FILE", "read a recipe and say what is wrong; nothing is computed, written or sent", RECIPE, "recipe.command", "check"},
    {"plan", "FILE", "what a run would do: pictures, captions to ask for, what they cost; nobody is asked", RECIPE, "recipe.plan", "run"},
    {"info", "FILE", "what a recipe is: header, parameters, what it touches and makes", RECIPE, "recipe.command", "info"},
    {"show", "FILE", "what is in a picture, zip, safetensors or PyTorch file, or folder", ONE, "recipe.command", "show"},
    {"view", "FOLDER", "a window: look at the pictures, write their captions, choose among them: calotype help view", WORDS, "window.view",
     "run"},
    {"captions", "WORD FILE", "the captions of a picture or a folder through time: calotype help captions", WORDS, "recipe.captions",
     "run"},
    {"get", "hf:OWNER/NAME", "a model from Hugging Face, whole and checked; again goes on: calotype help get", WORDS, "recipe.get", "run"},
    {"models", "ls", "models that are here and where they came from; remote ones and their prices", WORDS, "recipe.models", "run"},
    {"doctor", NULL, "what this machine has, what is missing, which devices there are", ONE, "doctor", "run"},
    {"repl", NULL, "the prompt (so does: calotype, on a terminal)", ONE, NULL, NULL},
    {"version", NULL, "calotype's version and those of what it stands on", ONE, NULL, NULL},
    {"help", "[TOPIC]", "this text, or that of a verb: calotype help reject", ONE, "recipe.help", "text"},
    {NULL, NULL, NULL, ONE, NULL, NULL}};

static const char *const options[] = {"--quiet", "--trace", "--fresh", "--all", "--help", "--version", NULL}; /* that may be meant */

/* What can be given besides; `of`: the one command it belongs to, "" those that read a recipe, NULL all. */
static const struct {
  const char *word, *about, *of;
} flags[] = {{"-p NAME=VALUE", "set a parameter of the recipe; NAME=@FILE takes the value from a file", ""},
             {"--fresh", "train from the first step and write every output again; captions, measurements and latents are kept", "run"},
             {"--all", "show: every tensor and every line of metadata", "show"},
             {"-q, --quiet", "only errors", NULL},
             {"--trace", "errors with every function on the way, those of calotype too", NULL},
             {"-h, --help", "this text; of one command: calotype check --help", NULL},
             {"-V, --version", "calotype version", NULL},
             {"--", "what follows is no option: calotype run -- -odd-name.lua", NULL}};

/* --- What is wrong with the command line --------------------------------------------------------------------------- */

static int wrong(const char *hint, const char *format, ...) CAL_PRINTF(2, 3);
static int wrong(const char *hint, const char *format, ...) {
  char raw[2048];
  va_list args;
  va_start(args, format);
  vsnprintf(raw, sizeof raw, format, args);
  va_end(args);
  cal_buffer text = {0};
  cal_buffer_add_text(&text, "error: ");
  cal_buffer_add_printable(&text, raw, strlen(raw));
  if (hint) cal_buffer_add_text(&text, "\n     = "), cal_buffer_add_printable(&text, hint, strlen(hint));
  cal_buffer_add_text(&text, "\n");
  cal_stderr_put(text.data && !text.failed ? text.data : "error: not enough memory\n");
  cal_buffer_free(&text);
  return CAL_EXIT_USAGE;
}

static int wrong_word(const char *kind, const cal_suggestion *s) {
  char hint[128] = "calotype help lists what there is";
  const char *best = cal_suggestion_best(s);
  if (best) snprintf(hint, sizeof hint, "did you mean '%s'?", best);
  return wrong(hint, "unknown %s '%s'", kind, s->word);
}

static int wrong_option(const char *word, bool settings) {
  cal_suggestion s = {.word = word};
  for (const char *const *name = options; *name; name++) cal_suggestion_offer(&s, *name);
  if (settings && word[1] == '-' && word[2] && !cal_suggestion_best(&s)) {
    char hint[160];
    snprintf(hint, sizeof hint, "settings are written without dashes: %.80s%s", word + 2, strchr(word, '=') ? "" : "=VALUE");
    return wrong(hint, "unknown option '%s'", word);
  }
  return wrong_word("option", &s);
}

static int wrong_command(const char *word) {
  cal_suggestion s = {.word = word};
  for (const command *c = commands; c->name; c++) cal_suggestion_offer(&s, c->name);
  for (const cal_embedded *file = cal_embedded_files; file->path; file++)
    if (file->script) cal_suggestion_offer(&s, file->script);
  return wrong_word("command", &s);
}

static const command *find_command(const char *name) {
  for (const command *c = commands; c->name; c++)
    if (strcmp(c->name, name) == 0) return c;
  return NULL;
}

/* train-tiny-base is train_tiny_base. Only what is in the binary counts: a file of that name on disk is a recipe like any other. */
static const cal_embedded *find_script(const char *word) {
  for (const cal_embedded *file = cal_embedded_files; file->path; file++) {
    const char *a = word, *b = file->script;
    if (!b) continue;
    while (*a && (*a == *b || (*a == '-' && *b == '_'))) a++, b++;
    if (!*a && !*b) return file;
  }
  return NULL;
}

/* What a script's header says after "NAME.lua - ". */
static const char *about_script(const cal_embedded *file) {
  const char *dash = strstr(file->header, " - ");
  return dash ? dash + 3 : file->header;
}

static bool is_a(const invocation *in, takes what) { return in->command && in->command->takes == what; }
static bool takes_params(const invocation *in) { return in->command && in->command->takes != ONE; }
static bool takes_settings(const invocation *in) { return is_a(in, SCRIPT) || is_a(in, WORDS); } /* NAME=VALUE without -p */

static int no_subject(const command *c) {
  char hint[128];
  snprintf(hint, sizeof hint, "calotype help %s shows how it is called", c->name);
  if (c->takes == WORDS) return wrong(hint, "calotype %s needs more words: %s", c->name, c->subject);
  return c->takes == SCRIPT ? wrong(hint, "calotype %s needs a folder", c->name) : wrong(NULL, "calotype %s needs a file", c->name);
}

/* --- Reading it ---------------------------------------------------------------------------------------------------- */

/* name=value, split at the first '='; @file stands for what is in that file. `flag`: "-p ", or nothing where none is written. */
static int add_param(invocation *in, const char *flag, const char *text) {
  const char *equals = strchr(text, '=');
  cal_error err = {0};
  if (!equals || equals == text) return wrong("write it as -p name=value", "-p '%s' has no name and value", text);
  if (in->param_count == PARAMS) return wrong(NULL, "more than %d parameters", PARAMS);
  param *p = &in->params[in->param_count++];
  p->name = cal_copy_text(text, &err);
  if (p->name) p->name[equals - text] = 0;
  if (p->name && equals[1] != '@') p->value = cal_copy_text(equals + 1, &err);
  if (p->name && equals[1] == '@') {
    cal_buffer bytes = {0};
    cal_fs *fs = cal_fs_new(NULL, 0, &err);
    if (fs && !cal_fs_grant(fs, equals + 2, CAL_FS_READ, &err) && !cal_fs_read(fs, equals + 2, LARGEST_SCRIPT, &bytes, &err))
      p->value = cal_buffer_take(&bytes);
    cal_buffer_free(&bytes);
    cal_fs_free(fs);
  }
  return p->value ? CAL_EXIT_OK : wrong(NULL, "%s%s: %s", flag, text, err.code ? err.text : "not enough memory");
}

/* quick=yes, but not out/a=b: that is a folder. */
static bool is_setting(const char *word) {
  size_t size = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
  return size && word[size] == '=';
}

static int add_word(invocation *in, const char *word, bool no_setting) {
  if (!in->command && (in->command = find_command(word))) return CAL_EXIT_OK;
  const cal_embedded *file = in->command ? NULL : find_script(word);
  if (file) {
    in->script = (command){.name = file->script, .subject = "FOLDER", .takes = SCRIPT, .module = file->script, .function = "run"};
    in->command = &in->script;
    return CAL_EXIT_OK;
  }
  if (!in->command) {
    /* A word that is no file and no file's name was meant as a command. */
    if (access(word, F_OK) != 0 && !strpbrk(word, "./") && strcmp(word, "-") != 0) return wrong_command(word);
    in->command = find_command("run");
  }
  if (takes_settings(in) && is_setting(word) && !no_setting) return add_param(in, "", word);
  if (!in->command->subject) return wrong(NULL, "calotype %s takes nothing more, not '%s'", in->command->name, word);
  if (is_a(in, WORDS)) {
    if (in->word_count == WORDS_MOST) return wrong(NULL, "calotype %s takes at most %d words", in->command->name, WORDS_MOST);
    in->words[in->word_count++] = word;
    in->subject = in->words[0];
    return CAL_EXIT_OK;
  }
  if (in->subject && is_a(in, SCRIPT))
    return wrong("its settings are written NAME=VALUE", "calotype %s takes one folder: '%s' is one too many", in->command->name, word);
  if (in->subject) return wrong("what a recipe is to get goes with -p name=value", "one file at a time: '%s' is one too many", word);
  in->subject = word;
  return CAL_EXIT_OK;
}

static int read_words(invocation *in, int count, char **words) {
  bool only_words = false;
  for (int i = 1, code; i < count; i++) {
    const char *word = words[i];
    if (!only_words && strcmp(word, "--") == 0) {
      only_words = true;
    } else if (only_words || word[0] != '-' || !word[1]) {
      if ((code = add_word(in, word, only_words))) return code;
    } else if (strncmp(word, "-p", 2) == 0) {
      const char *text = word[2] ? word + 2 : ++i < count ? words[i] : "";
      if ((code = add_param(in, "-p ", text))) return code;
    } else if (strcmp(word, "-q") == 0 || strcmp(word, "--quiet") == 0) in->quiet = true;
    else if (strcmp(word, "--trace") == 0) in->trace = true;
    else if (strcmp(word, "--fresh") == 0) in->fresh = true;
    else if (strcmp(word, "--all") == 0) in->all = true;
    else if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) in->help = true;
    else if (strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0) in->command = find_command("version");
    else return wrong_option(word, takes_settings(in));
  }
  if (in->help)
    in->subject = in->command && strcmp(in->command->name, "help") != 0 ? in->command->name : NULL, in->command = find_command("help");
  if (in->command && in->command->subject && in->command->subject[0] != '[' && !in->subject) return no_subject(in->command);
  if (in->all && (!in->command || strcmp(in->command->name, "show") != 0)) return wrong(NULL, "--all belongs to calotype show");
  if (in->param_count && !takes_params(in))
    return wrong(NULL, "-p sets a recipe's parameters; calotype %s has none", in->command ? in->command->name : "repl");
  return CAL_EXIT_OK;
}

static int read_stdin(cal_buffer *text) {
  for (;;) {
    if (text->size > LARGEST_SCRIPT) return wrong(NULL, "the script on stdin has more than %d bytes", LARGEST_SCRIPT);
    if (!cal_buffer_reserve(text, 65536)) return wrong(NULL, "not enough memory for the script on stdin");
    ssize_t got = read(STDIN_FILENO, text->data + text->size, 65536);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return wrong(NULL, "the script on stdin cannot be read: %s", strerror(errno));
    if (got == 0) return text->data[text->size] = 0, CAL_EXIT_OK;
    text->size += (size_t)got;
  }
}

/* CALOTYPE_MEMORY: what a recipe's Lua may hold, in MB. */
static int memory_cap(size_t *bytes) {
  const char *text = getenv("CALOTYPE_MEMORY");
  char *end;
  unsigned long mb = text ? strtoul(text, &end, 10) : MEMORY_MB;
  if (text && (end == text || *end || mb < 16 || mb > 1u << 20))
    return wrong("a number of megabytes, at least 16", "CALOTYPE_MEMORY is '%s'", text);
  *bytes = (size_t)mb << 20;
  return CAL_EXIT_OK;
}

/* --- Doing it ------------------------------------------------------------------------------------------------------ */

static void put_flags(const command *c) {
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
    const char *of = flags[i].of;
    if (!c || !of || (*of ? strcmp(of, c->name) == 0 : c->takes == RECIPE)) printf("  %-15s %s\n", flags[i].word, flags[i].about);
  }
}

static void put_help(void) {
  puts("calotype " CAL_VERSION ": from a folder of pictures to a LoRA\n");
  for (const command *c = commands; c->name; c++) printf("  calotype %-8s %-13s %s\n", c->name, c->subject ? c->subject : "", c->about);
  puts("\nScripts that come with it: calotype NAME FOLDER [SETTING=VALUE ...]; calotype help NAME says more\n");
  for (const cal_embedded *file = cal_embedded_files; file->path; file++)
    if (file->script) printf("  %-16s %.*s\n", file->script, (int)strcspn(about_script(file), "\n"), about_script(file));
  putchar('\n');
  put_flags(NULL);
  puts(
      "\nA recipe that comes through a pipe is run: calotype < hall.lua; so is FILE where it is -. A question is answered as at the\n"
      "prompt: echo '?reject' | calotype\n"
      "\n"
      "Ends with 0 ok, 1 failed on the way, 2 not begun (wrong usage, a mistake in the recipe, a file that is not there),\n"
      "3 not permitted, 4 :expect failed, 75 try again, 130 interrupted.");
}

static void set_text(lua_State *L, const char *key, const char *text) { lua_pushstring(L, text), lua_setfield(L, -2, key); }

static void push_options(lua_State *L, const invocation *in) {
  bool from_stdin = in->text.data != NULL;
  lua_newtable(L);
  if (is_a(in, WORDS)) {
    lua_newtable(L);
    for (int i = 0; i < in->word_count; i++) lua_pushstring(L, in->words[i]), lua_rawseti(L, -2, i + 1);
    lua_setfield(L, -2, "words");
  } else set_text(L, is_a(in, SCRIPT) ? "folder" : "file", from_stdin ? "stdin" : in->subject);
  if (from_stdin) lua_pushlstring(L, in->text.data, in->text.size), lua_setfield(L, -2, "text");
  lua_newtable(L);
  for (int i = 0; i < in->param_count; i++) set_text(L, in->params[i].name, in->params[i].value);
  lua_setfield(L, -2, "params");
  lua_pushboolean(L, in->fresh);
  lua_setfield(L, -2, "fresh");
}

static void require(lua_State *L, const char *module) {
  lua_getglobal(L, "require");
  lua_pushstring(L, module);
  lua_call(L, 1, 1);
}

/* calotype version: a line per part, calotype first. */
static int put_versions(lua_State *L) {
  static const char *const names[] = {"calotype", "lua", "sqlite", NULL};
  require(L, "native.script");
  lua_getfield(L, -1, "versions");
  lua_call(L, 0, 1);
  for (int i = 0; names[i]; i++) {
    lua_getfield(L, -1, names[i]);
    printf("%s %s\n", names[i], lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  return lua_pushinteger(L, CAL_EXIT_OK), 1;
}

/* calotype help captions: what the command's own module says about its words. */
static int put_words_help(lua_State *L) {
  const command *c = lua_touserdata(L, 1);
  require(L, "native.log");
  lua_getfield(L, -1, "put_words");
  require(L, c->module);
  lua_getfield(L, -1, "help");
  lua_remove(L, -2);
  lua_call(L, 1, 0);
  return lua_pushinteger(L, CAL_EXIT_OK), 1;
}

/* The command inside Lua: everything may raise here. Leaves the exit code. */
static int invoke(lua_State *L) {
  const invocation *in = lua_touserdata(L, 1);
  const command *c = in->command;
  if (in->about) {
    lua_pushcfunction(L, put_words_help), lua_pushlightuserdata(L, (void *)(uintptr_t)in->about), lua_call(L, 1, 1);
    return 1;
  }
  if (!c->module) return put_versions(L);
  require(L, c->module);
  if (lua_getfield(L, -1, c->function) != LUA_TFUNCTION) return luaL_error(L, "%s.%s is missing", c->module, c->function);
  if (takes_params(in)) push_options(L, in);
  else if (in->subject) lua_pushstring(L, in->subject);
  else { /* doctor prints its lines with this */ require(L, "native.log");
    lua_getfield(L, -1, "put");
    lua_remove(L, -2);
  }
  lua_pushboolean(L, in->all);
  lua_call(L, 2, 2);
  if (lua_type(L, -2) == LUA_TSTRING) { /* help: a text, and false where there is none on the topic */
    bool known = !lua_isboolean(L, -1);
    require(L, "native.log");
    lua_getfield(L, -1, "put");
    lua_pushvalue(L, -4);
    lua_call(L, 1, 0);
    return lua_pushinteger(L, known ? CAL_EXIT_OK : CAL_EXIT_USAGE), 1;
  }
  lua_pop(L, 1);
  if (!lua_isinteger(L, -1)) lua_pushinteger(L, CAL_EXIT_OK);
  return 1;
}

static int do_command(cal_runtime *rt, const invocation *in) {
  lua_State *L = rt->L;
  lua_pushcfunction(L, cal_fault_handler);
  lua_pushcfunction(L, invoke);
  lua_pushlightuserdata(L, (void *)(uintptr_t)in);
  if (lua_pcall(L, 1, 1, 1) == LUA_OK) return (int)lua_tointeger(L, -1);
  bool stopped = cal_fault_stopped(L, -1) || (cal_stop_pending(L, -1) && cal_fault_exit(L, -1) != CAL_EXIT_STOPPED);
  int code = stopped ? CAL_EXIT_STOPPED : cal_fault_exit(L, -1);
  if (code == CAL_EXIT_FAILED && strcmp(in->command->name, "check") == 0) code = CAL_EXIT_USAGE; /* it found something */
  fflush(stdout);
  if (stopped) {
    fputs("stopped: what is done is kept, the same command goes on from here\n", stderr);
    return code;
  }
  lua_pushcfunction(L, cal_fault_print);
  lua_insert(L, -2);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) fputs("error: not enough memory\n", stderr);
  return code;
}

/* Weights are read where the file lies: one that another program cuts short meanwhile ends in this signal. */
static void say_cut(int number, siginfo_t *info, void *unused) {
  static const char text[] = "error: a file became shorter while it was being read, or its disk failed; run again\n";
  (void)unused;
  if (info->si_code == BUS_ADRERR) {
    ssize_t put = write(STDERR_FILENO, text, sizeof text - 1);
    (void)put;
    _exit(CAL_EXIT_FAILED);
  }
  signal(number, SIG_DFL);
  raise(number);
}

int main(int count, char **words) {
  for (int fd = 0; fd < 3; fd++) /* a closed one would become the first file we open */
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) return CAL_EXIT_FAILED;
  sigaction(SIGBUS, &(struct sigaction){.sa_sigaction = say_cut, .sa_flags = SA_SIGINFO}, NULL);
  signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error with a sentence, as a full disk is */
  invocation in = {0};
  cal_error err = {0};
  cal_runtime *rt = NULL;
  cal_runtime_options with = {.guarded = true, .fs_flags = CAL_FS_GUARDED};
  int code = read_words(&in, count, words);
  if (code) goto done;
  const bool open = !in.command;
  if (open) in.command = find_command(isatty(STDIN_FILENO) ? "repl" : "run");
  if (in.command->takes == RECIPE && (!in.subject || strcmp(in.subject, "-") == 0) && (code = read_stdin(&in.text))) goto done;
  if (open && in.text.data && cal_repl_speaks(in.text.data)) in.command = find_command("repl");
  if (strcmp(in.command->name, "help") == 0 && !in.subject) {
    put_help();
    goto done;
  }
  const command *about = strcmp(in.command->name, "help") == 0 ? find_command(in.subject) : NULL;
  if (about && about->takes == WORDS) in.about = about;
  else if (about) {
    printf("calotype %s%s%s\n  %s\n", about->name, about->subject ? " " : "", about->subject ? about->subject : "", about->about);
    putchar('\n'), put_flags(about);
    goto done;
  }
  const cal_embedded *script = strcmp(in.command->name, "help") == 0 ? find_script(in.subject) : NULL;
  if (script) {
    printf("calotype %s FOLDER [NAME=VALUE ...]\n\n%s", script->script, about_script(script));
    goto done;
  }
  if ((code = memory_cap(&with.memory_cap))) goto done;
  if (in.quiet) cal_log_quiet(1), cal_progress_quiet(1);
  with.trace = in.trace;
  rt = cal_runtime_new(&with, &err);
  if (!rt) {
    fprintf(stderr, "error: %s\n", err.text);
    code = CAL_EXIT_FAILED;
    goto done;
  }
  cal_stop_listen(rt);
  code = strcmp(in.command->name, "repl") == 0 ? cal_repl(rt, in.text.data, in.text.size) : do_command(rt, &in);
  cal_stop_listen(NULL);
done:
  cal_runtime_free(rt);
  for (int i = 0; i < in.param_count; i++) cal_free(in.params[i].name), cal_free(in.params[i].value);
  cal_buffer_free(&in.text);
  if ((fflush(stdout) != 0 || ferror(stdout)) && code == CAL_EXIT_OK) {
    fputs("error: not all that was to be printed could be written: is the disk full, or what reads it closed?\n", stderr);
    code = CAL_EXIT_FAILED;
  }
  return code;
}
