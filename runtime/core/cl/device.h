/* device.h - the OpenCL devices of this machine.
 *
 *   cal_error err = {0};
 *   cal_device *list = NULL;
 *   size_t count = 0;
 *   if (cal_device_list(&list, &count, &err)) return;      // no loader, no driver
 *   for (size_t i = 0; i < count; i++) printf("%s: %u units\n", list[i].name, list[i].compute_units);
 *   cal_device_list_free(list);
 *
 * uses: base
 */
#ifndef CAL_CL_DEVICE_H
#define CAL_CL_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cl/opencl.h"

typedef enum { CAL_DEVICE_CPU, CAL_DEVICE_GPU, CAL_DEVICE_OTHER } cal_device_kind;

typedef struct {
  cl_platform_id platform_id;
  cl_device_id id;
  cal_device_kind kind;
  char platform[96], name[128], vendor[96], version[96], c_version[96], driver[96]; /* as the driver says, trimmed */
  uint32_t compute_units, clock_mhz;
  uint64_t memory, largest_buffer, local_memory, max_work_group; /* bytes; work items */
  bool half, doubles, native_kernels, shared_memory;             /* f16 and f64 arithmetic; host functions in the queue; one memory */
} cal_device;

/* All devices of all platforms, in the loader's order, GPUs before CPUs. One allocation. A platform that fails is left
 * out. CAL_E_MISSING: no loader or no driver; CAL_E_DEVICE: a driver, but no device. */
cal_status cal_device_list(cal_device **list, size_t *count, cal_error *err);
void cal_device_list_free(cal_device *list);

/* Which one a wish means, and no context is opened for that: "cpu", "gpu" or a part of a name, upper or lower case; NULL or "": the first,
 * which is a GPU where there is one. `count` is at least 1. NULL and CAL_E_NOTFOUND, with what there is, when none fits. */
const cal_device *cal_device_choose(const cal_device *list, size_t count, const char *wish, cal_error *err);

const char *cal_device_kind_name(cal_device_kind kind); /* "CPU", "GPU", "other" */

#endif
