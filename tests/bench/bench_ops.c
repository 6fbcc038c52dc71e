/* bench_ops.c - what single ops reach on this device, by candidate: GFLOP/s of products and convolutions, GB/s of the rest.
 *
 *   make build/release/tests/bench_ops && build/release/tests/bench_ops [candidate] [f32|f16|bf16]
 *
 * The shapes are those of SD1.5 at 512 pixels. Best of several runs of a plan with one op; run it on a quiet machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/embedded.h"
#include "core/base/clock.h"
#include "core/cl/plan.h"

#define IN(...) input(g, dtype, cal_shape_of((int)(sizeof((int64_t[]){__VA_ARGS__}) / 8), (int64_t[]){__VA_ARGS__}))
static cal_value input(cal_graph *g, cal_dtype dtype, cal_shape shape) {
  char name[16];
  snprintf(name, sizeof name, "x%d", cal_graph_value_count(g));
  return cal_graph_input(g, name, dtype, shape);
}
static const cal_conv same = {1, 1, 1, 1, 1};

static cal_value linear_320(cal_graph *g, cal_dtype dtype) { return cal_linear(g, IN(4096, 320), IN(320, 320), 0); }
static cal_value linear_1280(cal_graph *g, cal_dtype dtype) { return cal_linear(g, IN(1024, 1280), IN(1280, 1280), 0); }
static cal_value lora_down(cal_graph *g, cal_dtype dtype) { return cal_linear(g, IN(4096, 320), IN(16, 320), 0); }
static cal_value lora_da(cal_graph *g, cal_dtype dtype) { return cal_matmul(g, IN(4096, 16), IN(4096, 320), CAL_TRANSPOSE_A); }
static cal_value scores(cal_graph *g, cal_dtype dtype) {
  cal_value q = cal_permute(g, IN(1, 1024, 8, 80), (int[]){0, 2, 1, 3}), k = cal_permute(g, IN(1, 1024, 8, 80), (int[]){0, 2, 1, 3});
  return cal_matmul(g, q, k, CAL_TRANSPOSE_B);
}
static cal_value conv_320(cal_graph *g, cal_dtype dtype) { return cal_conv2d(g, IN(1, 64, 64, 320), IN(320, 3, 3, 320), same); }
static cal_value conv_1280(cal_graph *g, cal_dtype dtype) { return cal_conv2d(g, IN(1, 8, 8, 1280), IN(1280, 3, 3, 1280), same); }
static cal_value conv_gradient(cal_graph *g, cal_dtype dtype, int which) {
  cal_value x = IN(1, 32, 32, 320), w = IN(320, 3, 3, 320), d[2];
  cal_value both[2] = {x, w};
  cal_graph_differentiate(g, cal_mean(g, cal_square(g, cal_conv2d(g, x, w, same))), both, 2, d);
  return d[which];
}
static cal_value conv_dx(cal_graph *g, cal_dtype dtype) { return conv_gradient(g, dtype, 0); }
static cal_value conv_dw(cal_graph *g, cal_dtype dtype) { return conv_gradient(g, dtype, 1); }
static cal_value group_norm(cal_graph *g, cal_dtype dtype) { return cal_norm(g, IN(1, 64, 64, 320), 32, 1e-5, IN(320), IN(320)); }
static cal_value layer_norm(cal_graph *g, cal_dtype dtype) { return cal_norm(g, IN(4096, 320), 1, 1e-5, IN(320), IN(320)); }
static cal_value softmax(cal_graph *g, cal_dtype dtype) { return cal_softmax(g, IN(8, 1024, 1024)); }
static cal_value silu(cal_graph *g, cal_dtype dtype) { return cal_elementwise(g, "silu", IN(4096, 320), 0, 0, 0); }
static cal_value add_bias(cal_graph *g, cal_dtype dtype) { return cal_add(g, IN(4096, 320), IN(320)); }
static cal_value transpose(cal_graph *g, cal_dtype dtype) {
  return cal_reshape(g, cal_permute(g, IN(4096, 8, 40), (int[]){1, 0, 2}), cal_shape_of(1, (int64_t[]){-1}));
}
static cal_value bias_gradient(cal_graph *g, cal_dtype dtype) { return cal_sum(g, IN(4096, 320), 1); }

static const struct {
  const char *name;
  cal_value (*build)(cal_graph *g, cal_dtype dtype);
} ops[] = {{"linear 4096x320x320", linear_320},
           {"linear 1024x1280x1280", linear_1280},
           {"LoRA down 4096x320x16", lora_down},
           {"LoRA dA 16x4096x320", lora_da},
           {"scores 8 x 1024x1024x80", scores},
           {"conv 64x64x320", conv_320},
           {"conv 8x8x1280", conv_1280},
           {"conv dx 32x32x320", conv_dx},
           {"conv dw 32x32x320", conv_dw},
           {"group norm 4096x320", group_norm},
           {"layer norm 4096x320", layer_norm},
           {"softmax 8192x1024", softmax},
           {"silu 4096x320", silu},
           {"add bias 4096x320", add_bias},
           {"heads to front 4096x8x40", transpose},
           {"sum of rows 4096x320", bias_gradient}};

int main(int count, char **args) {
  const char *candidate = count > 1 && strcmp(args[1], "best") != 0 ? args[1] : NULL;
  cal_dtype dtype = count > 2 && !strcmp(args[2], "f16") ? CAL_F16 : count > 2 && !strcmp(args[2], "bf16") ? CAL_BF16 : CAL_F32;
  cal_error err = {0};
  cal_context *c = cal_context_open(&(cal_context_options){.find = cal_embedded_find}, &err);
  if (!c) return fprintf(stderr, "%s\n", err.text), 1;
  printf("%s, %s\n", c->name, cal_dtype_name(dtype));
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
    cal_graph *g = cal_graph_new();
    cal_value y = ops[i].build(g, dtype);
    cal_graph_output(g, CAL_SAMPLE, y);
    cal_schedule *s = cal_schedule_new(g, &(cal_schedule_options){.largest_chunk = (int64_t)c->largest_buffer}, &err);
    cal_plan *p = s ? cal_plan_new(c, s, &(cal_plan_options){.candidate = candidate, .or_portable = true, .wait_each = true}, &err) : NULL;
    if (!p) {
      printf("%-26s %s\n", ops[i].name, err.text);
      return 1;
    }
    /* The last step is the op; what is before it belongs to building a gradient. */
    cal_cost cost = {0};
    const cal_value_info *made = cal_graph_info(g, y);
    const cal_node *node = made->source == CAL_COMPUTED ? cal_graph_node(g, made->node) : NULL;
    while (node && node->op->view) {
      const cal_value_info *from = cal_graph_info(g, node->input[0]);
      node = from->source == CAL_COMPUTED ? cal_graph_node(g, from->node) : NULL;
    }
    if (node && node->op->cost) cost = node->op->cost(g, node);
    double best = 1e9, begin = cal_clock();
    for (int run = 0; run < 3 || (cal_clock() - begin < 0.3 && run < 200); run++) {
      double start = cal_clock();
      if (cal_plan_run(p, CAL_SAMPLE, &err) || cal_plan_finish(p, &err)) return fprintf(stderr, "%s\n", err.text), 1;
      best = cal_clock() - start < best ? cal_clock() - start : best;
    }
    const int last = s->segment[CAL_SAMPLE].steps - 1;
    printf("%-26s %-9s %9.0f us  %7.1f GFLOP/s  %6.1f GB/s  (%d steps)\n", ops[i].name, cal_plan_choice(p, CAL_SAMPLE, last), best * 1e6,
           cost.flops / best / 1e9, cost.bytes / best / 1e9, last + 1);
    cal_plan_free(p);
    cal_schedule_free(s);
    cal_graph_free(g);
  }
  cal_context_close(c);
  return 0;
}
