/* embedding.cl - rows of a table A [V, D] by i32 ids, and back. An id outside of the table gives zeros. */

kernel void embedding(global const char *a_base, ulong a_at, global const char *i_base, ulong i_at, global char *c_base, ulong c_at, int V, int D,
                      int count) {
  int i = (int)get_global_id(0);
  if (i >= count * D) return;
  int id = AT(i32, i_base, i_at)[i / D];
  STORE(C, AT(C, c_base, c_at), (size_t)i, id >= 0 && id < V ? LOAD(A, AT(A, a_base, a_at), (size_t)id * D + i % D) : 0.0f);
}

/* Each element of the table's gradient looks through all ids, in order: no atomics, the same bits every time. */
kernel void embedding_dtable(global const char *i_base, ulong i_at, global const char *a_base, ulong a_at, global char *c_base, ulong c_at, int V, int D,
                             int count) {
  int column = (int)get_global_id(0), row = (int)get_global_id(1);
  if (column >= D || row >= V) return;
  global const int *ids = AT(i32, i_base, i_at);
  global const TYPE(A) *d = AT(A, a_base, a_at);
  float v = 0;
  for (int i = 0; i < count; i++)
    if (ids[i] == row) v += LOAD(A, d, (size_t)i * D + column);
  STORE(C, AT(C, c_base, c_at), (size_t)row * D + column, v);
}
