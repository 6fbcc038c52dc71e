/* interpret.h - a schedule run on the host, step by step, with nothing but the reference loops: the proof that the passes are
 * right, and what a device's results are compared with when a whole plan is in doubt.
 *
 *   cal_error err = {0};
 *   cal_graph *g = cal_graph_new();
 *   cal_value x = cal_graph_input(g, "x", CAL_F32, cal_shape_of(1, (int64_t[]){2}));
 *   cal_value y = cal_square(g, x);
 *   cal_graph_output(g, CAL_SAMPLE, y);
 *   cal_schedule *s = cal_schedule_new(g, NULL, &err);
 *   cal_interpreter *run = s ? cal_interpreter_new(s, &err) : NULL;
 *   if (run && !cal_interpreter_write(run, x, (float[]){3, 4}, 8, &err) && !cal_interpreter_run(run, CAL_SAMPLE, &err))
 *     printf("%g\n", ((const float *)cal_interpreter_at(run, y))[1]);  // 16
 *   cal_interpreter_free(run);
 *   cal_schedule_free(s);
 *   cal_graph_free(g);
 *
 * uses: base
 */
#ifndef CAL_GRAPH_INTERPRET_H
#define CAL_GRAPH_INTERPRET_H

#include "core/graph/schedule.h"

typedef struct cal_interpreter cal_interpreter;

/* Memory as the schedule says; the arena full of NaN, states zero. The schedule must outlive it. */
cal_interpreter *cal_interpreter_new(const cal_schedule *s, cal_error *err);
void cal_interpreter_free(cal_interpreter *run);

/* The bytes of an input, weight, constant, state or output, dense; NULL: it has no place. */
void *cal_interpreter_at(const cal_interpreter *run, cal_value v);
cal_status cal_interpreter_write(cal_interpreter *run, cal_value v, const void *bytes, size_t size, cal_error *err);
cal_status cal_interpreter_run(cal_interpreter *run, cal_segment segment, cal_error *err);

/* One chain on the host: operands are found with `base`, which gives the first byte of a place's buffer. Works in blocks. */
void cal_chain_run(const cal_chain *chain, unsigned char *(*base)(const void *context, const cal_place *p), const void *context);

#endif
