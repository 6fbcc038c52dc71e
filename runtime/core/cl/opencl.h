/* opencl.h - OpenCL through the installed loader, opened when first needed.
 *
 *   cal_error err = {0};
 *   const cal_opencl *cl = cal_opencl_open(&err);          // NULL: "OpenCL is not installed: ... apt-get install ..."
 *   cl_uint count = 0;
 *   if (cl && cl->clGetPlatformIDs(0, NULL, &count) != CL_SUCCESS) count = 0;
 *
 * Functions are members of one table, so nothing links against a loader and a machine without one still runs the rest.
 * uses: base
 */
#ifndef CAL_CL_OPENCL_H
#define CAL_CL_OPENCL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

#include "core/base/error.h"

/* The functions of OpenCL 1.2 we call; every loader since 2011 has them. A new one: add its name. */
#define CAL_OPENCL_FUNCTIONS(X) \
  X(clGetPlatformIDs)           \
  X(clGetPlatformInfo)          \
  X(clGetDeviceIDs)             \
  X(clGetDeviceInfo)            \
  X(clCreateContext)            \
  X(clReleaseContext)           \
  X(clCreateCommandQueue)       \
  X(clReleaseCommandQueue)      \
  X(clCreateBuffer)             \
  X(clCreateSubBuffer)          \
  X(clReleaseMemObject)         \
  X(clCreateProgramWithSource)  \
  X(clCreateProgramWithBinary)  \
  X(clBuildProgram)             \
  X(clGetProgramBuildInfo)      \
  X(clGetProgramInfo)           \
  X(clReleaseProgram)           \
  X(clCreateKernel)             \
  X(clSetKernelArg)             \
  X(clGetKernelWorkGroupInfo)   \
  X(clReleaseKernel)            \
  X(clEnqueueNDRangeKernel)     \
  X(clEnqueueNativeKernel)      \
  X(clEnqueueReadBuffer)        \
  X(clEnqueueWriteBuffer)       \
  X(clEnqueueCopyBuffer)        \
  X(clEnqueueFillBuffer)        \
  X(clEnqueueMapBuffer)         \
  X(clEnqueueUnmapMemObject)    \
  X(clFlush)                    \
  X(clFinish)                   \
  X(clWaitForEvents)            \
  X(clGetEventInfo)             \
  X(clGetEventProfilingInfo)    \
  X(clReleaseEvent)

typedef struct {
#define CAL_OPENCL_MEMBER(name) __typeof__(&name) name;
  CAL_OPENCL_FUNCTIONS(CAL_OPENCL_MEMBER)
#undef CAL_OPENCL_MEMBER
} cal_opencl;

const cal_opencl *cal_opencl_open(cal_error *err); /* the same table each time; safe from several threads */

/* "CL_OUT_OF_RESOURCES"; an unknown number comes back as "CL error -9999" in a buffer of the calling thread. */
const char *cal_opencl_error_name(cl_int code);

/* Fill `err` when `code` is not CL_SUCCESS: "what: CL_OUT_OF_HOST_MEMORY (-6)". Memory's codes become CAL_E_MEMORY. */
cal_status cal_opencl_check(cl_int code, const char *what, cal_error *err);

#endif
