/* print.c - a schedule for people. */
#include <inttypes.h>

#include "core/graph/schedule.h"

static void print_place(const cal_place *p, cal_buffer *out) {
  static const char *const storages[] = {"nothing", "arena", "inputs", "constants", "weights", "states"};
  static const char *const groups[] = {"states", "parameters", "gradients", "moment_1", "moment_2", "average"};
  char text[CAL_SHAPE_TEXT];
  cal_buffer_printf(out, "%s %s %s", cal_dtype_name(p->dtype), cal_shape_text(p->shape, text),
                    p->group ? groups[p->group] : storages[p->storage]);
  cal_buffer_printf(out, " %d:%" PRId64, p->chunk, p->offset);
  int64_t dense = 1;
  bool strided = false;
  for (int axis = p->shape.rank; axis-- > 0; dense *= p->shape.dim[axis])
    strided = strided || (p->shape.dim[axis] != 1 && p->stride[axis] != dense);
  for (int axis = 0; strided && axis < p->shape.rank; axis++) cal_buffer_printf(out, "%s%" PRId64, axis ? "," : " by ", p->stride[axis]);
}

static const char *row_name(const cal_row *row) {
  for (int i = 0; cal_ops[i]; i++)
    if (cal_ops[i]->row == row) return cal_ops[i]->name;
  return "?";
}

static void print_step(const cal_step *step, cal_buffer *out) {
  const cal_chain *chain = step->chain;
  if (!chain) cal_buffer_add_text(out, step->op->name);
  else if (!chain->length) cal_buffer_add_text(out, "copy");
  for (int i = 0; chain && i < chain->length; i++) {
    const cal_instruction *in = &chain->program[i];
    if (i) cal_buffer_add_byte(out, ' ');
    if (in->row) cal_buffer_add_text(out, row_name(in->row));
    else cal_buffer_printf(out, "%g", (double)in->k);
  }
  cal_buffer_printf(out, "  %s", step->path);
  int inputs = chain ? chain->inputs : step->inputs, outputs = chain ? chain->outputs : step->outputs;
  for (int i = 0; i < inputs + outputs; i++) {
    cal_buffer_add_text(out, i < inputs ? "\n      < " : "\n      > ");
    print_place(i < inputs ? (chain ? &chain->input[i] : &step->input[i])
                : chain    ? &chain->output[i - inputs]
                           : &step->output[i - inputs],
                out);
  }
  cal_buffer_add_byte(out, '\n');
}

void cal_schedule_print(const cal_schedule *s, cal_buffer *out) {
  static const char *const segments[] = {"accumulate", "apply", "sample"};
  int64_t arena = 0, weights = 0, states = 0;
  for (int i = 0; i < s->arena_chunks; i++) arena += s->arena_chunk[i];
  for (int i = 0; i < s->weight_chunks; i++) weights += s->weight_chunk[i];
  for (int i = 0; i < s->state_chunks; i++) states += s->state_chunk[i];
  cal_buffer_printf(out, "arena %" PRId64 " bytes in %d chunks, at least %" PRId64 " needed; weights %" PRId64 "; states %" PRId64, arena,
                    s->arena_chunks, s->arena_needed, weights, states);
  cal_buffer_printf(out, "; inputs %" PRId64 "; constants %" PRId64 "; %" PRId64 " parameters\n", s->inputs_size, s->constants_size,
                    s->flat_size);
  for (int k = 0; k < CAL_SEGMENTS; k++) {
    const cal_schedule_segment *seg = &s->segment[k];
    if (seg->steps) cal_buffer_printf(out, "%s: %d steps\n", segments[k], seg->steps);
    for (int t = 0; t < seg->steps; t++) {
      cal_buffer_printf(out, "%4d  ", t);
      print_step(&seg->step[t], out);
    }
  }
}
