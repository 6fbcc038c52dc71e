#include "core/cl/native/vector.h"

#include <math.h>
#include <string.h>

/* In front of a loop: operands are apart or the same, element by element. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed" /* rows that call libm cannot become vectors */
#define CAL_NO_ALIAS _Pragma("clang loop vectorize(assume_safety)")
#else
#define CAL_NO_ALIAS _Pragma("GCC ivdep")
#endif

#define FN(name) name##_plain
#define NAME "plain"
#define WIDTH 4
#include "core/cl/native/vector.inc"
#undef FN
#undef NAME
#undef WIDTH

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define LEVELS 3

#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi2")
#define FN(name) name##_avx2
#define NAME "avx2"
#define WIDTH 8
#include "core/cl/native/vector.inc"
#undef FN
#undef NAME
#undef WIDTH
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma,bmi2,prefer-vector-width=512")
#define FN(name) name##_avx512
#define NAME "avx512"
#define WIDTH 16
#include "core/cl/native/vector.inc"
#undef FN
#undef NAME
#pragma GCC pop_options

#include <immintrin.h>
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,bmi2,prefer-vector-width=512")
static inline __attribute__((always_inline)) __m512bh both(const float *a) {
  int pair;
  memcpy(&pair, a, sizeof pair);
  return (__m512bh)_mm512_set1_epi32(pair);
}
#define FN(name) name##_pairs
#define MULTIPLY(sum, b, a) ((v_pairs)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)(b), both(a)))
#include "core/cl/native/block.inc"
#undef FN
#undef MULTIPLY
#undef WIDTH

static void round_pairs(float *out, const float *first, const float *second, int n) {
  CAL_NO_ALIAS for (int i = 0; i < n; i++) {
    const uint32_t a = bits_avx512(first[i]), b = bits_avx512(second[i]);
    out[i] = from_bits_avx512((a + 0x7fff + (a >> 16 & 1)) >> 16 | ((b + 0x7fff + (b >> 16 & 1)) & 0xffff0000u));
  }
}
static void join_pairs(float *out, const uint16_t *first, const uint16_t *second, int n) {
  CAL_NO_ALIAS for (int i = 0; i < n; i++) out[i] = from_bits_avx512(first[i] | (uint32_t)second[i] << 16);
}
#pragma GCC pop_options

const cal_vector *cal_vector_of(int level) {
  if (level == 0) return &vector_plain;
  if (level == 1 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &vector_avx2;
  if (level == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return &vector_avx512;
  return NULL;
}

const cal_vector_pairs *cal_vector_pairs_best(void) {
  static const cal_vector_pairs pairs = {block_pairs, round_pairs, join_pairs};
  return cal_vector_of(2) && __builtin_cpu_supports("avx512bf16") ? &pairs : NULL;
}

#else
#define LEVELS 1

const cal_vector *cal_vector_of(int level) { return level == 0 ? &vector_plain : NULL; }
const cal_vector_pairs *cal_vector_pairs_best(void) { return NULL; }

#endif

const cal_vector *cal_vector_best(void) {
  for (int level = LEVELS - 1; level > 0; level--) {
    const cal_vector *v = cal_vector_of(level);
    if (v) return v;
  }
  return cal_vector_of(0);
}

#define ROW(name, inputs, domain, expression) {inputs, #expression},
#define STEP ROW
#define GRADIENT(name, of, inputs, expression) {inputs, #expression},
static const struct {
  const char *inputs, *text;
} rows[] = {
#include "core/graph/ops/elementwise.def"
};

int cal_vector_row_find(const char *inputs, const char *text) {
  for (int i = 0; i < (int)(sizeof rows / sizeof *rows); i++)
    if (strcmp(rows[i].text, text) == 0 && strcmp(rows[i].inputs, inputs) == 0) return i;
  return -1;
}
