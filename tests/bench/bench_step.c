/* bench_step.c - one training step of a small UNet-like network: the whole, and where the time goes.
 *
 *   make build/release/tests/bench_step && build/release/tests/bench_step [batch] [width] [side] [candidate]
 *
 * Two levels of two residual blocks with an attention, skips, every parameter trained. First the plan as it runs, then once more
 * with a wait after each step, added up by op. Run it on a quiet machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/embedded.h"
#include "core/base/clock.h"
#include "core/cl/plan.h"
#include "core/cl/program.h"

enum { MOST = 256 };
static cal_value parameters[MOST], weights_of_loss[MOST];
static int parameter_count;

static cal_value parameter(cal_graph *g, int rank, int64_t a, int64_t b, int64_t c, int64_t d) {
  char name[16];
  snprintf(name, sizeof name, "p%d", parameter_count);
  return parameters[parameter_count++] = cal_graph_state(g, name, CAL_F32, cal_shape_of(rank, (int64_t[]){a, b, c, d}), CAL_PARAMETERS);
}

static cal_value conv(cal_graph *g, cal_value x, int64_t out, int stride) {
  const cal_shape s = cal_graph_shape(g, x);
  return cal_add(g, cal_conv2d(g, x, parameter(g, 4, out, 3, 3, s.dim[3]), (cal_conv){stride, 1, 1, 1, 1}), parameter(g, 1, out, 0, 0, 0));
}

static cal_value norm(cal_graph *g, cal_value x) {
  const int64_t C = cal_graph_shape(g, x).dim[3];
  return cal_norm(g, x, 8, 1e-5, parameter(g, 1, C, 0, 0, 0), parameter(g, 1, C, 0, 0, 0));
}

static cal_value resnet(cal_graph *g, cal_value x, int64_t out) {
  cal_value h = conv(g, cal_elementwise(g, "silu", norm(g, x), 0, 0, 0), out, 1);
  h = conv(g, cal_elementwise(g, "silu", norm(g, h), 0, 0, 0), out, 1);
  const int64_t in = cal_graph_shape(g, x).dim[3];
  return cal_add(g, h, in == out ? x : cal_linear(g, x, parameter(g, 2, out, in, 0, 0), 0));
}

static cal_value attend(cal_graph *g, cal_value x) {
  const cal_shape s = cal_graph_shape(g, x);
  const int64_t C = s.dim[3], T = s.dim[1] * s.dim[2], heads = C / 16;
  cal_value t = cal_reshape(g, norm(g, x), cal_shape_of(3, (int64_t[]){s.dim[0], T, C})), qkv[3];
  for (int i = 0; i < 3; i++)
    qkv[i] = cal_reshape(g, cal_linear(g, t, parameter(g, 2, C, C, 0, 0), 0), cal_shape_of(4, (int64_t[]){s.dim[0], T, heads, 16}));
  cal_value o = cal_reshape(g, cal_attention(g, qkv[0], qkv[1], qkv[2], 0.25, false), cal_shape_of(3, (int64_t[]){s.dim[0], T, C}));
  return cal_add(g, x, cal_reshape(g, cal_linear(g, o, parameter(g, 2, C, C, 0, 0), parameter(g, 1, C, 0, 0, 0)), s));
}

int main(int count, char **args) {
  const int64_t B = count > 1 ? atoi(args[1]) : 8, W = count > 2 ? atoi(args[2]) : 64, side = count > 3 ? atoi(args[3]) : 16;
  cal_error err = {0};
  cal_context *c = cal_context_open(&(cal_context_options){.find = cal_embedded_find}, &err);
  if (!c) return fprintf(stderr, "%s\n", err.text), 1;
  cal_graph *g = cal_graph_new();
  cal_value x = cal_graph_input(g, "x", CAL_F32, cal_shape_of(4, (int64_t[]){B, side, side, 4}));
  cal_value target = cal_graph_input(g, "target", CAL_F32, cal_shape_of(4, (int64_t[]){B, side, side, 4}));
  cal_value a = resnet(g, resnet(g, conv(g, x, W, 1), W), W);
  cal_value b = attend(g, resnet(g, attend(g, resnet(g, conv(g, a, W, 2), 2 * W)), 2 * W));
  cal_value up = conv(g, cal_upsample(g, b), 2 * W, 1);
  cal_value y = resnet(g, resnet(g, cal_concat(g, (cal_value[]){up, a}, 2, 3), W), W);
  y = conv(g, cal_elementwise(g, "silu", norm(g, y), 0, 0, 0), 4, 1);
  cal_value loss = cal_mean(g, cal_square(g, cal_sub(g, y, target)));
  cal_graph_differentiate(g, loss, parameters, parameter_count, weights_of_loss);
  for (int i = 0; i < parameter_count; i++)
    cal_graph_store(g, CAL_ACCUMULATE, cal_graph_mirror(g, parameters[i], CAL_GRADIENTS), weights_of_loss[i], true);
  cal_graph_output(g, CAL_ACCUMULATE, loss);
  double start = cal_clock();
  cal_schedule *s = cal_schedule_new(g, &(cal_schedule_options){.largest_chunk = (int64_t)c->largest_buffer}, &err);
  const double scheduled = cal_clock() - start;
  for (int wait = 0; wait < 2; wait++) {
    start = cal_clock();
    cal_plan_options options = {.candidate = count > 4 ? args[4] : NULL, .or_portable = true, .wait_each = wait};
    cal_plan *p = s ? cal_plan_new(c, s, &options, &err) : NULL;
    if (!p) return fprintf(stderr, "%s\n", err.text), 1;
    const double planned = cal_clock() - start;
    /* Norms of zeros are harmless; products do not care what they multiply. */
    double best = 1e9, first = 0;
    for (int i = 0; i < 6; i++) {
      start = cal_clock();
      if (cal_plan_run(p, CAL_ACCUMULATE, &err) || cal_plan_finish(p, &err)) return fprintf(stderr, "%s\n", err.text), 1;
      const double t = cal_clock() - start;
      if (i == 0) first = t;
      best = t < best ? t : best;
    }
    cal_plan_size size = cal_plan_sizes(p);
    const cal_schedule_segment *segment = &s->segment[CAL_ACCUMULATE];
    if (!wait) {
      cal_program_counts programs = cal_program_count(c);
      printf("%s: batch %lld, width %lld, side %lld: %lld parameters, %d steps in %d calls, arena %.1f MiB\n", c->name, (long long)B,
             (long long)W, (long long)side, (long long)cal_graph_flat_size(g), size.steps[CAL_ACCUMULATE], size.enqueues[CAL_ACCUMULATE],
             (double)size.arena / (1 << 20));
      printf("schedule %.0f ms, plan %.0f ms (%d programs), first step %.0f ms, best %.1f ms\n", scheduled * 1e3, planned * 1e3,
             programs.built, first * 1e3, best * 1e3);
    } else {
      const char *names[MOST];
      double times[MOST] = {0};
      int counts[MOST] = {0}, kinds = 0;
      for (int i = 0; i < segment->steps; i++) {
        const char *name = segment->step[i].kind == CAL_STEP_NODE ? segment->step[i].op->name : "elementwise";
        int k = 0;
        while (k < kinds && strcmp(names[k], name) != 0) k++;
        if (k == kinds) names[kinds++] = name;
        times[k] += cal_plan_seconds(p, CAL_ACCUMULATE, i);
        counts[k]++;
      }
      for (int k = 0; k < kinds; k++) printf("  %-16s %4d  %8.2f ms\n", names[k], counts[k], times[k] * 1e3);
    }
    cal_plan_free(p);
  }
  cal_schedule_free(s);
  cal_graph_free(g);
  cal_context_close(c);
  return 0;
}
