/* library.h - heavy libraries, opened when first needed.
 *
 *   static int (*dnnl_version)(void);
 *   static const cal_symbol symbols[] = {{"dnnl_version", (void *)&dnnl_version}, {0}};
 *   static const char *const names[] = {"libdnnl.so.2", "libdnnl.so", NULL};
 *   static cal_library dnnl = {"oneDNN", names, symbols, "libdnnl2"};
 *   cal_error err = {0};
 *   if (cal_library_open(&dnnl, &err)) return;     // "oneDNN is not installed: ... apt-get install libdnnl2"
 *
 * uses: libc
 */
#ifndef CAL_BASE_LIBRARY_H
#define CAL_BASE_LIBRARY_H

#include "core/base/error.h"

typedef struct {
  const char *name;
  void *slot; /* address of the function pointer to fill */
} cal_symbol;

typedef struct {
  const char *title;          /* what people call it */
  const char *const *names;   /* file names to try in order, NULL at the end */
  const cal_symbol *symbols;  /* all must be found; {0} at the end */
  const char *debian_package; /* for the sentence that says how to get it */
  void *handle;               /* filled by cal_library_open */
} cal_library;

/* Open once; later calls cost a lock. CAL_E_MISSING says what to install. Safe from several threads. */
cal_status cal_library_open(cal_library *library, cal_error *err);

#endif
