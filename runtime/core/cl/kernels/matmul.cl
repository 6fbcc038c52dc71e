/* matmul.cl - C = A B for every layout: rows and columns by strides, up to three leading axes by strides (0 repeats).
 * -DT_A= -DT_B= -DT_C= name the storage. Local size 16 x 16 x 1; global x over N, y over M in tiles of 64, z over the leading axes. */

#define LOAD_A(m, k) LOAD(A, a, (size_t)((m) * a_row + (k) * a_column))
#define LOAD_B(k, n) LOAD(B, b, (size_t)((k) * b_row + (n) * b_column))
#define STORE_C(m, n, v) STORE(C, c, (size_t)((m) * c_row + (n) * c_column), v)

/* lead: sizes of the two inner leading axes, then (outer, middle, inner) strides of a, b, c. */
kernel __attribute__((reqd_work_group_size(16, 16, 1))) void matmul(global const char *a_base, ulong a_at, global const char *b_base, ulong b_at,
                                                                    global char *c_base, ulong c_at, int M, int N, int K, int a_row, int a_column,
                                                                    int b_row, int b_column, int c_row, int c_column, int2 lead, int4 a_lead,
                                                                    int4 b_lead, int4 c_lead) {
  int z = (int)get_group_id(2), inner = z % lead.y, middle = z / lead.y % lead.x, outer = z / lead.y / lead.x;
  global const TYPE(A) *a = AT(A, a_base, a_at) + ((long)outer * a_lead.x + (long)middle * a_lead.y + (long)inner * a_lead.z);
  global const TYPE(B) *b = AT(B, b_base, b_at) + ((long)outer * b_lead.x + (long)middle * b_lead.y + (long)inner * b_lead.z);
  global TYPE(C) *c = AT(C, c_base, c_at) + ((long)outer * c_lead.x + (long)middle * c_lead.y + (long)inner * c_lead.z);
  TILED_PRODUCT(M, N, K, LOAD_A, a_column == 1, LOAD_B, b_column == 1, STORE_C)
}
