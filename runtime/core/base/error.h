/* error.h - what went wrong, in one sentence that climbs.
 *
 *   static cal_status open_door(int width, cal_error *err) {
 *     if (width < 80) return cal_fail(err, CAL_E_ARG, "door: %d cm is too narrow; 80 is the least", width);
 *     return CAL_OK;
 *   }
 *   cal_error err = {0};
 *   if (open_door(60, &err)) cal_error_context(&err, "house %d", 7);   // "house 7: door: 60 cm ..."
 *
 * Core functions return a status (or NULL) and fill `err`; they never print, exit or abort. `err` may be NULL.
 * uses: libc
 */
#ifndef CAL_BASE_ERROR_H
#define CAL_BASE_ERROR_H

typedef enum {
  CAL_OK = 0,
  CAL_E_ARG,       /* the caller asked for something that cannot be */
  CAL_E_IO,        /* the disk or another file system said no */
  CAL_E_NOTFOUND,  /* no such file, row, tensor */
  CAL_E_DENIED,    /* outside the declared roots, or the system forbids it */
  CAL_E_FORMAT,    /* the bytes are not what they claim to be */
  CAL_E_LIMIT,     /* a stated limit would be crossed */
  CAL_E_MEMORY,    /* no memory */
  CAL_E_INTERRUPT, /* Ctrl-C */
  CAL_E_BUSY,      /* someone else holds it; try again */
  CAL_E_NETWORK,   /* a server or the way to it */
  CAL_E_DEVICE,    /* OpenCL or its driver */
  CAL_E_MISSING,   /* a library or program that is not installed */
} cal_status;

enum { CAL_ERROR_TEXT = 1024 };

typedef struct {
  cal_status code;
  char text[CAL_ERROR_TEXT]; /* UTF-8, no newline at the end */
} cal_error;

#if defined(__GNUC__)
#define CAL_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#else
#define CAL_PRINTF(format_at, args_at)
#endif

/* Fill `err` with `code` and the formatted sentence (cut at CAL_ERROR_TEXT) and return `code`. */
cal_status cal_fail(cal_error *err, cal_status code, const char *format, ...) CAL_PRINTF(3, 4);

/* The same for a failed system call: appends ": " and the text of `system_errno`; the code follows from the number
 * (ENOENT is NOTFOUND, EACCES and EXDEV are DENIED, ENOMEM is MEMORY, others IO). */
cal_status cal_fail_errno(cal_error *err, int system_errno, const char *format, ...) CAL_PRINTF(3, 4);

/* Put "context: " before the sentence, as the error climbs. Returns the code that is already there. */
cal_status cal_error_context(cal_error *err, const char *format, ...) CAL_PRINTF(2, 3);

/* "IO", "DENIED" ...: the third value that scripts see. Never NULL. */
const char *cal_status_name(cal_status code);

#endif
