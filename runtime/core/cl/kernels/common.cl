/* common.cl - in front of every kernel: storage types, and the tile that products and convolutions share.
 *
 * A tensor comes as (buffer, ulong byte offset); sizes and strides are ints in elements. Storage is chosen at compile time with
 * -DT_A=f32 -DT_B=bf16 (and so on): A and B are then names of storage, arithmetic is always float. OpenCL C 1.2 and nothing more. */
#pragma OPENCL FP_CONTRACT ON

typedef float type_f32;
typedef ushort type_f16;
typedef ushort type_bf16;
typedef int type_i32;

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define T_f32 f32
#define T_f16 f16
#define T_bf16 bf16
#define T_i32 i32
#define TYPE(T) JOIN(type_, JOIN(T_, T))
#define AT(T, base, offset) ((global TYPE(T) *)((global char *)(base) + (offset)))
#define LOAD(T, p, i) JOIN(load_, JOIN(T_, T))(p, i)
#define STORE(T, p, i, v) JOIN(store_, JOIN(T_, T))(p, i, v)

static inline float load_f32(global const float *p, size_t i) { return p[i]; }
static inline void store_f32(global float *p, size_t i, float v) { p[i] = v; }

static inline float load_i32(global const int *p, size_t i) { return (float)p[i]; }
static inline void store_i32(global int *p, size_t i, float v) { p[i] = (int)v; }

static inline float load_bf16(global const ushort *p, size_t i) { return as_float((uint)p[i] << 16); }
static inline void store_bf16(global ushort *p, size_t i, float v) {
  uint u = as_uint(v);
  p[i] = (u & 0x7fffffffu) > 0x7f800000u ? (ushort)((u >> 16) | 0x40) : (ushort)((u + 0x7fffu + ((u >> 16) & 1)) >> 16);
}

#ifdef HALF_BY_BITS /* a driver whose vload_half or vstore_half is wrong */
static inline float load_f16(global const ushort *p, size_t i) {
  uint h = p[i], sign = (h & 0x8000u) << 16, exponent = (h >> 10) & 31, fraction = h & 1023;
  if (exponent == 31) return as_float(sign | 0x7f800000u | (fraction << 13));
  if (exponent == 0) return as_float(sign | as_uint((float)fraction * 5.9604644775390625e-8f));
  return as_float(sign | ((exponent + 112) << 23) | (fraction << 13));
}
static inline void store_f16(global ushort *p, size_t i, float v) {
  uint u = as_uint(v), sign = (u >> 16) & 0x8000u, m = u & 0x7fffffffu;
  uint h;
  if (m > 0x7f800000u) h = 0x7e00;
  else if (m >= 0x477ff000u) h = 0x7c00;
  else if (m < 0x38800000u) h = (uint)rint(as_float(m) * 16777216.0f);
  else h = (m + 0xfffu + ((m >> 13) & 1) - 0x38000000u) >> 13;
  p[i] = (ushort)(sign | h);
}
#else
static inline float load_f16(global const ushort *p, size_t i) { return vload_half(i, (global const half *)p); }
static inline void store_f16(global ushort *p, size_t i, float v) { vstore_half_rte(v, i, (global half *)p); }
#endif

/* ---- what elementwise rows are written in -------------------------------------------------------------------------- */

#define REAL(x) ((float)(x))
#define EXP(x) exp(x)
#define LOG(x) log(x)
#define SQRT(x) sqrt(x)
#define RSQRT(x) (1.0f / sqrt(x))
#define SIN(x) sin(x)
#define COS(x) cos(x)
#define TANH(x) tanh(x)
#define ERF(x) erf(x)
#define FABS(x) fabs(x)
#define FMAX(x, y) fmax(x, y)
#define FMIN(x, y) fmin(x, y)
#define POW(x, y) pow(x, y)
#define SELECT(condition, yes, no) ((condition) ? (yes) : (no))

/* ---- over the work-items of a group, always in the same order -------------------------------------------------------- */

#ifndef GROUP
#define GROUP 64
#endif

static inline float group_sum(float v, local float *scratch) {
  int i = (int)get_local_id(0);
  barrier(CLK_LOCAL_MEM_FENCE);
  scratch[i] = v;
  for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (i < half_size) scratch[i] += scratch[i + half_size];
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  return scratch[0];
}

static inline float group_max(float v, local float *scratch) {
  int i = (int)get_local_id(0);
  barrier(CLK_LOCAL_MEM_FENCE);
  scratch[i] = v;
  for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (i < half_size) scratch[i] = fmax(scratch[i], scratch[i + half_size]);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  return scratch[0];
}

/* ---- the tile: 64 x 64 results by 16 x 16 work-items of 4 x 4 each, 16 steps of the inner size at a time ------------- */

enum { TILE = 64, STEP = 16, SIDE = 16 };

/* LOAD_A(m, k), LOAD_B(k, n) are only asked inside the sizes; STORE_C(m, n, v) too. A_ALONG_K: neighbours in k are neighbours
 * in memory, so neighbouring work-items take neighbouring k; likewise B_ALONG_N. */
#define TILED_PRODUCT(M, N, K, LOAD_A, A_ALONG_K, LOAD_B, B_ALONG_N, STORE_C)                                  \
  local float tile_a[STEP][TILE + 1], tile_b[STEP][TILE + 1];                                                  \
  int lx = (int)get_local_id(0), ly = (int)get_local_id(1), item = ly * SIDE + lx;                             \
  int m0 = (int)get_group_id(1) * TILE, n0 = (int)get_group_id(0) * TILE;                                      \
  float sum[4][4];                                                                                             \
  for (int i = 0; i < 4; i++)                                                                                  \
    for (int j = 0; j < 4; j++) sum[i][j] = 0;                                                                 \
  for (int k0 = 0; k0 < (K); k0 += STEP) {                                                                     \
    for (int r = 0; r < 4; r++) {                                                                              \
      int e = item + r * SIDE * SIDE;                                                                          \
      int am = (A_ALONG_K) ? e / STEP : e % TILE, ak = (A_ALONG_K) ? e % STEP : e / TILE;                      \
      int bn = (B_ALONG_N) ? e % TILE : e / STEP, bk = (B_ALONG_N) ? e / TILE : e % STEP;                      \
      int m = m0 + am, n = n0 + bn, ka = k0 + ak, kb = k0 + bk;                                                \
      tile_a[ak][am] = m < (M) && ka < (K) ? LOAD_A(m, ka) : 0.0f;                                             \
      tile_b[bk][bn] = n < (N) && kb < (K) ? LOAD_B(kb, n) : 0.0f;                                             \
    }                                                                                                          \
    barrier(CLK_LOCAL_MEM_FENCE);                                                                              \
    for (int k = 0; k < STEP; k++) {                                                                           \
      float a[4], b[4];                                                                                        \
      for (int i = 0; i < 4; i++) a[i] = tile_a[k][ly + i * SIDE], b[i] = tile_b[k][lx + i * SIDE];            \
      for (int i = 0; i < 4; i++)                                                                              \
        for (int j = 0; j < 4; j++) sum[i][j] = fma(a[i], b[j], sum[i][j]);                                    \
    }                                                                                                          \
    barrier(CLK_LOCAL_MEM_FENCE);                                                                              \
  }                                                                                                            \
  for (int i = 0; i < 4; i++)                                                                                  \
    for (int j = 0; j < 4; j++) {                                                                              \
      int m = m0 + ly + i * SIDE, n = n0 + lx + j * SIDE;                                                      \
      if (m < (M) && n < (N)) STORE_C(m, n, sum[i][j]);                                                        \
    }
