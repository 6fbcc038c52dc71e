/* plan.h - a schedule on a device: memory taken, every step prepared, arguments bound; then it runs, any number of times.
 *
 *   cal_error err = {0};
 *   cal_context *c = cal_context_open(&(cal_context_options){0}, &err);
 *   cal_graph *g = cal_graph_new();
 *   cal_value x = cal_graph_input(g, "x", CAL_F32, cal_shape_of(1, (int64_t[]){2})), y = cal_square(g, x);
 *   cal_graph_output(g, CAL_SAMPLE, y);
 *   cal_schedule *s = cal_schedule_new(g, &(cal_schedule_options){.largest_chunk = (int64_t)(c ? c->largest_buffer : 0)}, &err);
 *   cal_plan *p = c && s ? cal_plan_new(c, s, NULL, &err) : NULL;
 *   float in[2] = {3, 4}, out[2];
 *   if (p && !cal_plan_write(p, x, in, sizeof in, &err) && !cal_plan_run(p, CAL_SAMPLE, &err)) cal_plan_read(p, y, out, sizeof out, &err);
 *   cal_plan_free(p);
 *   cal_schedule_free(s);
 *   cal_graph_free(g);
 *   cal_context_close(c);
 *
 * Bytes are in the value's dtype, dense. Running returns as soon as the work is enqueued; reading waits for it. The schedule
 * and the context must outlive the plan. One thread at a time.
 * uses: base graph
 */
#ifndef CAL_CL_PLAN_H
#define CAL_CL_PLAN_H

#include "core/cl/candidates.h"

typedef struct cal_plan cal_plan;

typedef struct {
  const char *candidate; /* only this one ("portable", "native", "few", "onednn", "clblast"); NULL: the first that takes a step */
  bool or_portable;      /* with `candidate`: the portable kernel where it does not take a step, instead of a refusal */
  bool wait_each;        /* wait after each step: a failure names the step it belongs to, and each step is timed */
  bool hasty;            /* the first Ctrl-C leaves a segment half-way, not the second: what is asked for again loses little */
  /* Weights, states and groups are those of this plan (of the same context), not copies: one set of weights for several
   * resolutions, batches, and for sampling between steps. Both graphs must declare them alike and in the same order; groups
   * that only one of them uses are fine. Each plan may be freed first. */
  cal_plan *like;
} cal_plan_options;

/* NULL on failure: CAL_E_MEMORY or CAL_E_LIMIT with what is needed and what there is, CAL_E_DEVICE with the node's path,
 * CAL_E_ARG when `like` has other weights or states. */
cal_plan *cal_plan_new(cal_context *c, const cal_schedule *s, const cal_plan_options *options, cal_error *err);
void cal_plan_free(cal_plan *p);

/* An input (staged: all inputs travel in one piece when a segment is run), a weight, a state. */
cal_status cal_plan_write(cal_plan *p, cal_value v, const void *bytes, size_t size, cal_error *err);

/* A part of a weight or state, so that files can be streamed: `at` counts bytes. */
cal_status cal_plan_write_part(cal_plan *p, cal_value v, size_t at, const void *bytes, size_t size, cal_error *err);

/* Enqueue a segment. CAL_E_INTERRUPT on the second Ctrl-C (on the first where the plan is hasty): the segment was left half-way, its
 * results mean nothing. */
cal_status cal_plan_run(cal_plan *p, cal_segment segment, cal_error *err);

/* What a segment has made, a state, a weight, an input. Waits for all that was enqueued; tells of what failed on the way. */
cal_status cal_plan_read(cal_plan *p, cal_value v, void *bytes, size_t size, cal_error *err);

/* The same without waiting: `bytes` are there, and must stay where they are, until cal_plan_fetched says true or cal_plan_finish
 * has returned. At most 16 at a time; the 17th waits for the first. */
cal_status cal_plan_fetch(cal_plan *p, cal_value v, void *bytes, size_t size, cal_error *err);
bool cal_plan_fetched(cal_plan *p);
cal_status cal_plan_finish(cal_plan *p, cal_error *err);

/* Elements of a group's flat buffer (f32). */
cal_status cal_plan_read_group(cal_plan *p, cal_group group, int64_t from, int64_t count, float *out, cal_error *err);
cal_status cal_plan_write_group(cal_plan *p, cal_group group, int64_t from, int64_t count, const float *in, cal_error *err);

typedef struct {
  int64_t arena, weights, states, inputs, constants; /* bytes on the device */
  int64_t scratch;                                   /* bytes that steps of a CPU device work in, one after the other */
  int steps[CAL_SEGMENTS], enqueues[CAL_SEGMENTS];   /* steps, and calls of the driver they take */
} cal_plan_size;
cal_plan_size cal_plan_sizes(const cal_plan *p);

/* The same before there is a plan and anything is taken: without scratch, steps and enqueues, which the candidates decide. */
cal_plan_size cal_plan_sizes_of(const cal_schedule *s);

/* The candidate that a step got, by number: for tests, tuning and the report. */
const char *cal_plan_choice(const cal_plan *p, cal_segment segment, int step);

/* With wait_each: the seconds that a step took in the last run, waiting included. Else 0. */
double cal_plan_seconds(const cal_plan *p, cal_segment segment, int step);

#endif
