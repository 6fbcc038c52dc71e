/* attention.cl - softmax(q k' scale + mask) v, and its three gradients, without keeping scores. q, k, v, o, d come with the strides
 * of B, tokens and heads (int4: B, tokens, heads, elements); results are dense. 64 keys (or queries) at a time have their
 * probabilities in local memory; each work-item then adds up one element of the result, and larger heads are gone through again.
 * -DT_Q= -DT_K= -DT_V= -DT_O= -DT_L= -DT_D= and -DT_X= -DT_Y= -DT_Z= name the storage of q, k, v, o, lse, d and the results. */

#define EACH_64(from, end) for (int from = 0; from < (end); from += GROUP)

static inline int at4(int4 stride, int b, int t, int h) { return b * stride.x + t * stride.y + h * stride.z; }

/* sizes: Tq, Tk, H, D; more: E, causal */
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void attention(
    global const char *q_base, ulong q_at, global const char *k_base, ulong k_at, global const char *v_base, ulong v_at, global char *y_base,
    ulong y_at, global char *l_base, ulong l_at, int4 q_stride, int4 k_stride, int4 v_stride, int4 sizes, int2 more, float scale) {
  local float scratch[GROUP], p[GROUP];
  const int Tq = sizes.x, Tk = sizes.y, H = sizes.z, D = sizes.w, E = more.x, i = (int)get_local_id(0);
  const int row = (int)get_group_id(0), t = row % Tq, h = row / Tq % H, b = row / Tq / H, seen = more.y ? t + Tk - Tq + 1 : Tk;
  global const TYPE(Q) *q = AT(Q, q_base, q_at) + at4(q_stride, b, t, h);
  global const TYPE(K) *k = AT(K, k_base, k_at);
  global const TYPE(V) *v = AT(V, v_base, v_at);
  float top = -INFINITY, sum = 0;
  EACH_64(from, seen) { /* the largest score, then the sum as it is with that one */
    float s = -INFINITY;
    if (from + i < seen) {
      const int at = at4(k_stride, b, from + i, h);
      s = 0;
      for (int c = 0; c < D; c++) s = fma(LOAD(Q, q, (size_t)(c * q_stride.w)), LOAD(K, k, (size_t)(at + c * k_stride.w)), s);
      s *= scale;
    }
    const float now = fmax(top, group_max(s, scratch));
    sum = sum * exp(top - now) + group_sum(from + i < seen ? exp(s - now) : 0.0f, scratch);
    top = now;
  }
  const float lse = top + log(fmax(sum, 1.0f)); /* the largest score alone gives 1 */
  EACH_64(e0, E) {
    float y = 0;
    EACH_64(from, seen) {
      float s = 0;
      const int at = at4(k_stride, b, min(from + i, seen - 1), h);
      for (int c = 0; c < D; c++) s = fma(LOAD(Q, q, (size_t)(c * q_stride.w)), LOAD(K, k, (size_t)(at + c * k_stride.w)), s);
      barrier(CLK_LOCAL_MEM_FENCE);
      p[i] = exp(s * scale - lse);
      barrier(CLK_LOCAL_MEM_FENCE);
      for (int j = 0; j < GROUP && from + j < seen && e0 + i < E; j++)
        y = fma(p[j], LOAD(V, v, (size_t)(at4(v_stride, b, from + j, h) + (e0 + i) * v_stride.w)), y);
    }
    if (e0 + i < E) STORE(X, AT(X, y_base, y_at), (size_t)((b * Tq + t) * H + h) * E + e0 + i, y);
  }
  if (i == 0) AT(f32, l_base, l_at)[row] = lse;
}

/* For one query and one key: the probability, and ds = p (d v' - rowsum(d o)) scale. */
static inline float2 pair(global const TYPE(Q) *q, int q_step, global const TYPE(K) *k, int k_step, global const TYPE(V) *v, int v_step,
                   global const TYPE(D) *d, int d_step, int D, int E, float scale, float lse, float inner) {
  float s = 0, dp = 0;
  for (int c = 0; c < D; c++) s = fma(LOAD(Q, q, (size_t)(c * q_step)), LOAD(K, k, (size_t)(c * k_step)), s);
  for (int e = 0; e < E; e++) dp = fma(LOAD(D, d, (size_t)(e * d_step)), LOAD(V, v, (size_t)(e * v_step)), dp);
  const float p = exp(s * scale - lse);
  return (float2)(p, p * (dp - inner) * scale);
}

static inline float inner_of(global const TYPE(D) *d, int d_step, global const TYPE(O) *o, int o_step, int E) {
  float sum = 0;
  for (int e = 0; e < E; e++) sum = fma(LOAD(D, d, (size_t)(e * d_step)), LOAD(O, o, (size_t)(e * o_step)), sum);
  return sum;
}

#define BACKWARD_ARGUMENTS                                                                                                              \
  global const char *q_base, ulong q_at, global const char *k_base, ulong k_at, global const char *v_base, ulong v_at,                  \
      global const char *o_base, ulong o_at, global const char *l_base, ulong l_at, global const char *d_base, ulong d_at,              \
      int4 q_stride, int4 k_stride, int4 v_stride, int4 o_stride, int4 d_stride, int4 sizes, int2 more, float scale
#define BACKWARD_START                                                                                                                  \
  const int Tq = sizes.x, Tk = sizes.y, H = sizes.z, D = sizes.w, E = more.x, i = (int)get_local_id(0);                                 \
  global const TYPE(Q) *q = AT(Q, q_base, q_at);                                                                                        \
  global const TYPE(K) *k = AT(K, k_base, k_at);                                                                                        \
  global const TYPE(V) *v = AT(V, v_base, v_at);                                                                                        \
  global const TYPE(O) *o = AT(O, o_base, o_at);                                                                                        \
  global const TYPE(L) *lse = AT(L, l_base, l_at);                                                                                      \
  global const TYPE(D) *d = AT(D, d_base, d_at)

kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void attention_dq(BACKWARD_ARGUMENTS, global char *x_base, ulong x_at) {
  local float ds[GROUP];
  BACKWARD_START;
  const int row = (int)get_group_id(0), t = row % Tq, h = row / Tq % H, b = row / Tq / H, seen = more.y ? t + Tk - Tq + 1 : Tk;
  global const TYPE(D) *my_d = d + at4(d_stride, b, t, h);
  const float inner = inner_of(my_d, d_stride.w, o + at4(o_stride, b, t, h), o_stride.w, E);
  EACH_64(c0, D) {
    float sum = 0;
    EACH_64(from, seen) {
      const int j = min(from + i, seen - 1);
      barrier(CLK_LOCAL_MEM_FENCE);
      ds[i] = pair(q + at4(q_stride, b, t, h), q_stride.w, k + at4(k_stride, b, j, h), k_stride.w, v + at4(v_stride, b, j, h), v_stride.w, my_d,
                   d_stride.w, D, E, scale, LOAD(L, lse, (size_t)row), inner)
                  .y;
      barrier(CLK_LOCAL_MEM_FENCE);
      for (int n = 0; n < GROUP && from + n < seen && c0 + i < D; n++)
        sum = fma(ds[n], LOAD(K, k, (size_t)(at4(k_stride, b, from + n, h) + (c0 + i) * k_stride.w)), sum);
    }
    if (c0 + i < D) STORE(X, AT(X, x_base, x_at), (size_t)((b * Tq + t) * H + h) * D + c0 + i, sum);
  }
}

kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void attention_dkv(BACKWARD_ARGUMENTS, global char *y_base, ulong y_at,
                                                                             global char *z_base, ulong z_at) {
  local float2 both[GROUP];
  BACKWARD_START;
  const int row = (int)get_group_id(0), j = row % Tk, h = row / Tk % H, b = row / Tk / H, first = more.y ? max(0, j - (Tk - Tq)) : 0;
  EACH_64(c0, max(D, E)) {
    float dk = 0, dv = 0;
    EACH_64(ahead, Tq - first) {
      const int from = first + ahead, t = min(from + i, Tq - 1);
      global const TYPE(D) *my_d = d + at4(d_stride, b, t, h);
      barrier(CLK_LOCAL_MEM_FENCE);
      both[i] = pair(q + at4(q_stride, b, t, h), q_stride.w, k + at4(k_stride, b, j, h), k_stride.w, v + at4(v_stride, b, j, h), v_stride.w, my_d,
                     d_stride.w, D, E, scale, LOAD(L, lse, (size_t)((b * H + h) * Tq + t)),
                     inner_of(my_d, d_stride.w, o + at4(o_stride, b, t, h), o_stride.w, E));
      barrier(CLK_LOCAL_MEM_FENCE);
      for (int n = 0; n < GROUP && from + n < Tq; n++) {
        if (c0 + i < D) dk = fma(both[n].y, LOAD(Q, q, (size_t)(at4(q_stride, b, from + n, h) + (c0 + i) * q_stride.w)), dk);
        if (c0 + i < E) dv = fma(both[n].x, LOAD(D, d, (size_t)(at4(d_stride, b, from + n, h) + (c0 + i) * d_stride.w)), dv);
      }
    }
    if (c0 + i < D) STORE(Y, AT(Y, y_base, y_at), (size_t)((b * Tk + j) * H + h) * D + c0 + i, dk);
    if (c0 + i < E) STORE(Z, AT(Z, z_base, z_at), (size_t)((b * Tk + j) * H + h) * E + c0 + i, dv);
  }
}
