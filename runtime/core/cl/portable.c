/* portable.c - every step as OpenCL kernels: those of kernels/NAME.cl, and one generated for each kind of chain. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/cl/candidates.h"
#include "core/cl/program.h"
#include "core/graph/strides.h"

/* ---- binding arguments --------------------------------------------------------------------------------------------- */

typedef struct {
  const cal_site *site;
  cl_kernel kernel;
  cl_uint next;
  cl_int code;
} binder;

static void bind(binder *b, const void *value, size_t size) {
  if (!b->code) b->code = cl.SetKernelArg(b->kernel, b->next++, size, value);
}
static void bind_place(binder *b, const cal_place *place) {
  cl_ulong offset = (cl_ulong)place->offset;
  bind(b, &cal_site_chunk(b->site, place)->memory, sizeof(cl_mem));
  bind(b, &offset, sizeof offset);
}
static void bind_int(binder *b, int64_t number) {
  cl_int narrow = (cl_int)number;
  if (narrow != number && !b->code) b->code = CL_INVALID_ARG_VALUE; /* a tensor of more than 2^31 elements */
  bind(b, &narrow, sizeof narrow);
}
static void bind_float(binder *b, double number) {
  cl_float narrow = (cl_float)number;
  bind(b, &narrow, sizeof narrow);
}
static void bind_int4(binder *b, int64_t x, int64_t y, int64_t z, int64_t w) {
  cl_int4 v = {{(cl_int)x, (cl_int)y, (cl_int)z, (cl_int)w}};
  if ((v.s[0] != x || v.s[1] != y || v.s[2] != z || v.s[3] != w) && !b->code) b->code = CL_INVALID_ARG_VALUE;
  bind(b, &v, sizeof v);
}

/* Five numbers as an int4 and an int, the last of `count` in the int; missing ones in front become `fill`. */
static void bind_five(binder *b, const int64_t *numbers, int count, int64_t fill) {
  int64_t five[5];
  for (int i = 0; i < 5; i++) five[i] = i < 5 - count ? fill : numbers[i - (5 - count)];
  bind_int4(b, five[0], five[1], five[2], five[3]);
  bind_int(b, five[4]);
}

/* "-cl-mad-enable -cl-single-precision-constant -DT_A=f32 -DT_B=bf16": letters in order of the dtypes that follow. */
static const char *options_of(const cal_context *c, char out[200], const char *letters, ...) {
  va_list list;
  va_start(list, letters);
  int used = snprintf(out, 200, "-cl-std=CL1.2 -cl-mad-enable -cl-single-precision-constant%s", c->half_storage ? "" : " -DHALF_BY_BITS");
  for (; *letters; letters++)
    used += snprintf(out + used, 200 - (size_t)used, " -DT_%c=%s", *letters, cal_dtype_name((cal_dtype)va_arg(list, int)));
  va_end(list);
  return out;
}

static bool start(binder *b, const cal_site *site, const char *file, const char *kernel, const char *options, cal_prepared *out,
                  cal_error *err) {
  *b = (binder){.site = site};
  cl_program program = cal_program_file(site->context, file, options, err);
  b->kernel = program ? cal_kernel_new(site->context, program, kernel, err) : NULL;
  if (b->kernel) out->launch[out->launches++].kernel = b->kernel;
  return b->kernel != NULL;
}

static size_t up_to(int64_t count, size_t multiple) { return ((size_t)count + multiple - 1) / multiple * multiple; }

static cal_status finish(binder *b, cal_prepared *out, cl_uint axes, size_t gx, size_t gy, size_t gz, size_t lx, size_t ly,
                         cal_error *err) {
  cal_launch *launch = &out->launch[out->launches - 1];
  launch->axes = axes;
  launch->global[0] = gx, launch->global[1] = gy, launch->global[2] = gz;
  launch->local[0] = lx, launch->local[1] = ly, launch->local[2] = 1;
  return b->code ? cal_opencl_fail(err, b->code, "argument %u", b->next - 1) : CAL_OK;
}

/* ---- chains -------------------------------------------------------------------------------------------------------- */

typedef enum { NOT_WALKED, IN_STEP, ANYHOW } walk; /* a scalar; element i is at i; by strides */

static walk walk_of(cal_shape space, const cal_place *place) {
  bool repeated = true;
  for (int i = 0; i < space.rank; i++) repeated = repeated && (space.dim[i] == 1 || place->stride[i] == 0);
  return repeated ? NOT_WALKED : cal_strides_are_dense(space, place->stride) ? IN_STEP : ANYHOW;
}

static void add_index(cal_buffer *text, cal_shape space, const cal_place *place, char letter, int number) {
  walk w = walk_of(space, place);
  if (w == NOT_WALKED) cal_buffer_add_text(text, "0");
  else if (w == IN_STEP) cal_buffer_add_text(text, "i");
  else
    for (int axis = 0; axis < space.rank; axis++)
      cal_buffer_printf(text, "%s(long)x%d * %c%d_%d", axis ? " + " : "", axis, letter, number, axis);
}

static void add_parameters(cal_buffer *text, cal_shape space, const cal_place *place, char letter, int number) {
  cal_buffer_printf(text, ", global char *%c%d, ulong %c%d_at", letter, number, letter, number);
  if (walk_of(space, place) == ANYHOW)
    for (int axis = 0; axis < space.rank; axis++) cal_buffer_printf(text, ", int %c%d_%d", letter, number, axis);
}

/* The text depends on what is computed, on dtypes, and on which operands are walked in step: not on sizes, not on numbers. So
 * chains that compute the same share a program. */
static char *chain_text(const cal_chain *c, cal_error *err) {
  cal_buffer t = {0};
  bool strided = false;
  cal_buffer_add_text(&t, "kernel void chain(long count");
  for (int axis = 1; axis < c->space.rank; axis++) cal_buffer_printf(&t, ", int n%d", axis);
  for (int i = 0; i < c->inputs; i++)
    add_parameters(&t, c->space, &c->input[i], 'p', i), strided = strided || walk_of(c->space, &c->input[i]) == ANYHOW;
  for (int i = 0; i < c->outputs; i++)
    add_parameters(&t, c->space, &c->output[i], 'q', i), strided = strided || walk_of(c->space, &c->output[i]) == ANYHOW;
  for (int i = 0; i < c->length; i++)
    if (!c->program[i].row || c->program[i].row->uses_k) cal_buffer_printf(&t, ", float k%d", i);
  cal_buffer_add_text(&t, ") {\n  long i = (long)get_global_id(0);\n  if (i >= count) return;\n");
  if (strided) {
    cal_buffer_add_text(&t, "  long rest = i;\n");
    for (int axis = c->space.rank - 1; axis > 0; axis--)
      cal_buffer_printf(&t, "  int x%d = (int)(rest %% n%d);\n  rest /= n%d;\n", axis, axis, axis);
    cal_buffer_add_text(&t, "  int x0 = (int)rest;\n");
  }
  for (int i = 0; i < c->inputs; i++) {
    bool copied = false; /* as it is into an output of the same dtype: then its bits travel too */
    for (int j = 0; j < c->outputs; j++) copied = copied || (c->result[j] == i && c->output[j].dtype == c->input[i].dtype);
    if (copied) {
      cal_buffer_printf(&t, "  const TYPE(%s) bits%d = AT(%s, p%d, p%d_at)[", cal_dtype_name(c->input[i].dtype), i,
                        cal_dtype_name(c->input[i].dtype), i, i);
      add_index(&t, c->space, &c->input[i], 'p', i);
      cal_buffer_add_text(&t, "];\n");
    }
    cal_buffer_printf(&t, "  const float r%d = LOAD(%s, AT(%s, p%d, p%d_at), ", i, cal_dtype_name(c->input[i].dtype),
                      cal_dtype_name(c->input[i].dtype), i, i);
    add_index(&t, c->space, &c->input[i], 'p', i);
    cal_buffer_add_text(&t, ");\n");
  }
  for (int i = 0; i < c->length; i++) {
    const cal_instruction *in = &c->program[i];
    if (!in->row) {
      cal_buffer_printf(&t, "  const float r%d = k%d;\n", c->inputs + i, i);
      continue;
    }
    cal_buffer_printf(&t, "  float r%d;\n  {\n", c->inputs + i);
    for (int j = 0; in->row->inputs[j] && in->row->inputs[j] != 'k'; j++)
      cal_buffer_printf(&t, "    const float %c = r%d;\n", in->row->inputs[j], in->operand[j]);
    if (in->row->uses_k) cal_buffer_printf(&t, "    const float k = k%d;\n", i);
    cal_buffer_printf(&t, "    r%d = %s;\n  }\n", c->inputs + i, in->row->text);
  }
  for (int i = 0; i < c->outputs; i++) {
    const char *type = cal_dtype_name(c->output[i].dtype);
    int from = c->result[i];
    if (from < c->inputs && c->input[from].dtype == c->output[i].dtype) { /* a copy keeps every bit */
      cal_buffer_printf(&t, "  AT(%s, q%d, q%d_at)[", type, i, i);
      add_index(&t, c->space, &c->output[i], 'q', i);
      cal_buffer_printf(&t, "] = bits%d;\n", from);
    } else {
      cal_buffer_printf(&t, "  STORE(%s, AT(%s, q%d, q%d_at), ", type, type, i, i);
      add_index(&t, c->space, &c->output[i], 'q', i);
      cal_buffer_printf(&t, ", r%d);\n", from);
    }
  }
  cal_buffer_add_text(&t, "}\n");
  if (!t.failed) return cal_buffer_take(&t);
  cal_buffer_free(&t);
  cal_fail(err, CAL_E_MEMORY, "no memory for the text of a kernel");
  return NULL;
}

static void bind_walk(binder *b, cal_shape space, const cal_place *place) {
  bind_place(b, place);
  for (int axis = 0; axis < space.rank && walk_of(space, place) == ANYHOW; axis++) bind_int(b, place->stride[axis]);
}

static cal_status prepare_chain(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  const cal_chain *c = step->chain;
  char options[200];
  size_t size = 0;
  const char *common = site->context->find ? site->context->find("runtime/core/cl/kernels/common.cl", &size) : NULL;
  if (!common) return cal_fail(err, CAL_E_NOTFOUND, "kernels/common.cl is not in this program");
  char *text = chain_text(c, err);
  if (!text) return CAL_E_MEMORY;
  cal_buffer source = {0};
  cal_buffer_add(&source, common, size);
  cal_buffer_add_text(&source, text);
  cal_free(text);
  binder b = {.site = site};
  cl_program program = NULL;
  if (source.failed) cal_fail(err, CAL_E_MEMORY, "no memory for the text of a kernel");
  else program = cal_program_build(site->context, "a chain", source.data, options_of(site->context, options, ""), err);
  cal_buffer_free(&source);
  b.kernel = program ? cal_kernel_new(site->context, program, "chain", err) : NULL;
  if (!b.kernel) return err ? err->code : CAL_E_DEVICE;
  out->launch[out->launches++].kernel = b.kernel;
  cl_long count = cal_shape_count(c->space);
  bind(&b, &count, sizeof count);
  for (int axis = 1; axis < c->space.rank; axis++) bind_int(&b, c->space.dim[axis]);
  for (int i = 0; i < c->inputs; i++) bind_walk(&b, c->space, &c->input[i]);
  for (int i = 0; i < c->outputs; i++) bind_walk(&b, c->space, &c->output[i]);
  for (int i = 0; i < c->length; i++)
    if (!c->program[i].row || c->program[i].row->uses_k) bind_float(&b, c->program[i].k);
  return finish(&b, out, 1, up_to(count, 64), 1, 1, 64, 1, err);
}

/* ---- products and convolutions ------------------------------------------------------------------------------------- */

static cal_status prepare_matmul(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  cal_product p;
  binder b;
  char options[200];
  cal_product_of(step, &p);
  options_of(site->context, options, "ABC", step->input[0].dtype, step->input[1].dtype, step->output[0].dtype);
  if (!start(&b, site, "matmul", "matmul", options, out, err)) return err ? err->code : CAL_E_DEVICE;
  bind_place(&b, &step->input[0]);
  bind_place(&b, &step->input[1]);
  bind_place(&b, &step->output[0]);
  const int64_t numbers[] = {p.M, p.N, p.K, p.a_row, p.a_column, p.b_row, p.b_column, p.c_row, p.c_column};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) bind_int(&b, numbers[i]);
  cl_int2 lead = {{(cl_int)p.lead[1], (cl_int)p.lead[2]}};
  bind(&b, &lead, sizeof lead);
  bind_int4(&b, p.a_lead[0], p.a_lead[1], p.a_lead[2], 0);
  bind_int4(&b, p.b_lead[0], p.b_lead[1], p.b_lead[2], 0);
  bind_int4(&b, p.c_lead[0], p.c_lead[1], p.c_lead[2], 0);
  return finish(&b, out, 3, up_to(p.N, 64) / 4, up_to(p.M, 64) / 4, (size_t)(p.lead[0] * p.lead[1] * p.lead[2]), 16, 16, err);
}

static cal_status prepare_conv(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  const bool dx = cal_step_is(step, "conv2d_dx"), dw = cal_step_is(step, "conv2d_dw");
  cal_convolution c;
  binder b;
  char options[200];
  cal_convolution_of(step, &c);
  const int64_t *x = c.x->shape.dim, *w = c.w->shape.dim, *y = c.y->shape.dim;
  options_of(site->context, options, "ABC", step->input[0].dtype, step->input[1].dtype, step->output[0].dtype);
  if (!start(&b, site, "conv", dx ? "conv_data" : dw ? "conv_weights" : "conv_forward", options, out, err))
    return err ? err->code : CAL_E_DEVICE;
  bind_place(&b, &step->input[0]);
  bind_place(&b, &step->input[1]);
  bind_place(&b, &step->output[0]);
  bind_int4(&b, x[0], x[1], x[2], x[3]);
  bind_int4(&b, w[0], y[1], y[2], c.conv.stride);
  bind_int4(&b, w[1], w[2], c.conv.pad_top, c.conv.pad_left);
  int64_t rows = dx ? x[0] * x[1] * x[2] : dw ? w[0] : y[0] * y[1] * y[2], columns = dx ? x[3] : dw ? w[1] * w[2] * w[3] : w[0];
  return finish(&b, out, 2, up_to(columns, 64) / 4, up_to(rows, 64) / 4, 1, 16, 16, err);
}

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

static void free_chunk(void *chunk) { cal_chunk_free(chunk); }

static void bind_reduction(binder *b, const cal_reduction *r) {
  bind_five(b, r->kept_size, r->kept, 1);
  bind_five(b, r->kept_stride, r->kept, 0);
  bind_five(b, r->reduced_size, r->reduced, 1);
  bind_five(b, r->reduced_stride, r->reduced, 0);
  bind_int(b, r->terms);
}

enum { PART = 1 << 14, MOST_PARTS = 256 };

static cal_status prepare_sum(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  cal_reduction r;
  binder b;
  char options[200];
  cal_reduction_of(step, &r);
  options_of(site->context, options, "ABC", step->input[0].dtype, step->input[0].dtype, step->output[0].dtype);
  int64_t parts = r.terms / PART < MOST_PARTS ? r.terms / PART : MOST_PARTS;
  if (parts < 2 || r.results > 256) {
    if (!start(&b, site, "reduce", "sum", options, out, err)) return err ? err->code : CAL_E_DEVICE;
    bind_place(&b, &step->input[0]);
    bind_place(&b, &step->output[0]);
    bind_reduction(&b, &r);
    return finish(&b, out, 1, (size_t)r.results * 64, 1, 1, 64, 1, err);
  }
  cal_chunk *partial = cal_chunk_new(site->context, (size_t)(parts * r.results) * 4, "partial sums", err);
  if (!partial) return CAL_E_MEMORY;
  out->state = partial;
  out->free_state = free_chunk;
  if (!start(&b, site, "reduce", "sum_part", options, out, err)) return err ? err->code : CAL_E_DEVICE;
  bind_place(&b, &step->input[0]);
  bind(&b, &partial->memory, sizeof(cl_mem));
  bind_reduction(&b, &r);
  bind_int(&b, parts);
  if (finish(&b, out, 1, (size_t)(r.results * parts) * 64, 1, 1, 64, 1, err)) return CAL_E_DEVICE;
  if (!start(&b, site, "reduce", "sum_rest", options, out, err)) return err ? err->code : CAL_E_DEVICE;
  bind(&b, &partial->memory, sizeof(cl_mem));
  bind_place(&b, &step->output[0]);
  bind_int(&b, parts);
  return finish(&b, out, 1, (size_t)r.results * 64, 1, 1, 64, 1, err);
}

static cal_status prepare_softmax(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  const bool dx = step->inputs == 2;
  const cal_shape s = step->output[0].shape;
  int64_t width = s.rank ? s.dim[s.rank - 1] : 1;
  binder b;
  char options[200];
  options_of(site->context, options, "ABC", step->input[0].dtype, step->input[step->inputs - 1].dtype, step->output[0].dtype);
  if (!start(&b, site, "reduce", dx ? "softmax_dx" : "softmax", options, out, err)) return err ? err->code : CAL_E_DEVICE;
  for (int i = 0; i < step->inputs; i++) bind_place(&b, &step->input[i]);
  bind_place(&b, &step->output[0]);
  bind_int(&b, width);
  return finish(&b, out, 1, (size_t)(cal_shape_count(s) / width) * 64, 1, 1, 64, 1, err);
}

static cal_status prepare_norm(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  const bool forward = cal_step_is(step, "norm"), dx = cal_step_is(step, "norm_dx");
  const cal_place *x = &step->input[0], *d = forward ? x : &step->input[2];
  const cal_place *gamma = forward ? &step->input[step->inputs > 1] : &step->input[step->inputs > 3 ? 3 : 0],
                  *beta = &step->input[step->inputs > 2 ? 2 : 0];
  const int64_t B = x->shape.dim[0], C = x->shape.dim[x->shape.rank - 1], P = cal_place_count(x) / B / C, groups = step->attr.i[0];
  const int flags = forward ? (step->inputs > 1) | (step->inputs > 2) << 1 : step->inputs > 3;
  const size_t local = site->context->largest_group >= 256 ? 256 : 64;
  binder b;
  char options[200];
  options_of(site->context, options, "XDGHY", x->dtype, d->dtype, gamma->dtype, beta->dtype, step->output[0].dtype);
  if (local == 256) strcat(options, " -DGROUP=256");
  if (!start(&b, site, "norm", step->op->name, options, out, err)) return err ? err->code : CAL_E_DEVICE;
  bind_place(&b, x);
  if (forward) {
    bind_place(&b, gamma);
    bind_place(&b, beta);
    bind_place(&b, &step->output[0]);
    bind_place(&b, &step->output[1]);
  } else {
    bind_place(&b, &step->input[1]);
    bind_place(&b, d);
    if (dx) bind_place(&b, gamma);
    bind_place(&b, &step->output[0]);
  }
  if (!forward && !dx) bind_int(&b, B);
  bind_int(&b, P);
  bind_int(&b, C);
  bind_int(&b, groups);
  if (forward) bind_float(&b, step->attr.r[0]);
  if (forward || dx) bind_int(&b, flags);
  if (forward || dx) return finish(&b, out, 1, (size_t)(B * groups) * local, 1, 1, local, 1, err);
  return finish(&b, out, 2, up_to(C, 16), 16, 1, 16, 16, err);
}

static cal_status prepare_embedding(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  const bool forward = cal_step_is(step, "embedding");
  const cal_place *table = forward ? &step->input[0] : &step->output[0], *ids = &step->input[forward ? 1 : 0];
  const int64_t V = table->shape.dim[0], D = table->shape.dim[1], count = cal_place_count(ids);
  binder b;
  char options[200];
  options_of(site->context, options, "AC", step->input[forward ? 0 : 1].dtype, step->output[0].dtype);
  if (!start(&b, site, "embedding", step->op->name, options, out, err)) return err ? err->code : CAL_E_DEVICE;
  bind_place(&b, &step->input[0]);
  bind_place(&b, &step->input[1]);
  bind_place(&b, &step->output[0]);
  bind_int(&b, V);
  bind_int(&b, D);
  bind_int(&b, count);
  return forward ? finish(&b, out, 1, up_to(count * D, 64), 1, 1, 64, 1, err) : finish(&b, out, 2, up_to(D, 64), (size_t)V, 1, 64, 1, err);
}

static void bind_strides(binder *b, const cal_place *p) { bind_int4(b, p->stride[0], p->stride[1], p->stride[2], p->stride[3]); }

static void bind_attention(binder *b, const cal_step *step) {
  const int64_t *q = step->input[0].shape.dim, *v = step->input[2].shape.dim;
  cl_int2 more = {{(cl_int)v[3], (cl_int)step->attr.i[0]}};
  for (int i = 0; i < step->inputs; i++)
    if (i != 4) bind_strides(b, &step->input[i]); /* the logarithms are dense */
  bind_int4(b, q[1], v[1], q[2], q[3]);
  bind(b, &more, sizeof more);
  bind_float(b, step->attr.r[0]);
}

static cal_status prepare_attention(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  const bool forward = cal_step_is(step, "attention");
  const cal_place *in = step->input, *o = step->output;
  const int64_t *q = in[0].shape.dim, *k = in[1].shape.dim;
  binder b;
  char options[200];
  options_of(site->context, options, "QKVOLDXYZ", in[0].dtype, in[1].dtype, in[2].dtype, in[forward ? 0 : 3].dtype,
             forward ? CAL_F32 : in[4].dtype, in[forward ? 0 : 5].dtype, o[0].dtype, o[forward ? 0 : 1].dtype, o[forward ? 0 : 2].dtype);
  for (int pass = 0; pass < (forward ? 1 : 2); pass++) {
    const char *kernel = forward ? "attention" : pass == 0 ? "attention_dq" : "attention_dkv";
    if (!start(&b, site, "attention", kernel, options, out, err)) return err ? err->code : CAL_E_DEVICE;
    for (int i = 0; i < step->inputs; i++) bind_place(&b, &in[i]);
    if (forward) bind_place(&b, &o[0]), bind_place(&b, &o[1]);
    bind_attention(&b, step);
    if (!forward && pass == 0) bind_place(&b, &o[0]);
    if (!forward && pass == 1) bind_place(&b, &o[1]), bind_place(&b, &o[2]);
    const size_t rows = (size_t)(q[0] * q[2] * (pass ? k[1] : q[1]));
    if (finish(&b, out, 1, rows * 64, 1, 1, 64, 1, err)) return CAL_E_DEVICE;
  }
  return CAL_OK;
}

/* ---- the table ------------------------------------------------------------------------------------------------------ */

typedef cal_status (*preparer)(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err);
static const struct {
  const char *op;
  preparer prepare;
} kernels[] = {
    {"matmul", prepare_matmul},
    {"conv2d", prepare_conv},
    {"conv2d_dx", prepare_conv},
    {"conv2d_dw", prepare_conv},
    {"sum", prepare_sum},
    {"softmax", prepare_softmax},
    {"softmax_dx", prepare_softmax},
    {"norm", prepare_norm},
    {"norm_dx", prepare_norm},
    {"norm_dgamma", prepare_norm},
    {"embedding", prepare_embedding},
    {"embedding_dtable", prepare_embedding},
    {"attention", prepare_attention},
    {"attention_dqkv", prepare_attention},
};

static preparer preparer_of(const cal_step *step) {
  if (step->kind == CAL_STEP_CHAIN) return prepare_chain;
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
    if (cal_step_is(step, kernels[i].op)) return kernels[i].prepare;
  return NULL;
}

static bool takes(const cal_site *site, const cal_step *step) {
  (void)site;
  return preparer_of(step) != NULL;
}

static cal_status prepare(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  return preparer_of(step)(site, step, out, err);
}

const cal_candidate cal_portable_candidate = {"portable", takes, prepare};
