/* conv.cl - convolution over [B, H, W, C] with weights [O, kh, kw, C] as products whose operands are gathered while they are
 * read. -DT_A= first operand, -DT_B= second, -DT_C= result. Local size 16 x 16 x 1, tiles of 64 x 64.
 * size: B H W C; out: O H' W' and the stride; window: kh kw pad_top pad_left. Everything dense. */

typedef struct {
  int B, H, W, C, O, P, Q, stride, kh, kw, top, left;
} shape;

static inline shape shape_of(int4 size, int4 out, int4 window) {
  shape s;
  s.B = size.x, s.H = size.y, s.W = size.z, s.C = size.w;
  s.O = out.x, s.P = out.y, s.Q = out.z, s.stride = out.w;
  s.kh = window.x, s.kw = window.y, s.top = window.z, s.left = window.w;
  return s;
}

/* Where the pixel under tap k = (ky, kx, c) of output position p = (b, oy, ox) is in x; -1 in the padding. */
static inline int under(const shape *s, int p, int k) {
  int c = k % s->C, kx = k / s->C % s->kw, ky = k / s->C / s->kw;
  int ox = p % s->Q, oy = p / s->Q % s->P, b = p / s->Q / s->P;
  int y = oy * s->stride - s->top + ky, x = ox * s->stride - s->left + kx;
  return y < 0 || y >= s->H || x < 0 || x >= s->W ? -1 : ((b * s->H + y) * s->W + x) * s->C + c;
}

/* Where the result is that pixel p = (b, y, x) reached through tap k = (ky, kx, o); -1: none. */
static inline int reached(const shape *s, int p, int k) {
  int o = k % s->O, kx = k / s->O % s->kw, ky = k / s->O / s->kw;
  int x = p % s->W + s->left - kx, y = p / s->W % s->H + s->top - ky, b = p / s->W / s->H;
  if (x < 0 || y < 0 || x % s->stride || y % s->stride) return -1;
  x /= s->stride, y /= s->stride;
  return x >= s->Q || y >= s->P ? -1 : ((b * s->P + y) * s->Q + x) * s->O + o;
}

#define GATHER(T, pointer, index) ((index) < 0 ? 0.0f : LOAD(T, pointer, (size_t)(index)))

#define ARGUMENTS                                                                                                              \
  global const char *a_base, ulong a_at, global const char *b_base, ulong b_at, global char *c_base, ulong c_at, int4 size, int4 out, int4 window
#define POINTERS                                     \
  global const TYPE(A) *a = AT(A, a_base, a_at);     \
  global const TYPE(B) *b = AT(B, b_base, b_at);     \
  global TYPE(C) *c = AT(C, c_base, c_at);           \
  shape s = shape_of(size, out, window);             \
  int taps = s.kh * s.kw, positions = s.B * s.P * s.Q

/* a = x, b = w, c = y: rows are output positions, columns output channels. */
#define X_UNDER(m, k) GATHER(A, a, under(&s, m, k))
#define W_OF(k, n) LOAD(B, b, (size_t)((n) * taps * s.C + (k)))
#define Y_AT(m, n, v) STORE(C, c, (size_t)((m) * s.O + (n)), v)
kernel __attribute__((reqd_work_group_size(16, 16, 1))) void conv_forward(ARGUMENTS) {
  POINTERS;
  TILED_PRODUCT(positions, s.O, taps * s.C, X_UNDER, 1, W_OF, 0, Y_AT)
}

/* a = dy, b = w, c = dx: rows are pixels, columns input channels. */
#define DY_REACHED(m, k) GATHER(A, a, reached(&s, m, k))
#define W_BACK(k, n) LOAD(B, b, (size_t)(((k) % s.O * taps + (k) / s.O) * s.C + (n)))
#define DX_AT(m, n, v) STORE(C, c, (size_t)((m) * s.C + (n)), v)
kernel __attribute__((reqd_work_group_size(16, 16, 1))) void conv_data(ARGUMENTS) {
  POINTERS;
  (void)positions;
  TILED_PRODUCT(s.B * s.H * s.W, s.C, taps * s.O, DY_REACHED, 1, W_BACK, 1, DX_AT)
}

/* a = dy, b = x, c = dw: rows are output channels, columns taps, summed over all positions. */
#define DY_OF(m, k) LOAD(A, a, (size_t)((k) * s.O + (m)))
#define X_TAP(k, n) GATHER(B, b, under(&s, k, n))
#define DW_AT(m, n, v) STORE(C, c, (size_t)((m) * taps * s.C + (n)), v)
kernel __attribute__((reqd_work_group_size(16, 16, 1))) void conv_weights(ARGUMENTS) {
  POINTERS;
  TILED_PRODUCT(s.O, taps * s.C, positions, DY_OF, 0, X_TAP, 1, DW_AT)
}
