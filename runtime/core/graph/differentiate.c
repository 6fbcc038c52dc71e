/* differentiate.c - reverse-mode gradients, built as nodes: only between what is asked for and the loss. */
#include <string.h>

#include "core/base/memory.h"
#include "core/graph/op.h"

typedef struct {
  cal_graph *g;
  int values;           /* of the forward graph; what is built here comes after */
  unsigned char *leads; /* by value: whether it depends on something asked for */
  cal_value *gradient;  /* by value */
  cal_value **part;     /* by value: the contributions that have not been added yet, `parts` of them */
  int *parts;
} job;

/* Gradients have the dtype of their value, whatever arithmetic made them. */
static bool contribute(job *j, cal_value v, cal_value d) {
  cal_error err = {0};
  d = cal_cast(j->g, d, cal_graph_info(j->g, v)->dtype);
  if (!d) return false;
  cal_value *part = cal_resize(j->part[v], (size_t)(j->parts[v] + 1) * sizeof *part, &err);
  if (!part) return cal_graph_fail(j->g, err.code, "gradient: %s", err.text), false;
  j->part[v] = part;
  part[j->parts[v]++] = d;
  return true;
}

static const cal_node *pad_node(const cal_graph *g, cal_value v) {
  const cal_value_info *info = cal_graph_info(g, v);
  if (info->source != CAL_COMPUTED) return NULL;
  const cal_node *node = cal_graph_node(g, info->node);
  return strcmp(node->op->name, "pad") == 0 ? node : NULL;
}

/* Slices side by side that cover a value (the halves of a GEGLU, a fused q, k, v) give padded gradients that only fill each
 * other's zeros: they are put together without adding anything. 0: they are something else. */
static cal_value join_pads(cal_graph *g, const cal_value *part, int count) {
  cal_value inside[CAL_MOST_INPUTS];
  int64_t axis = -1, reached = 0;
  if (count < 2 || count > CAL_MOST_INPUTS) return 0;
  for (int placed = 0; placed < count; placed++) {
    bool found = false;
    for (int i = 0; i < count && !found; i++) {
      const cal_node *pad = pad_node(g, part[i]);
      if (!pad || (axis >= 0 && pad->attr.i[0] != axis)) return 0;
      if (pad->attr.i[1] != reached) continue;
      axis = pad->attr.i[0];
      inside[placed] = pad->input[0];
      reached += cal_graph_shape(g, pad->input[0]).dim[axis];
      found = true;
    }
    if (!found) return 0;
  }
  return reached == cal_graph_shape(g, part[0]).dim[axis] ? cal_concat(g, inside, count, (int)axis) : 0;
}

/* The sum of all contributions, in the order in which they came. */
static cal_value total(job *j, cal_value v) {
  if (j->gradient[v] || !j->parts[v]) return j->gradient[v];
  cal_value sum = join_pads(j->g, j->part[v], j->parts[v]);
  if (!sum) {
    sum = j->part[v][0];
    for (int i = 1; i < j->parts[v]; i++) sum = cal_add(j->g, sum, j->part[v][i]);
  }
  return j->gradient[v] = sum;
}

static void find_leads(job *j, const cal_value *wrt, int count) {
  for (int i = 0; i < count; i++) j->leads[wrt[i]] = 1;
  for (int n = 0; n < cal_graph_node_count(j->g); n++) {
    const cal_node *node = cal_graph_node(j->g, n);
    unsigned char leads = 0;
    for (int i = 0; i < node->inputs; i++) leads |= j->leads[node->input[i]];
    for (int i = 0; i < node->outputs; i++) j->leads[node->output[i]] |= leads;
  }
}

static bool through(job *j, const cal_node *node) {
  cal_value d[CAL_MOST_OUTPUTS] = {0};
  bool any = false;
  for (int i = 0; i < node->outputs; i++) any = (d[i] = j->leads[node->output[i]] ? total(j, node->output[i]) : 0) || any;
  if (!any) return true;
  cal_graph_enter(j->g, node->path[0] ? node->path : node->op->name);
  for (int i = 0; i < node->inputs; i++) {
    if (!j->leads[node->input[i]]) continue;
    if (!node->op->derivative) {
      cal_graph_fail(j->g, CAL_E_ARG, "%s: has no gradient of its own; a gradient of a gradient was asked for", node->op->name);
      return false;
    }
    cal_value part = node->op->derivative(j->g, node, i, d);
    if (part && !contribute(j, node->input[i], part)) return false;
  }
  cal_graph_leave(j->g);
  return cal_graph_error(j->g)->code == CAL_OK;
}

static cal_value zeros(cal_graph *g, const cal_value_info *like) {
  return cal_expand(g, cal_cast(g, cal_graph_number(g, 0), like->dtype), like->shape);
}

bool cal_graph_differentiate(cal_graph *g, cal_value loss, const cal_value *wrt, int count, cal_value *gradients) {
  if (cal_graph_error(g)->code) return false;
  int values = cal_graph_value_count(g) + 1;
  const cal_value_info *l = cal_graph_info(g, loss);
  char text[CAL_SHAPE_TEXT];
  if (loss <= 0 || loss >= values || cal_shape_count(l->shape) != 1 || l->dtype == CAL_I32)
    return cal_graph_fail(g, CAL_E_ARG, "gradient: the loss is one number, not %s", cal_shape_text(l->shape, text)), false;
  for (int i = 0; i < count; i++)
    if (wrt[i] <= 0 || wrt[i] >= values || cal_graph_info(g, wrt[i])->dtype == CAL_I32)
      return cal_graph_fail(g, CAL_E_ARG, "gradient: value %d (%d of %d) is no float value of this graph", wrt[i], i + 1, count), false;
  cal_error err = {0};
  size_t size = (size_t)values;
  job j = {.g = g, .values = values};
  j.leads = cal_alloc_zero(size, 1, &err);
  j.gradient = cal_alloc_zero(size, sizeof *j.gradient, &err);
  j.part = cal_alloc_zero(size, sizeof *j.part, &err);
  j.parts = cal_alloc_zero(size, sizeof *j.parts, &err);
  bool ok = j.leads && j.gradient && j.part && j.parts;
  if (!ok) cal_graph_fail(g, err.code, "gradient: %s", err.text);
  if (ok) {
    find_leads(&j, wrt, count);
    cal_value one = cal_expand(g, cal_graph_number(g, 1), l->shape);
    ok = !j.leads[loss] || contribute(&j, loss, one);
    for (int n = l->source == CAL_COMPUTED ? l->node : -1; ok && n >= 0; n--) ok = through(&j, cal_graph_node(g, n));
    for (int i = 0; ok && i < count; i++) {
      gradients[i] = total(&j, wrt[i]);
      if (!gradients[i]) gradients[i] = zeros(g, cal_graph_info(g, wrt[i]));
      ok = gradients[i] != 0;
    }
  }
  for (int i = 0; j.part && i < values; i++) cal_free(j.part[i]);
  cal_free(j.part);
  cal_free(j.parts);
  cal_free(j.gradient);
  cal_free(j.leads);
  return ok;
}
