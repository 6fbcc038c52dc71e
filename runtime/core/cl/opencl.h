/* opencl.h - the OpenCL loader, opened when first needed, and its error numbers in words.
 *
 *   cal_error err = {0};
 *   if (cal_opencl_open(&err)) return err.code;                  // "OpenCL is not installed (...)": what to install
 *   cl_uint count = 0;
 *   cl_int code = cl.GetPlatformIDs(0, NULL, &count);            // every function is a member of `cl`, without its "cl"
 *   if (code) return cal_opencl_fail(&err, code, "platforms");   // "platforms: CL_PLATFORM_NOT_FOUND_KHR (-1001): ..."
 *
 * Only OpenCL 1.2 is used. Nothing links to libOpenCL: the prompt must be there in 30 ms.
 * uses: base
 */
#ifndef CAL_CL_OPENCL_H
#define CAL_CL_OPENCL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#ifdef __APPLE__
#include <OpenCL/cl.h>
#else
#include <CL/cl.h>
#endif

#include "core/base/error.h"

#define CAL_OPENCL_FUNCTIONS(X) \
  X(GetPlatformIDs)             \
  X(GetPlatformInfo)            \
  X(GetDeviceIDs)               \
  X(GetDeviceInfo)              \
  X(CreateContext)              \
  X(ReleaseContext)             \
  X(CreateCommandQueue)         \
  X(ReleaseCommandQueue)        \
  X(CreateBuffer)               \
  X(ReleaseMemObject)           \
  X(CreateProgramWithSource)    \
  X(CreateProgramWithBinary)    \
  X(BuildProgram)               \
  X(GetProgramInfo)             \
  X(GetProgramBuildInfo)        \
  X(ReleaseProgram)             \
  X(CreateKernel)               \
  X(SetKernelArg)               \
  X(GetKernelWorkGroupInfo)     \
  X(ReleaseKernel)              \
  X(EnqueueNDRangeKernel)       \
  X(EnqueueNativeKernel)        \
  X(EnqueueReadBuffer)          \
  X(EnqueueWriteBuffer)         \
  X(EnqueueCopyBuffer)          \
  X(WaitForEvents)              \
  X(GetEventInfo)               \
  X(ReleaseEvent)               \
  X(Flush)                      \
  X(Finish)

#define CAL_OPENCL_MEMBER(name) __typeof__(cl##name) *name;
typedef struct {
  CAL_OPENCL_FUNCTIONS(CAL_OPENCL_MEMBER)
} cal_opencl;
#undef CAL_OPENCL_MEMBER

extern cal_opencl cl; /* filled by cal_opencl_open */

/* CAL_E_MISSING: there is no libOpenCL. Cheap when it is open already. */
cal_status cal_opencl_open(cal_error *err);

/* "CL_OUT_OF_RESOURCES"; a number without a name comes back as "CL error -9999" in a buffer of the calling thread. */
const char *cal_opencl_error_name(cl_int code);

/* Fill `err` with "WHAT: NAME (number): what it usually means and the next step". Allocation failures become
 * CAL_E_MEMORY, a missing driver CAL_E_MISSING, everything else CAL_E_DEVICE. */
cal_status cal_opencl_fail(cal_error *err, cl_int code, const char *format, ...) CAL_PRINTF(3, 4);

/* The same when `code` is not CL_SUCCESS; CAL_OK when it is. */
cal_status cal_opencl_check(cl_int code, const char *what, cal_error *err);

#endif
