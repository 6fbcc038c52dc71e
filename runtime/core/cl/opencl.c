#include "core/cl/opencl.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/library.h"

cal_opencl cl;

cal_status cal_opencl_open(cal_error *err) {
#define SLOT(name) {"cl" #name, (void *)&cl.name},
  static const cal_symbol symbols[] = {CAL_OPENCL_FUNCTIONS(SLOT){0}};
#undef SLOT
  static const char *const names[] = {"libOpenCL.so.1", "libOpenCL.so", "/System/Library/Frameworks/OpenCL.framework/OpenCL", NULL};
  static cal_library library = {"OpenCL", names, symbols, "ocl-icd-libopencl1 pocl-opencl-icd", NULL};
  return cal_library_open(&library, err);
}

/* The number, its name, and, where there is something to say, what it means to a person. */
#define ERRORS(X)                                                                                                    \
  X(-1, CL_DEVICE_NOT_FOUND, "no device of this kind")                                                               \
  X(-2, CL_DEVICE_NOT_AVAILABLE, "the device is in use or switched off")                                             \
  X(-3, CL_COMPILER_NOT_AVAILABLE, "the driver has no compiler")                                                     \
  X(-4, CL_MEM_OBJECT_ALLOCATION_FAILURE, "the device has no memory left; a smaller batch or resolution needs less") \
  X(-5, CL_OUT_OF_RESOURCES, "the device ran out of registers or memory, or a kernel failed earlier")                \
  X(-6, CL_OUT_OF_HOST_MEMORY, "the driver found no memory on the host")                                             \
  X(-7, CL_PROFILING_INFO_NOT_AVAILABLE, NULL)                                                                       \
  X(-8, CL_MEM_COPY_OVERLAP, NULL)                                                                                   \
  X(-11, CL_BUILD_PROGRAM_FAILURE, NULL)                                                                             \
  X(-12, CL_MAP_FAILURE, NULL)                                                                                       \
  X(-13, CL_MISALIGNED_SUB_BUFFER_OFFSET, NULL)                                                                      \
  X(-14, CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, "something enqueued earlier failed")                          \
  X(-15, CL_COMPILE_PROGRAM_FAILURE, NULL)                                                                           \
  X(-16, CL_LINKER_NOT_AVAILABLE, NULL)                                                                              \
  X(-17, CL_LINK_PROGRAM_FAILURE, NULL)                                                                              \
  X(-18, CL_DEVICE_PARTITION_FAILED, NULL)                                                                           \
  X(-19, CL_KERNEL_ARG_INFO_NOT_AVAILABLE, NULL)                                                                     \
  X(-30, CL_INVALID_VALUE, NULL)                                                                                     \
  X(-31, CL_INVALID_DEVICE_TYPE, NULL)                                                                               \
  X(-32, CL_INVALID_PLATFORM, NULL)                                                                                  \
  X(-33, CL_INVALID_DEVICE, NULL)                                                                                    \
  X(-34, CL_INVALID_CONTEXT, NULL)                                                                                   \
  X(-35, CL_INVALID_QUEUE_PROPERTIES, NULL)                                                                          \
  X(-36, CL_INVALID_COMMAND_QUEUE, "the device was lost; start again from the last checkpoint")                      \
  X(-37, CL_INVALID_HOST_PTR, NULL)                                                                                  \
  X(-38, CL_INVALID_MEM_OBJECT, NULL)                                                                                \
  X(-42, CL_INVALID_BINARY, NULL)                                                                                    \
  X(-43, CL_INVALID_BUILD_OPTIONS, NULL)                                                                             \
  X(-44, CL_INVALID_PROGRAM, NULL)                                                                                   \
  X(-45, CL_INVALID_PROGRAM_EXECUTABLE, NULL)                                                                        \
  X(-46, CL_INVALID_KERNEL_NAME, "the program has no kernel of this name")                                           \
  X(-47, CL_INVALID_KERNEL_DEFINITION, NULL)                                                                         \
  X(-48, CL_INVALID_KERNEL, NULL)                                                                                    \
  X(-49, CL_INVALID_ARG_INDEX, "host and kernel disagree about the number of arguments")                             \
  X(-50, CL_INVALID_ARG_VALUE, NULL)                                                                                 \
  X(-51, CL_INVALID_ARG_SIZE, "host and kernel disagree about the size of an argument")                              \
  X(-52, CL_INVALID_KERNEL_ARGS, "an argument was not set")                                                          \
  X(-53, CL_INVALID_WORK_DIMENSION, NULL)                                                                            \
  X(-54, CL_INVALID_WORK_GROUP_SIZE, "the work-group is larger than this device runs this kernel with")              \
  X(-55, CL_INVALID_WORK_ITEM_SIZE, "the work-group is larger than this device allows along one axis")               \
  X(-56, CL_INVALID_GLOBAL_OFFSET, NULL)                                                                             \
  X(-57, CL_INVALID_EVENT_WAIT_LIST, NULL)                                                                           \
  X(-58, CL_INVALID_EVENT, NULL)                                                                                     \
  X(-59, CL_INVALID_OPERATION, "the device cannot do this")                                                          \
  X(-61, CL_INVALID_BUFFER_SIZE, "the device does not give so much memory in one piece")                             \
  X(-63, CL_INVALID_GLOBAL_WORK_SIZE, NULL)                                                                          \
  X(-64, CL_INVALID_PROPERTY, NULL)                                                                                  \
  X(-66, CL_INVALID_COMPILER_OPTIONS, NULL)                                                                          \
  X(-67, CL_INVALID_LINKER_OPTIONS, NULL)                                                                            \
  X(-1001, CL_PLATFORM_NOT_FOUND_KHR,                                                                                \
    "no driver is installed; for a GPU its vendor has one, for the processor on Debian: apt-get install pocl-opencl-icd")

const char *cal_opencl_error_name(cl_int code) {
  static _Thread_local char unknown[32];
  switch (code) {
    case 0: return "CL_SUCCESS";
#define NAME(number, name, meaning) \
  case number: return #name;
      ERRORS(NAME)
#undef NAME
    default: snprintf(unknown, sizeof unknown, "CL error %d", (int)code); return unknown;
  }
}

static const char *meaning_of(cl_int code) {
  switch (code) {
#define MEANING(number, name, meaning) \
  case number: return meaning;
    ERRORS(MEANING)
#undef MEANING
    /* NVIDIA's own number */
    case -9999: return "a kernel read or wrote outside its buffers; the device is lost, start from the last checkpoint";
    default: return NULL;
  }
}

cal_status cal_opencl_fail(cal_error *err, cl_int code, const char *format, ...) {
  char what[CAL_ERROR_TEXT / 2];
  va_list list;
  va_start(list, format);
  vsnprintf(what, sizeof what, format, list);
  va_end(list);
  const char *meaning = meaning_of(code);
  cal_status status = code == -4 || code == -6 || code == -61 ? CAL_E_MEMORY : code == -1001 ? CAL_E_MISSING : CAL_E_DEVICE;
  return cal_fail(err, status, "%s: %s (%d)%s%s", what, cal_opencl_error_name(code), (int)code, meaning ? ": " : "",
                  meaning ? meaning : "");
}

cal_status cal_opencl_check(cl_int code, const char *what, cal_error *err) {
  return code == CL_SUCCESS ? CAL_OK : cal_opencl_fail(err, code, "%s", what);
}
