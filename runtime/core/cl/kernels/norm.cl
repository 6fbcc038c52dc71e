/* norm.cl - normalisation over groups of channels: x [B, P, C], a group is W = C / groups channels at all P positions of one B.
 * -DT_X= -DT_D= -DT_G= -DT_H= -DT_Y= name the storage of x, d, gamma, beta and the result; statistics are f32 [B, groups, 2]: mean, rstd.
 * A work-group per group. flags: 1 there is gamma, 2 there is beta. */

#define EACH_ELEMENT(i, at, c)                                                                            \
  for (int i = (int)get_local_id(0), c = 0, at = 0; i < P * W && (c = group * W + i % W, at = (b * P + i / W) * C + c, 1); i += GROUP)

kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void norm(global const char *x_base, ulong x_at, global const char *g_base, ulong g_at,
                                                                    global const char *h_base, ulong h_at, global char *y_base, ulong y_at,
                                                                    global char *s_base, ulong s_at, int P, int C, int groups, float epsilon, int flags) {
  local float scratch[GROUP];
  int b = (int)get_group_id(0) / groups, group = (int)get_group_id(0) % groups, W = C / groups;
  global const TYPE(X) *x = AT(X, x_base, x_at);
  global const TYPE(G) *gamma = AT(G, g_base, g_at);
  global const TYPE(H) *beta = AT(H, h_base, h_at);
  global TYPE(Y) *y = AT(Y, y_base, y_at);
  global float *stats = AT(f32, s_base, s_at);
  float v = 0;
  EACH_ELEMENT(i, at, c) v += LOAD(X, x, (size_t)at);
  float mean = group_sum(v, scratch) / (float)(P * W);
  v = 0;
  EACH_ELEMENT(i, at, c) {
    float off = LOAD(X, x, (size_t)at) - mean;
    v += off * off;
  }
  float rstd = 1.0f / sqrt(group_sum(v, scratch) / (float)(P * W) + epsilon);
  EACH_ELEMENT(i, at, c) {
    float n = (LOAD(X, x, (size_t)at) - mean) * rstd;
    if (flags & 1) n *= LOAD(G, gamma, (size_t)c);
    if (flags & 2) n += LOAD(H, beta, (size_t)c);
    STORE(Y, y, (size_t)at, n);
  }
  if (get_local_id(0) == 0) stats[get_group_id(0) * 2] = mean, stats[get_group_id(0) * 2 + 1] = rstd;
}

/* dx = rstd (e - mean(e) - n mean(e n)) with e = d gamma, n = (x - mean) rstd. */
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void norm_dx(global const char *x_base, ulong x_at, global const char *s_base, ulong s_at,
                                                                       global const char *d_base, ulong d_at, global const char *g_base, ulong g_at,
                                                                       global char *y_base, ulong y_at, int P, int C, int groups, int flags) {
  local float scratch[GROUP];
  int b = (int)get_group_id(0) / groups, group = (int)get_group_id(0) % groups, W = C / groups;
  global const TYPE(X) *x = AT(X, x_base, x_at);
  global const TYPE(D) *d = AT(D, d_base, d_at);
  global const TYPE(G) *gamma = AT(G, g_base, g_at);
  global TYPE(Y) *dx = AT(Y, y_base, y_at);
  global const float *stats = AT(f32, s_base, s_at);
  float mean = stats[get_group_id(0) * 2], rstd = stats[get_group_id(0) * 2 + 1], sum_e = 0, sum_en = 0;
  EACH_ELEMENT(i, at, c) {
    float e = LOAD(D, d, (size_t)at) * (flags & 1 ? LOAD(G, gamma, (size_t)c) : 1.0f);
    sum_e += e;
    sum_en += e * (LOAD(X, x, (size_t)at) - mean) * rstd;
  }
  sum_e = group_sum(sum_e, scratch) / (float)(P * W);
  sum_en = group_sum(sum_en, scratch) / (float)(P * W);
  EACH_ELEMENT(i, at, c) {
    float e = LOAD(D, d, (size_t)at) * (flags & 1 ? LOAD(G, gamma, (size_t)c) : 1.0f);
    STORE(Y, dx, (size_t)at, rstd * (e - sum_e - (LOAD(X, x, (size_t)at) - mean) * rstd * sum_en));
  }
}

/* dgamma[c] = sum of d (x - mean) rstd over all B and P: 16 channels by 16 rows of work-items. */
kernel __attribute__((reqd_work_group_size(16, 16, 1))) void norm_dgamma(global const char *x_base, ulong x_at, global const char *s_base, ulong s_at,
                                                                         global const char *d_base, ulong d_at, global char *y_base, ulong y_at, int B,
                                                                         int P, int C, int groups) {
  local float scratch[16][17];
  int lx = (int)get_local_id(0), ly = (int)get_local_id(1), c = (int)get_global_id(0), W = C / groups;
  global const TYPE(X) *x = AT(X, x_base, x_at);
  global const TYPE(D) *d = AT(D, d_base, d_at);
  global const float *stats = AT(f32, s_base, s_at);
  float v = 0;
  for (int row = ly; c < C && row < B * P; row += 16) {
    int at = (row / P * groups + c / W) * 2;
    v += LOAD(D, d, (size_t)row * C + c) * (LOAD(X, x, (size_t)row * C + c) - stats[at]) * stats[at + 1];
  }
  scratch[ly][lx] = v;
  for (int half_size = 8; half_size > 0; half_size /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (ly < half_size) scratch[ly][lx] += scratch[ly + half_size][lx];
  }
  if (ly == 0 && c < C) STORE(Y, AT(Y, y_base, y_at), (size_t)c, scratch[0][lx]);
}
