#include "core/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buffer.h"
#include "core/base/fold.h"

static int only_errors;
static void (*listen)(void *, cal_log_level, const char *);
static void *listen_context;

void cal_log_quiet(int quiet) { only_errors = quiet; }

void cal_log_listen(void (*listener)(void *, cal_log_level, const char *), void *context) {
  listen = listener;
  listen_context = context;
}

int cal_debug_depth(void) {
  const char *depth = getenv("CALOTYPE_DEBUG");
  return depth ? atoi(depth) : 0;
}

static void put(cal_log_level level, const char *mark, const char *format, va_list args) {
  char raw[4096];
  vsnprintf(raw, sizeof raw, format, args);
  cal_buffer line = {0};
  if (!listen) cal_buffer_add_text(&line, mark);
  cal_buffer_add_printable(&line, raw, strlen(raw));
  if (!listen) cal_buffer_add_byte(&line, '\n');
  char *text = cal_buffer_take(&line);
  if (!text) return;
  if (listen) listen(listen_context, level, text);
  else cal_stderr_put(text);
  cal_free(text);
}

void cal_log(cal_log_level level, const char *format, ...) {
  static const char *const marks[] = {"error: ", "warning: ", ""};
  if (only_errors && level != CAL_ERROR) return;
  va_list args;
  va_start(args, format);
  put(level, marks[level], format, args);
  va_end(args);
}

void cal_debug(int depth, const char *format, ...) {
  if (depth > cal_debug_depth()) return;
  va_list args;
  va_start(args, format);
  put(CAL_INFO, "debug: ", format, args);
  va_end(args);
}
