/* ops.c - the list of all op records. */
#include <string.h>

#include "core/graph/op.h"

/* clang-format off */
#define OPS(X) \
  X(reshape) X(permute) X(slice) X(expand) X(concat) X(pad) X(sum) X(softmax) X(softmax_dx) X(matmul) X(conv2d) X(conv2d_dx) \
  X(conv2d_dw) X(norm) X(norm_dx) X(norm_dgamma) X(embedding) X(embedding_dtable) \
  X(attention) X(attention_dqkv)
/* clang-format on */

#define DECLARE(name) extern const cal_op cal_op_##name;
#define ROW(name, inputs, domain, expression) DECLARE(name)
#define STEP ROW
#define GRADIENT(name, of, inputs, expression) DECLARE(name##_d##of)
OPS(DECLARE)
#include "core/graph/ops/elementwise.def"
#undef ROW
#undef GRADIENT

#define LIST(name) &cal_op_##name,
#define ROW(name, inputs, domain, expression) LIST(name)
#define GRADIENT(name, of, inputs, expression) LIST(name##_d##of)
const cal_op *const cal_ops[] = {OPS(LIST)
#include "core/graph/ops/elementwise.def"
                                     NULL};

const cal_op *cal_op_find(const char *name) {
  for (int i = 0; cal_ops[i]; i++)
    if (strcmp(cal_ops[i]->name, name) == 0) return cal_ops[i];
  return NULL;
}
