#include "core/graph/interpret.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/graph/reference.h"
#include "core/graph/strides.h"

struct cal_interpreter {
  const cal_schedule *s;
  unsigned char **arena, **weights, **states, *inputs, *groups[CAL_GROUPS];
};

static unsigned char **new_chunks(int count, const int64_t *sizes, int fill, cal_error *err) {
  unsigned char **chunks = cal_alloc_zero((size_t)count + 1, sizeof *chunks, err);
  for (int i = 0; chunks && i < count; i++) {
    chunks[i] = cal_alloc((size_t)sizes[i], err);
    if (!chunks[i]) break;
    memset(chunks[i], fill, (size_t)sizes[i]);
  }
  return chunks;
}

static void free_chunks(unsigned char **chunks, int count) {
  for (int i = 0; chunks && i < count; i++) cal_free(chunks[i]);
  cal_free(chunks);
}

cal_interpreter *cal_interpreter_new(const cal_schedule *s, cal_error *err) {
  cal_error local = {0};
  if (!err) err = &local;
  cal_interpreter *run = cal_alloc_zero(1, sizeof *run, err);
  if (!run) return NULL;
  run->s = s;
  run->arena = new_chunks(s->arena_chunks, s->arena_chunk, 0xff, err); /* NaN in every float dtype */
  run->weights = new_chunks(s->weight_chunks, s->weight_chunk, 0, err);
  run->states = new_chunks(s->state_chunks, s->state_chunk, 0, err);
  run->inputs = cal_alloc_zero((size_t)s->inputs_size, 1, err);
  for (int i = CAL_PARAMETERS; i < CAL_GROUPS; i++) run->groups[i] = cal_alloc_zero((size_t)s->flat_size, 4, err);
  if (err->code) cal_interpreter_free(run), run = NULL;
  return run;
}

void cal_interpreter_free(cal_interpreter *run) {
  if (!run) return;
  free_chunks(run->arena, run->s->arena_chunks);
  free_chunks(run->weights, run->s->weight_chunks);
  free_chunks(run->states, run->s->state_chunks);
  cal_free(run->inputs);
  for (int i = 0; i < CAL_GROUPS; i++) cal_free(run->groups[i]);
  cal_free(run);
}

static unsigned char *base_of(const void *context, const cal_place *p) {
  const cal_interpreter *run = context;
  switch (p->storage) {
    case CAL_IN_ARENA: return run->arena[p->chunk];
    case CAL_IN_INPUTS: return run->inputs;
    case CAL_IN_CONSTANTS: return run->s->constants;
    case CAL_IN_WEIGHTS: return run->weights[p->chunk];
    case CAL_IN_STATES: return p->group ? run->groups[p->group] : run->states[p->chunk];
    default: return NULL;
  }
}

void *cal_interpreter_at(const cal_interpreter *run, cal_value v) {
  const cal_place *p = cal_schedule_place(run->s, v);
  return p ? base_of(run, p) + p->offset : NULL;
}

cal_status cal_interpreter_write(cal_interpreter *run, cal_value v, const void *bytes, size_t size, cal_error *err) {
  const cal_place *p = cal_schedule_place(run->s, v);
  if (!p) return CAL_OK; /* nobody reads it */
  size_t own = (size_t)cal_shape_count(p->shape) * cal_dtype_size(p->dtype);
  if (size != own) return cal_fail(err, CAL_E_ARG, "interpreter: %zu bytes for a value of %zu", size, own);
  memcpy(base_of(run, p) + p->offset, bytes, size);
  return CAL_OK;
}

/* ---- chains ----------------------------------------------------------------------------------------------------------- */

/* Elements at a time: registers stay in the first cache. */
enum { BLOCK = 256 };

static float load_one(cal_dtype dtype, const unsigned char *p) {
  uint16_t half;
  int32_t whole;
  float number;
  switch (dtype) {
    case CAL_F32: return memcpy(&number, p, 4), number;
    case CAL_F16: return memcpy(&half, p, 2), cal_f16_to_float(half);
    case CAL_BF16: return memcpy(&half, p, 2), cal_bf16_to_float(half);
    default: return memcpy(&whole, p, 4), (float)whole;
  }
}

static void store_one(cal_dtype dtype, unsigned char *p, float number) {
  uint16_t half = dtype == CAL_F16 ? cal_f16_of(number) : cal_bf16_of(number);
  int32_t whole = dtype == CAL_I32 ? (int32_t)number : 0;
  if (dtype == CAL_F32) memcpy(p, &number, 4);
  else if (dtype == CAL_I32) memcpy(p, &whole, 4);
  else memcpy(p, &half, 2);
}

static void run_instruction(const cal_chain *chain, int i, float (*reg)[BLOCK], int64_t n) {
  const cal_instruction *in = &chain->program[i];
  float *to = reg[chain->inputs + i];
  if (!in->row) {
    for (int64_t e = 0; e < n; e++) to[e] = in->k;
    return;
  }
  const float *letter[5];
  for (int l = 0; l < 5; l++) letter[l] = to; /* letters the row does not have: any number */
  for (int l = 0; in->row->inputs[l] && in->row->inputs[l] != 'k'; l++)
    letter[strchr("abcyd", in->row->inputs[l]) - "abcyd"] = reg[in->operand[l]];
  memset(to, 0, (size_t)n * sizeof *to);
  for (int64_t e = 0; e < n; e++) to[e] = in->row->in_float(letter[0][e], letter[1][e], letter[2][e], letter[3][e], letter[4][e], in->k);
}

void cal_chain_run(const cal_chain *chain, unsigned char *(*base)(const void *context, const cal_place *p), const void *context) {
  float reg[CAL_CHAIN_INPUTS + CAL_CHAIN_LENGTH][BLOCK];
  const cal_shape s = chain->space;
  const int64_t row = s.rank ? s.dim[s.rank - 1] : 1, rows = cal_shape_count(s) / row;
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t from = 0; from < row; from += BLOCK) {
      const int64_t n = row - from < BLOCK ? row - from : BLOCK;
      unsigned char *out[CAL_CHAIN_OUTPUTS];
      for (int i = 0; i < chain->inputs + chain->outputs; i++) {
        const cal_place *p = i < chain->inputs ? &chain->input[i] : &chain->output[i - chain->inputs];
        const int64_t step = s.rank ? p->stride[s.rank - 1] : 0, size = (int64_t)cal_dtype_size(p->dtype);
        int64_t at = from * step, rest = r;
        for (int axis = s.rank - 1; axis-- > 0; rest /= s.dim[axis]) at += rest % s.dim[axis] * p->stride[axis];
        unsigned char *bytes = base(context, p) + p->offset + at * size;
        if (i >= chain->inputs) out[i - chain->inputs] = bytes;
        else
          for (int64_t e = 0; e < n; e++) reg[i][e] = load_one(p->dtype, bytes + e * step * size);
      }
      for (int i = 0; i < chain->length; i++) run_instruction(chain, i, reg, n);
      for (int i = 0; i < chain->outputs; i++) {
        const cal_place *p = &chain->output[i];
        const int64_t step = (s.rank ? p->stride[s.rank - 1] : 0) * (int64_t)cal_dtype_size(p->dtype);
        for (int64_t e = 0; e < n; e++) store_one(p->dtype, out[i] + e * step, reg[chain->result[i]][e]);
      }
    }
  }
}

/* ---- nodes ------------------------------------------------------------------------------------------------------------ */

/* A dense f32 (or i32) copy of an operand. */
static void *gather(const cal_interpreter *run, const cal_place *p, cal_error *err) {
  int64_t n = cal_shape_count(p->shape), dense[CAL_DIMS], index[CAL_DIMS] = {0}, at = 0;
  void *out = cal_alloc((size_t)n * 4, err);
  if (!out) return NULL;
  const unsigned char *from = base_of(run, p) + p->offset;
  if (p->dtype == CAL_I32 || p->dtype == CAL_F32) {
    cal_strides_dense(p->shape, dense);
    cal_strided_copy(p->shape, out, dense, from, p->stride, 4);
    return out;
  }
  for (int64_t i = 0; i < n; i++) {
    ((float *)out)[i] = load_one(p->dtype, from + at * 2);
    for (int axis = p->shape.rank; axis-- > 0;) {
      bool carry = ++index[axis] == p->shape.dim[axis];
      if (carry) index[axis] = 0;
      at += carry ? -p->stride[axis] * (p->shape.dim[axis] - 1) : p->stride[axis];
      if (!carry) break;
    }
  }
  return out;
}

static cal_status run_node(cal_interpreter *run, const cal_step *step, cal_error *err) {
  cal_node node = {.op = step->op, .inputs = step->inputs, .outputs = step->outputs, .attr = step->attr, .path = step->path};
  cal_reference_call call = {.node = &node, .real_size = 4};
  void *in[CAL_MOST_INPUTS] = {0}, *out[CAL_MOST_OUTPUTS] = {0};
  for (int i = 0; i < step->inputs && !err->code; i++) {
    call.input_shape[i] = step->input[i].shape;
    call.input_dtype[i] = step->input[i].dtype;
    call.input[i] = in[i] = gather(run, &step->input[i], err);
  }
  for (int i = 0; i < step->outputs && !err->code; i++) {
    call.output_shape[i] = step->output[i].shape;
    call.output[i] = out[i] = cal_alloc((size_t)cal_shape_count(step->output[i].shape) * 4, err);
  }
  if (!err->code) {
    step->op->in_float(&call);
    for (int i = 0; i < step->outputs; i++) {
      const cal_place *p = &step->output[i];
      unsigned char *to = base_of(run, p) + p->offset;
      for (int64_t e = 0; e < cal_shape_count(p->shape); e++)
        store_one(p->dtype, to + e * (int64_t)cal_dtype_size(p->dtype), ((float *)out[i])[e]);
    }
  }
  for (int i = 0; i < CAL_MOST_INPUTS; i++) cal_free(in[i]);
  for (int i = 0; i < CAL_MOST_OUTPUTS; i++) cal_free(out[i]);
  return err->code ? cal_error_context(err, "%s", step->path) : CAL_OK;
}

cal_status cal_interpreter_run(cal_interpreter *run, cal_segment segment, cal_error *err) {
  cal_error local = {0};
  if (!err) err = &local;
  const cal_schedule_segment *seg = &run->s->segment[segment];
  for (int t = 0; t < seg->steps; t++) {
    if (seg->step[t].kind == CAL_STEP_CHAIN) cal_chain_run(seg->step[t].chain, base_of, run);
    else if (run_node(run, &seg->step[t], err)) return err->code;
  }
  return CAL_OK;
}
