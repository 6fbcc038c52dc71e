/* reduce.cl - sums and softmax: a group of 64 work-items per result, always added in the same order. -DT_A= -DT_B= -DT_C= name
 * the storage of what each kernel says. */

/* Offset of the index-th element, counted in the order of sizes n (last fastest), at strides s. */
static inline long place(int index, int4 n, int n4, int4 s, int s4) {
  long at = (long)(index % n4) * s4;
  index /= n4;
  at += (long)(index % n.w) * s.w;
  index /= n.w;
  at += (long)(index % n.z) * s.z;
  index /= n.z;
  at += (long)(index % n.y) * s.y;
  return at + (long)(index / n.y) * s.x;
}

/* A [kept.., reduced..] at any strides -> C dense. One group per kept element. */
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void sum(global const char *a_base, ulong a_at, global char *c_base, ulong c_at, int4 kept, int kept4,
                                                                int4 kept_stride, int kept_stride4, int4 reduced, int reduced4, int4 reduced_stride,
                                                                int reduced_stride4, int count) {
  local float scratch[GROUP];
  int row = (int)get_group_id(0);
  global const TYPE(A) *a = AT(A, a_base, a_at) + place(row, kept, kept4, kept_stride, kept_stride4);
  float v = 0;
  for (int i = (int)get_local_id(0); i < count; i += GROUP) v += LOAD(A, a, (size_t)place(i, reduced, reduced4, reduced_stride, reduced_stride4));
  v = group_sum(v, scratch);
  if (get_local_id(0) == 0) STORE(C, AT(C, c_base, c_at), (size_t)row, v);
}

/* The first of two steps where few results have many terms: group (part, row) adds its share into partial[row][part]. */
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void sum_part(global const char *a_base, ulong a_at, global float *partial, int4 kept, int kept4,
                                                                     int4 kept_stride, int kept_stride4, int4 reduced, int reduced4, int4 reduced_stride,
                                                                     int reduced_stride4, int count, int parts) {
  local float scratch[GROUP];
  int part = (int)get_group_id(0) % parts, row = (int)get_group_id(0) / parts;
  int share = (count + parts - 1) / parts, from = part * share, to = min(from + share, count);
  global const TYPE(A) *a = AT(A, a_base, a_at) + place(row, kept, kept4, kept_stride, kept_stride4);
  float v = 0;
  for (int i = from + (int)get_local_id(0); i < to; i += GROUP) v += LOAD(A, a, (size_t)place(i, reduced, reduced4, reduced_stride, reduced_stride4));
  v = group_sum(v, scratch);
  if (get_local_id(0) == 0) partial[row * parts + part] = v;
}

kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void sum_rest(global const float *partial, global char *c_base, ulong c_at, int parts) {
  local float scratch[GROUP];
  int row = (int)get_group_id(0);
  float v = 0;
  for (int i = (int)get_local_id(0); i < parts; i += GROUP) v += partial[row * parts + i];
  v = group_sum(v, scratch);
  if (get_local_id(0) == 0) STORE(C, AT(C, c_base, c_at), (size_t)row, v);
}

/* A [rows, D] -> C [rows, D], dense. A group per row. */
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void softmax(global const char *a_base, ulong a_at, global char *c_base, ulong c_at, int D) {
  local float scratch[GROUP];
  int first = (int)get_local_id(0);
  global const TYPE(A) *a = AT(A, a_base, a_at) + (long)get_group_id(0) * D;
  global TYPE(C) *c = AT(C, c_base, c_at) + (long)get_group_id(0) * D;
  float most = -INFINITY, total = 0;
  for (int i = first; i < D; i += GROUP) most = fmax(most, LOAD(A, a, (size_t)i));
  most = group_max(most, scratch);
  if (most == -INFINITY) most = 0; /* everything masked: zeros */
  for (int i = first; i < D; i += GROUP) total += exp(LOAD(A, a, (size_t)i) - most);
  total = group_sum(total, scratch);
  total = total == 0 ? 0 : 1.0f / total;
  for (int i = first; i < D; i += GROUP) STORE(C, c, (size_t)i, exp(LOAD(A, a, (size_t)i) - most) * total);
}

/* A = y, B = dy, C = dx = y (dy - sum(y dy)). */
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void softmax_dx(global const char *a_base, ulong a_at, global const char *b_base, ulong b_at,
                                                                         global char *c_base, ulong c_at, int D) {
  local float scratch[GROUP];
  int first = (int)get_local_id(0);
  global const TYPE(A) *y = AT(A, a_base, a_at) + (long)get_group_id(0) * D;
  global const TYPE(B) *dy = AT(B, b_base, b_at) + (long)get_group_id(0) * D;
  global TYPE(C) *dx = AT(C, c_base, c_at) + (long)get_group_id(0) * D;
  float dot_product = 0;
  for (int i = first; i < D; i += GROUP) dot_product += LOAD(A, y, (size_t)i) * LOAD(B, dy, (size_t)i);
  dot_product = group_sum(dot_product, scratch);
  for (int i = first; i < D; i += GROUP) STORE(C, dx, (size_t)i, LOAD(A, y, (size_t)i) * (LOAD(B, dy, (size_t)i) - dot_product));
}
