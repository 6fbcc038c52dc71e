#include "core/cl/native/onednn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/library.h"
#include "core/base/memory.h"
#include "core/base/thread.h"

#if defined(__has_include)
#if __has_include(<oneapi/dnnl/dnnl.h>)
#include <oneapi/dnnl/dnnl.h>
#if DNNL_VERSION_MAJOR == 2
#define HAVE_ONEDNN 1
#endif
#endif
#endif

#if HAVE_ONEDNN

#define FUNCTIONS(X)                        \
  X(engine_create)                          \
  X(stream_create)                          \
  X(stream_wait)                            \
  X(memory_desc_init_by_strides)            \
  X(memory_desc_init_by_tag)                \
  X(memory_desc_equal)                      \
  X(memory_desc_get_size)                   \
  X(matmul_desc_init)                       \
  X(convolution_forward_desc_init)          \
  X(convolution_backward_data_desc_init)    \
  X(convolution_backward_weights_desc_init) \
  X(primitive_desc_create)                  \
  X(primitive_desc_destroy)                 \
  X(primitive_desc_query)                   \
  X(primitive_desc_query_md)                \
  X(primitive_create)                       \
  X(primitive_destroy)                      \
  X(primitive_execute)                      \
  X(reorder_primitive_desc_create)          \
  X(memory_create)                          \
  X(memory_set_data_handle)                 \
  X(memory_destroy)

#define MEMBER(name) __typeof__(dnnl_##name) *name;
static struct { FUNCTIONS(MEMBER) } dnnl;
#undef MEMBER

static dnnl_engine_t engine;
static dnnl_stream_t stream;

cal_status cal_onednn_open(cal_error *err) {
  if (stream) return CAL_OK;
#define SLOT(name) {"dnnl_" #name, (void *)&dnnl.name},
  static const cal_symbol symbols[] = {FUNCTIONS(SLOT){0}};
#undef SLOT
  static const char *const names[] = {"libdnnl.so.2", NULL};
  static cal_library library = {"oneDNN", names, symbols, "libdnnl2", NULL};
  char threads[16];
  snprintf(threads, sizeof threads, "%d", cal_thread_count());
  setenv("OMP_WAIT_POLICY", "passive", 0);
  setenv("OMP_NUM_THREADS", threads, 0);
  if (cal_library_open(&library, err)) return err ? err->code : CAL_E_MISSING;
  if (dnnl.engine_create(&engine, dnnl_cpu, 0) || dnnl.stream_create(&stream, engine, dnnl_stream_default_flags))
    return cal_fail(err, CAL_E_DEVICE, "oneDNN: it opened, but gives no engine for this processor");
  return CAL_OK;
}

/* One operand: where the caller has it, and, where oneDNN wants another layout, its copy and the way there (or back). */
typedef struct {
  int arg; /* DNNL_ARG_SRC ... */
  dnnl_memory_desc_t ours;
  dnnl_memory_t at;     /* the caller's bytes */
  dnnl_memory_t inside; /* oneDNN's layout; NULL: the caller's serves */
  dnnl_primitive_t reorder;
  void *block;
  size_t bytes;
} operand;

struct cal_onednn {
  dnnl_primitive_t primitive;
  operand operand[3]; /* first, second, result */
  bool second_frozen, second_ready;
};

static dnnl_data_type_t type_of(cal_dtype dtype) {
  return dtype == CAL_F32 ? dnnl_f32 : dtype == CAL_BF16 ? dnnl_bf16 : dtype == CAL_F16 ? dnnl_f16 : dnnl_s32;
}

void cal_onednn_free(cal_onednn *op) {
  if (!op) return;
  for (int i = 0; i < 3; i++) {
    operand *o = &op->operand[i];
    if (o->at) dnnl.memory_destroy(o->at);
    if (o->inside) dnnl.memory_destroy(o->inside);
    if (o->reorder) dnnl.primitive_destroy(o->reorder);
    cal_free(o->block);
  }
  if (op->primitive) dnnl.primitive_destroy(op->primitive);
  cal_free(op);
}

/* The operand's memory objects; a reorder when the primitive chose its own layout. */
static bool prepare(operand *o, int arg, const dnnl_memory_desc_t *chosen, bool result) {
  o->arg = arg;
  if (dnnl.memory_create(&o->at, &o->ours, engine, DNNL_MEMORY_NONE)) return false;
  if (dnnl.memory_desc_equal(&o->ours, chosen)) return true;
  o->bytes = dnnl.memory_desc_get_size(chosen);
  o->block = cal_alloc(o->bytes + 64, NULL);
  if (!o->block) return false;
  void *aligned = (void *)(((uintptr_t)o->block + 63) / 64 * 64);
  dnnl_primitive_desc_t pd = NULL;
  bool good = !dnnl.memory_create(&o->inside, chosen, engine, aligned) &&
              !dnnl.reorder_primitive_desc_create(&pd, result ? chosen : &o->ours, engine, result ? &o->ours : chosen, engine, NULL) &&
              !dnnl.primitive_create(&o->reorder, pd);
  if (pd) dnnl.primitive_desc_destroy(pd);
  return good;
}

static void clamp_strides(const cal_onednn_tensor *t, const int *order, dnnl_dims_t dims, dnnl_dims_t strides) {
  for (int i = 0; i < t->rank; i++) {
    dims[i] = t->dim[order[i]];
    strides[i] = t->stride[order[i]];
  }
}

/* Its plain loops are slower than ours by far: not taken for work that matters. */
static bool is_plain_loops(const_dnnl_primitive_desc_t pd, double products) {
  const char *name = NULL;
  return products > 1e5 && !dnnl.primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) && name && strstr(name, "ref");
}

cal_onednn *cal_onednn_matmul(const cal_onednn_tensor *a, const cal_onednn_tensor *b, const cal_onednn_tensor *c, cal_error *err) {
  static const int same[CAL_DIMS] = {0, 1, 2, 3, 4};
  if (cal_onednn_open(err)) return NULL;
  cal_onednn *op = cal_alloc_zero(1, sizeof *op, err);
  if (!op) return NULL;
  const cal_onednn_tensor *tensors[3] = {a, b, c};
  static const int args[3] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
  bool good = true;
  for (int i = 0; i < 3 && good; i++) {
    dnnl_dims_t dims, strides;
    clamp_strides(tensors[i], same, dims, strides);
    good = !dnnl.memory_desc_init_by_strides(&op->operand[i].ours, tensors[i]->rank, dims, type_of(tensors[i]->dtype), strides);
  }
  dnnl_matmul_desc_t desc;
  dnnl_primitive_desc_t pd = NULL;
  good = good && !dnnl.matmul_desc_init(&desc, &op->operand[0].ours, &op->operand[1].ours, NULL, &op->operand[2].ours) &&
         !dnnl.primitive_desc_create(&pd, &desc, NULL, engine, NULL) &&
         !is_plain_loops(pd, (double)a->dim[a->rank - 1] * (double)(c->dim[c->rank - 1] * c->dim[c->rank - 2])) &&
         !dnnl.primitive_create(&op->primitive, pd);
  if (pd) dnnl.primitive_desc_destroy(pd);
  for (int i = 0; i < 3 && good; i++) good = prepare(&op->operand[i], args[i], &op->operand[i].ours, i == 2);
  if (good) return op;
  cal_onednn_free(op);
  return cal_fail(err, CAL_E_DEVICE, "oneDNN: no product for these sizes and layouts"), NULL;
}

cal_onednn *cal_onednn_conv2d(cal_onednn_kind kind, const cal_onednn_tensor *x, const cal_onednn_tensor *w, const cal_onednn_tensor *y,
                              cal_conv conv, cal_error *err) {
  static const int channels_first[4] = {0, 3, 1, 2}; /* oneDNN names axes N C H W and O I H W whatever the strides */
  if (cal_onednn_open(err)) return NULL;
  cal_onednn *op = cal_alloc_zero(1, sizeof *op, err);
  if (!op) return NULL;
  const cal_onednn_tensor *tensors[3] = {x, w, y};
  dnnl_memory_desc_t ours[3], any[3];
  bool good = true;
  for (int i = 0; i < 3 && good; i++) {
    dnnl_dims_t dims, strides;
    clamp_strides(tensors[i], channels_first, dims, strides);
    good = !dnnl.memory_desc_init_by_strides(&ours[i], 4, dims, type_of(tensors[i]->dtype), strides) &&
           !dnnl.memory_desc_init_by_tag(&any[i], 4, dims, type_of(tensors[i]->dtype), dnnl_format_tag_any);
  }
  /* Pictures stay where they are (channels last suits oneDNN); the weights take the layout it likes. */
  dnnl_dims_t strides = {conv.stride, conv.stride}, before = {conv.pad_top, conv.pad_left}, after = {conv.pad_bottom, conv.pad_right};
  dnnl_convolution_desc_t desc, forward;
  dnnl_primitive_desc_t pd = NULL, hint = NULL;
  good = good && !dnnl.convolution_forward_desc_init(&forward, kind == CAL_ONEDNN_FORWARD ? dnnl_forward_inference : dnnl_forward_training,
                                                     dnnl_convolution_direct, &ours[0], &any[1], NULL, &ours[2], strides, before, after);
  if (good && kind == CAL_ONEDNN_FORWARD) good = !dnnl.primitive_desc_create(&pd, &forward, NULL, engine, NULL);
  else if (good) {
    good = !dnnl.primitive_desc_create(&hint, &forward, NULL, engine, NULL);
    if (good && kind == CAL_ONEDNN_DATA)
      good = !dnnl.convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, &ours[0], &any[1], &ours[2], strides, before, after);
    else if (good)
      good = !dnnl.convolution_backward_weights_desc_init(&desc, dnnl_convolution_direct, &ours[0], &any[1], NULL, &ours[2], strides,
                                                          before, after);
    good = good && !dnnl.primitive_desc_create(&pd, &desc, NULL, engine, hint);
  }
  const double products = (double)(w->dim[0] * w->dim[1] * w->dim[2] * w->dim[3]) * (double)(y->dim[0] * y->dim[1] * y->dim[2]);
  good = good && !is_plain_loops(pd, products) && !dnnl.primitive_create(&op->primitive, pd);
  if (good) {
    const dnnl_memory_desc_t *weights =
        dnnl.primitive_desc_query_md(pd, kind == CAL_ONEDNN_WEIGHTS ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
    switch (kind) {
      case CAL_ONEDNN_FORWARD:
        op->operand[0].ours = ours[0], op->operand[1].ours = ours[1], op->operand[2].ours = ours[2];
        good = prepare(&op->operand[0], DNNL_ARG_SRC, &ours[0], false) && prepare(&op->operand[1], DNNL_ARG_WEIGHTS, weights, false) &&
               prepare(&op->operand[2], DNNL_ARG_DST, &ours[2], true);
        break;
      case CAL_ONEDNN_DATA:
        op->operand[0].ours = ours[2], op->operand[1].ours = ours[1], op->operand[2].ours = ours[0];
        good = prepare(&op->operand[0], DNNL_ARG_DIFF_DST, &ours[2], false) && prepare(&op->operand[1], DNNL_ARG_WEIGHTS, weights, false) &&
               prepare(&op->operand[2], DNNL_ARG_DIFF_SRC, &ours[0], true);
        break;
      case CAL_ONEDNN_WEIGHTS:
        op->operand[0].ours = ours[0], op->operand[1].ours = ours[2], op->operand[2].ours = ours[1];
        good = prepare(&op->operand[0], DNNL_ARG_SRC, &ours[0], false) && prepare(&op->operand[1], DNNL_ARG_DIFF_DST, &ours[2], false) &&
               prepare(&op->operand[2], DNNL_ARG_DIFF_WEIGHTS, weights, true);
        break;
    }
  }
  if (pd) dnnl.primitive_desc_destroy(pd);
  if (hint) dnnl.primitive_desc_destroy(hint);
  if (good) return op;
  cal_onednn_free(op);
  return cal_fail(err, CAL_E_DEVICE, "oneDNN: no convolution for these sizes and layouts"), NULL;
}

void cal_onednn_second_is_frozen(cal_onednn *op) { op->second_frozen = true; }
void cal_onednn_second_changed(cal_onednn *op) { op->second_ready = false; }
bool cal_onednn_second_is_kept(const cal_onednn *op) { return op->second_frozen && op->second_ready && op->operand[1].inside; }

size_t cal_onednn_bytes(const cal_onednn *op) { return op->operand[0].bytes + op->operand[1].bytes + op->operand[2].bytes; }

static bool bring(operand *o, bool result) {
  dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, result ? o->inside : o->at}, {DNNL_ARG_TO, result ? o->at : o->inside}};
  return !dnnl.primitive_execute(o->reorder, stream, 2, args);
}

bool cal_onednn_run(cal_onednn *op, const void *first, const void *second, void *result) {
  void *bytes[3] = {(void *)(uintptr_t)first, (void *)(uintptr_t)second, result};
  dnnl_exec_arg_t args[3];
  for (int i = 0; i < 3; i++) {
    operand *o = &op->operand[i];
    if (dnnl.memory_set_data_handle(o->at, bytes[i])) return false;
    args[i].arg = o->arg;
    args[i].memory = o->inside ? o->inside : o->at;
    if (o->inside && i < 2 && !(i == 1 && op->second_frozen && op->second_ready) && !bring(o, false)) return false;
  }
  op->second_ready = true;
  if (dnnl.primitive_execute(op->primitive, stream, 3, args)) return false;
  if (op->operand[2].inside && !bring(&op->operand[2], true)) return false;
  return !dnnl.stream_wait(stream);
}

#else /* another oneDNN, or none, where this was compiled */

cal_status cal_onednn_open(cal_error *err) { return cal_fail(err, CAL_E_MISSING, "oneDNN 2 was not there when this program was built"); }
cal_onednn *cal_onednn_matmul(const cal_onednn_tensor *a, const cal_onednn_tensor *b, const cal_onednn_tensor *c, cal_error *err) {
  (void)a, (void)b, (void)c;
  return cal_onednn_open(err), NULL;
}
cal_onednn *cal_onednn_conv2d(cal_onednn_kind kind, const cal_onednn_tensor *x, const cal_onednn_tensor *w, const cal_onednn_tensor *y,
                              cal_conv conv, cal_error *err) {
  (void)kind, (void)x, (void)w, (void)y, (void)conv;
  return cal_onednn_open(err), NULL;
}
void cal_onednn_second_is_frozen(cal_onednn *op) { (void)op; }
void cal_onednn_second_changed(cal_onednn *op) { (void)op; }
bool cal_onednn_second_is_kept(const cal_onednn *op) { return (void)op, false; }
bool cal_onednn_run(cal_onednn *op, const void *first, const void *second, void *result) {
  (void)op, (void)first, (void)second, (void)result;
  return false;
}
size_t cal_onednn_bytes(const cal_onednn *op) { return (void)op, 0; }
void cal_onednn_free(cal_onednn *op) { (void)op; }

#endif
