/* bench_threads.c - do PoCL's workers, OpenMP's and ours stay out of each other's way?
 *
 *   make build/release/tests/bench_threads && build/release/tests/bench_threads [pairs]
 *
 * 1,000 nodes of each kind alone, then alternating in one queue, best of five rounds. The alternating run may take 10 % longer
 * than the two alone. Run it on a quiet machine; the numbers go to docs/SPEED.md. */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/thread.h"
#include "core/cl/context.h"
#include "core/cl/native/onednn.h"
#include "core/cl/program.h"

/* Small enough that both fit into the caches: with a million floats the caches, not the threads, would be measured. */
enum { SIDE = 256, COUNT = 1 << 16, TIMES = 16, PARTS = 64 };

typedef struct {
  cal_onednn *product;
  float *a, *b, *c;
} node;

static void CL_CALLBACK run_product(void *args) {
  node *n = *(node **)args;
  cal_onednn_run(n->product, n->a, n->b, n->c);
}

static void part(void *context, size_t index) {
  node *n = context;
  for (int times = 0; times < TIMES; times++)
    for (size_t i = index * (COUNT / PARTS); i < (index + 1) * (COUNT / PARTS); i++) n->c[i] = n->c[i] * 0.5f + n->a[i] * n->b[i];
}

static void CL_CALLBACK run_ours(void *args) { cal_parallel_short(PARTS, part, *(node **)args); }

static double time_of(cal_context *c, cl_kernel kernel, void(CL_CALLBACK *native)(void *), node *n, int pairs) {
  size_t global = COUNT / 16, local = 64;
  double start = cal_clock();
  for (int i = 0; i < pairs; i++) {
    if (native) cl.EnqueueNativeKernel(c->queue, native, &n, sizeof n, 0, NULL, NULL, 0, NULL, NULL);
    if (kernel) cl.EnqueueNDRangeKernel(c->queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL);
  }
  cl.Finish(c->queue);
  return cal_clock() - start;
}

int main(int count, char **args) {
  int pairs = count > 1 ? atoi(args[1]) : 1000;
  cal_error err = {0};
  cal_context *c = cal_context_open(&(cal_context_options){.wish = "cpu", .cache = ""}, &err);
  if (!c) return fprintf(stderr, "%s\n", err.text), 1;
  cl_program program = cal_program_build(c, "bench",
                                         "kernel void go(global const float *a, global float *b) {\n"
                                         "  size_t i = get_global_id(0) * 16;\n"
                                         "  for (int times = 0; times < 16; times++)\n"
                                         "    for (int j = 0; j < 16; j++) b[i + j] = b[i + j] * 0.5f + a[i + j];\n"
                                         "}\n",
                                         "", &err);
  cl_kernel kernel = program ? cal_kernel_new(c, program, "go", &err) : NULL;
  cal_chunk *x = cal_chunk_new(c, COUNT * 4, "x", &err), *y = cal_chunk_new(c, COUNT * 4, "y", &err);
  cal_onednn_tensor t = {CAL_F32, 2, {SIDE, SIDE}, {SIDE, 1}};
  node n = {cal_onednn_matmul(&t, &t, &t, &err), calloc(COUNT, 4), calloc(COUNT, 4), calloc(COUNT, 4)};
  if (!kernel || !x || !y || !n.product || !n.a || !n.b || !n.c) return fprintf(stderr, "%s\n", err.text), 1;
  cl.SetKernelArg(kernel, 0, sizeof(cl_mem), &x->memory);
  cl.SetKernelArg(kernel, 1, sizeof(cl_mem), &y->memory);
  struct {
    const char *name;
    void(CL_CALLBACK *run)(void *);
  } natives[] = {{"oneDNN 256^3", run_product}, {"our pool, 1M steps", run_ours}};
  for (int k = 0; k < 2; k++) {
    double best[3] = {1e9, 1e9, 1e9};
    for (int round = 0; round < 6; round++) {
      double seen[3] = {time_of(c, NULL, natives[k].run, &n, pairs), time_of(c, kernel, NULL, &n, pairs),
                        time_of(c, kernel, natives[k].run, &n, pairs)};
      for (int i = 0; i < 3 && round; i++) best[i] = seen[i] < best[i] ? seen[i] : best[i]; /* round 0 warms up */
    }
    printf("%-20s native %.0f us, PoCL %.0f us, alternating %.0f us a pair: %+.1f %%\n", natives[k].name, best[0] / pairs * 1e6,
           best[1] / pairs * 1e6, best[2] / pairs * 1e6, 100 * (best[2] / (best[0] + best[1]) - 1));
  }
  cal_onednn_free(n.product);
  free(n.a), free(n.b), free(n.c);
  cal_chunk_free(x), cal_chunk_free(y);
  cl.ReleaseKernel(kernel);
  cal_context_close(c);
  return 0;
}
