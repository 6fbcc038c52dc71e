#include "core/cl/device.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "core/base/buffer.h"
#include "core/base/memory.h"

enum { PLATFORMS = 16, DEVICES = 64 };

static void trim(char *text) {
  size_t from = strspn(text, " \t"), size = strlen(text + from);
  memmove(text, text + from, size + 1);
  while (size && (text[size - 1] == ' ' || text[size - 1] == '\t' || text[size - 1] == '\n')) text[--size] = 0;
}

static void platform_text(cl_platform_id platform, cl_platform_info what, char *out, size_t room) {
  if (cl.GetPlatformInfo(platform, what, room - 1, out, NULL) != CL_SUCCESS) strcpy(out, "?");
  out[room - 1] = 0;
  trim(out);
}

static void device_text(cl_device_id id, cl_device_info what, char *out, size_t room) {
  if (cl.GetDeviceInfo(id, what, room - 1, out, NULL) != CL_SUCCESS) strcpy(out, "?");
  out[room - 1] = 0;
  trim(out);
}

/* Numbers of any width, as the driver gives them. */
static uint64_t device_number(cl_device_id id, cl_device_info what) {
  union {
    uint64_t u64;
    uint32_t u32;
    unsigned char bytes[8];
  } value = {0};
  size_t size = 0;
  if (cl.GetDeviceInfo(id, what, sizeof value, &value, &size) != CL_SUCCESS) return 0;
  return size == 8 ? value.u64 : value.u32;
}

static bool has_extension(cl_device_id id, const char *name) {
  char list[8192] = "";
  if (cl.GetDeviceInfo(id, CL_DEVICE_EXTENSIONS, sizeof list - 1, list, NULL) != CL_SUCCESS) return false;
  return strstr(list, name) != NULL;
}

static void describe(cl_platform_id platform, cl_device_id id, cal_device *d) {
  *d = (cal_device){.platform_id = platform, .id = id};
  platform_text(platform, CL_PLATFORM_NAME, d->platform, sizeof d->platform);
  device_text(id, CL_DEVICE_NAME, d->name, sizeof d->name);
  device_text(id, CL_DEVICE_VENDOR, d->vendor, sizeof d->vendor);
  device_text(id, CL_DEVICE_VERSION, d->version, sizeof d->version);
  device_text(id, CL_DEVICE_OPENCL_C_VERSION, d->c_version, sizeof d->c_version);
  device_text(id, CL_DRIVER_VERSION, d->driver, sizeof d->driver);
  uint64_t type = device_number(id, CL_DEVICE_TYPE);
  d->kind = type & CL_DEVICE_TYPE_GPU ? CAL_DEVICE_GPU : type & CL_DEVICE_TYPE_CPU ? CAL_DEVICE_CPU : CAL_DEVICE_OTHER;
  d->compute_units = (uint32_t)device_number(id, CL_DEVICE_MAX_COMPUTE_UNITS);
  d->clock_mhz = (uint32_t)device_number(id, CL_DEVICE_MAX_CLOCK_FREQUENCY);
  d->memory = device_number(id, CL_DEVICE_GLOBAL_MEM_SIZE);
  d->largest_buffer = device_number(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
  d->local_memory = device_number(id, CL_DEVICE_LOCAL_MEM_SIZE);
  d->max_work_group = device_number(id, CL_DEVICE_MAX_WORK_GROUP_SIZE);
  d->shared_memory = device_number(id, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0;
  d->native_kernels = (device_number(id, CL_DEVICE_EXECUTION_CAPABILITIES) & CL_EXEC_NATIVE_KERNEL) != 0;
  d->half = has_extension(id, "cl_khr_fp16");
  d->doubles = device_number(id, CL_DEVICE_DOUBLE_FP_CONFIG) != 0;
}

/* A driver is a library: one that the process has no room for is as if there were none. */
static cal_status no_driver(cl_int code, cal_error *err) {
  struct rlimit most;
  if (code == -1001 && !getrlimit(RLIMIT_AS, &most) && most.rlim_cur != RLIM_INFINITY)
    return cal_opencl_fail(err, code, "looking for OpenCL drivers within %llu MB, all that this process may have (ulimit -v)",
                           (unsigned long long)most.rlim_cur / 1000000);
  return cal_opencl_fail(err, code, "looking for OpenCL drivers");
}

static cal_status no_device(cl_platform_id first, cl_uint count, cal_error *err) {
  char name[128];
  platform_text(first, CL_PLATFORM_NAME, name, sizeof name);
  if (count == 1 && strcmp(name, "Portable Computing Language") == 0)
    return cal_fail(err, CAL_E_DEVICE,
                    "OpenCL's driver for the processor, PoCL, gives no device; so it does where it cannot write what it compiled: let "
                    "HOME, XDG_CACHE_HOME or POCL_CACHE_DIR name a folder that you can write to");
  return cal_fail(err, CAL_E_DEVICE, "OpenCL has %u platform%s (%s) but no device", count, count == 1 ? "" : "s", name);
}

cal_status cal_device_list(cal_device **list, size_t *count, cal_error *err) {
  *list = NULL;
  *count = 0;
  if (cal_opencl_open(err)) return CAL_E_MISSING;
  cl_platform_id platforms[PLATFORMS];
  cl_uint platform_count = 0;
  cl_int code = cl.GetPlatformIDs(PLATFORMS, platforms, &platform_count);
  if (code == CL_SUCCESS && platform_count == 0) code = -1001;
  if (code) return no_driver(code, err);
  if (platform_count > PLATFORMS) platform_count = PLATFORMS;
  cal_device *devices = cal_alloc_zero(DEVICES, sizeof *devices, err);
  if (!devices) return err ? err->code : CAL_E_MEMORY;
  static const cl_device_type order[] = {CL_DEVICE_TYPE_GPU, CL_DEVICE_TYPE_ACCELERATOR | CL_DEVICE_TYPE_CUSTOM, CL_DEVICE_TYPE_CPU};
  for (size_t k = 0; k < sizeof order / sizeof *order; k++)
    for (cl_uint p = 0; p < platform_count; p++) {
      cl_device_id ids[DEVICES];
      cl_uint found = 0;
      if (cl.GetDeviceIDs(platforms[p], order[k], DEVICES, ids, &found) != CL_SUCCESS) continue;
      for (cl_uint i = 0; i < found && i < DEVICES && *count < DEVICES; i++) describe(platforms[p], ids[i], &devices[(*count)++]);
    }
  if (*count == 0) {
    cal_free(devices);
    return no_device(platforms[0], platform_count, err);
  }
  *list = devices;
  return CAL_OK;
}

void cal_device_list_free(cal_device *list) { cal_free(list); }

static bool contains(const char *text, const char *part) {
  size_t length = strlen(part);
  for (; *text; text++) {
    size_t i = 0;
    while (i < length && text[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i])) i++;
    if (i == length) return true;
  }
  return false;
}

const cal_device *cal_device_choose(const cal_device *list, size_t count, const char *wish, cal_error *err) {
  if (!wish || !*wish) return &list[0];
  for (size_t i = 0; i < count; i++)
    if (!strcasecmp(wish, cal_device_kind_name(list[i].kind))) return &list[i];
  for (size_t i = 0; i < count; i++)
    if (contains(list[i].name, wish)) return &list[i];
  cal_buffer names = {0};
  for (size_t i = 0; i < count; i++)
    cal_buffer_printf(&names, "%s%s (%s)", i ? "; " : "", list[i].name, cal_device_kind_name(list[i].kind));
  cal_fail(err, CAL_E_NOTFOUND, "device: no OpenCL device fits \"%s\"; there are: %s", wish, names.data ? names.data : "");
  cal_buffer_free(&names);
  return NULL;
}

const char *cal_device_kind_name(cal_device_kind kind) { return kind == CAL_DEVICE_GPU ? "GPU" : kind == CAL_DEVICE_CPU ? "CPU" : "other"; }
