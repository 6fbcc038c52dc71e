#include "core/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static cal_status fill(cal_error *err, cal_status code, const char *format, va_list args) {
  if (err) {
    err->code = code;
    vsnprintf(err->text, sizeof err->text, format, args);
  }
  return code;
}

cal_status cal_fail(cal_error *err, cal_status code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  fill(err, code, format, args);
  va_end(args);
  return code;
}

static cal_status status_of_errno(int system_errno) {
  switch (system_errno) {
    case ENOENT:
    case ENAMETOOLONG: /* no file can have it */
    case ENOTDIR: return CAL_E_NOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS:
    case EXDEV:
    case ELOOP: return CAL_E_DENIED;
    case ENOMEM: return CAL_E_MEMORY;
    default: return CAL_E_IO;
  }
}

/* Where the system's words lack the next step. */
static const char *reason_of(int system_errno) {
  switch (system_errno) {
    case ENOSPC: return "the disk is full; make room and run again";
    case EDQUOT: return "your share of the disk is used up; make room and run again";
    case EFBIG: return "it would be larger than a file may be here (ulimit -f, or the file system)";
    case EROFS: return "that folder can only be read; name another one";
    case EMFILE:
    case ENFILE: return "too many files are open (ulimit -n)";
    default: return strerror(system_errno);
  }
}

cal_status cal_fail_errno(cal_error *err, int system_errno, const char *format, ...) {
  cal_status code = status_of_errno(system_errno);
  va_list args;
  va_start(args, format);
  fill(err, code, format, args);
  va_end(args);
  if (err) {
    size_t used = strlen(err->text);
    snprintf(err->text + used, sizeof err->text - used, ": %s", reason_of(system_errno));
  }
  return code;
}

cal_status cal_error_context(cal_error *err, const char *format, ...) {
  if (!err) return CAL_E_ARG;
  char context[CAL_ERROR_TEXT], whole[CAL_ERROR_TEXT];
  va_list args;
  va_start(args, format);
  vsnprintf(context, sizeof context, format, args);
  va_end(args);
  /* Where both do not fit, the context is cut: the sentence has the next step. */
  size_t sentence = strlen(err->text), room = sizeof whole - 1 - sentence;
  size_t head = strlen(context) + 2 <= room ? strlen(context) : room > 2 ? room - 2 : 0;
  memcpy(whole, context, head);
  if (room > 2) memcpy(whole + head, ": ", 2), head += 2;
  memcpy(whole + head, err->text, sentence + 1);
  memcpy(err->text, whole, head + sentence + 1);
  return err->code;
}

const char *cal_status_name(cal_status code) {
  static const char *const names[] = {"OK",     "ARG",       "IO",   "NOTFOUND", "DENIED", "FORMAT", "LIMIT",
                                      "MEMORY", "INTERRUPT", "BUSY", "NETWORK",  "DEVICE", "MISSING"};
  return (unsigned)code < sizeof names / sizeof *names ? names[code] : "UNKNOWN";
}
