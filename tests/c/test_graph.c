#include "core/base/random.h"
#include "core/graph/reference.h"
#include "core/graph/schedule.h"
#include "test.h"

#define SHAPE(...) cal_shape_of((int)(sizeof((int64_t[]){__VA_ARGS__}) / 8), (int64_t[]){__VA_ARGS__})

TEST(a_refusal_says_where_with_the_numbers_and_stays) {
  cal_graph *g = cal_graph_new();
  cal_graph_enter(g, "unet");
  cal_graph_enter(g, "down.1");
  cal_value x = cal_graph_input(g, "x", CAL_F32, SHAPE(4096, 320)), w = cal_graph_weight(g, "w", CAL_F32, SHAPE(768, 320));
  CHECK(cal_matmul(g, x, w, 0) == 0);
  CHECK_TEXT(cal_graph_error(g)->text, "unet.down.1: matmul: inner sizes differ, [4096, 320] x [768, 320]: 320 and 768");
  CHECK(cal_add(g, x, w) == 0);
  CHECK(strstr(cal_graph_error(g)->text, "matmul") != NULL);
  cal_graph_free(g);
}

TEST_MAIN()
