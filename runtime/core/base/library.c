#include "core/base/library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

static cal_status open_locked(cal_library *library, cal_error *err) {
  if (library->handle) return CAL_OK;
  void *handle = NULL;
  for (const char *const *name = library->names; !handle && *name; name++) handle = dlopen(*name, RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return cal_fail(err, CAL_E_MISSING, "%s is not installed (%s was not found); on Debian: apt-get install %s", library->title,
                    library->names[0], library->debian_package);
  for (const cal_symbol *symbol = library->symbols; symbol->name; symbol++) {
    void *address = dlsym(handle, symbol->name);
    if (!address) {
      dlclose(handle);
      return cal_fail(err, CAL_E_MISSING, "%s is too old: it has no %s; on Debian: apt-get install %s", library->title, symbol->name,
                      library->debian_package);
    }
    memcpy(symbol->slot, &address, sizeof address); /* ISO C has no cast from an object to a function pointer */
  }
  library->handle = handle;
  return CAL_OK;
}

cal_status cal_library_open(cal_library *library, cal_error *err) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&lock);
  cal_status status = open_locked(library, err);
  pthread_mutex_unlock(&lock);
  return status;
}
