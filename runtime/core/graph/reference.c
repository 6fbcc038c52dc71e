#include "core/graph/reference.h"

#include <string.h>

#include "core/base/memory.h"

struct cal_reference {
  const cal_graph *g;
  cal_precision precision;
  void **data;           /* by value; NULL: not there. Of a grouped state unused: it is inside `flat` */
  unsigned char *wanted; /* by value, while a run is being prepared */
  int values;
  void *flat[CAL_GROUPS];
  int64_t flat_size;
};

static size_t real_size(const cal_reference *ref) { return ref->precision == CAL_IN_DOUBLE ? 8 : 4; }
static size_t element_size(const cal_reference *ref, const cal_value_info *v) { return v->dtype == CAL_I32 ? 4 : real_size(ref); }

cal_reference *cal_reference_new(const cal_graph *g, cal_precision precision, cal_error *err) {
  cal_reference *ref = cal_alloc_zero(1, sizeof *ref, err);
  if (ref) ref->g = g, ref->precision = precision;
  return ref;
}

void cal_reference_free(cal_reference *ref) {
  if (!ref) return;
  for (int v = 0; v < ref->values; v++) cal_free(ref->data[v]);
  for (int i = 0; i < CAL_GROUPS; i++) cal_free(ref->flat[i]);
  cal_free(ref->data);
  cal_free(ref->wanted);
  cal_free(ref);
}

/* Catch up with a graph that has grown. */
static cal_status follow(cal_reference *ref, cal_error *err) {
  int values = cal_graph_value_count(ref->g) + 1;
  if (cal_graph_error(ref->g)->code) return *err = *cal_graph_error(ref->g), err->code;
  if (values > ref->values) {
    void **data = cal_resize(ref->data, (size_t)values * sizeof *data, err);
    if (!data) return err->code;
    ref->data = data;
    unsigned char *wanted = cal_resize(ref->wanted, (size_t)values, err);
    if (!wanted) return err->code;
    ref->wanted = wanted;
    memset(data + ref->values, 0, (size_t)(values - ref->values) * sizeof *data);
    ref->values = values;
  }
  int64_t flat = cal_graph_flat_size(ref->g);
  for (int i = CAL_PARAMETERS; i < CAL_GROUPS && flat > ref->flat_size; i++) {
    void *bigger = cal_alloc_zero((size_t)flat, real_size(ref), err);
    if (!bigger) return err->code;
    if (ref->flat[i]) memcpy(bigger, ref->flat[i], (size_t)ref->flat_size * real_size(ref));
    cal_free(ref->flat[i]);
    ref->flat[i] = bigger;
  }
  ref->flat_size = flat;
  return CAL_OK;
}

static void *at(const cal_reference *ref, cal_value v) {
  const cal_value_info *info = cal_graph_info(ref->g, v);
  if (info->source == CAL_STATE && info->group)
    return ref->flat[info->group] ? (char *)ref->flat[info->group] + (size_t)info->flat_at * real_size(ref) : NULL;
  return v < ref->values ? ref->data[v] : NULL;
}

/* Memory for a value; zeros when new. */
static void *make(cal_reference *ref, cal_value v, cal_error *err) {
  void *known = at(ref, v);
  if (known) return known;
  const cal_value_info *info = cal_graph_info(ref->g, v);
  return ref->data[v] = cal_alloc_zero((size_t)cal_shape_count(info->shape), element_size(ref, info), err);
}

static void put(cal_reference *ref, const cal_value_info *info, void *to, const double *numbers) {
  int64_t count = cal_shape_count(info->shape);
  if (info->dtype == CAL_I32) cal_numbers_to(CAL_I32, numbers, count, to);
  else if (ref->precision == CAL_IN_DOUBLE) memcpy(to, numbers, (size_t)count * 8);
  else cal_numbers_to(CAL_F32, numbers, count, to);
}

cal_status cal_reference_set(cal_reference *ref, cal_value v, const double *numbers, cal_error *err) {
  if (follow(ref, err)) return err->code;
  const cal_value_info *info = cal_graph_info(ref->g, v);
  if (v <= 0 || v >= ref->values || info->source == CAL_COMPUTED || info->source == CAL_CONSTANT)
    return cal_fail(err, CAL_E_ARG, "reference: value %d is no input, weight or state", v);
  void *to = make(ref, v, err);
  if (!to) return err->code;
  put(ref, info, to, numbers);
  return CAL_OK;
}

cal_status cal_reference_set_bytes(cal_reference *ref, cal_value v, const void *bytes, size_t size, cal_error *err) {
  const cal_value_info *info = cal_graph_info(ref->g, v);
  int64_t count = cal_shape_count(info->shape);
  char text[CAL_SHAPE_TEXT];
  if (size != (size_t)count * cal_dtype_size(info->dtype))
    return cal_fail(err, CAL_E_ARG, "%s: %zu bytes; %s %s has %zu", info->name, size, cal_dtype_name(info->dtype),
                    cal_shape_text(info->shape, text), (size_t)count * cal_dtype_size(info->dtype));
  double *numbers = cal_alloc((size_t)count * sizeof *numbers, err);
  if (!numbers) return err->code;
  cal_numbers_of(info->dtype, bytes, count, numbers);
  cal_status status = cal_reference_set(ref, v, numbers, err);
  cal_free(numbers);
  return status;
}

cal_status cal_reference_get(const cal_reference *ref, cal_value v, double *out, cal_error *err) {
  const cal_value_info *info = cal_graph_info(ref->g, v);
  const void *from = v > 0 && v < ref->values ? at(ref, v) : NULL;
  if (!from) return cal_fail(err, CAL_E_NOTFOUND, "reference: value %d (%s) has not been computed", v, info->name);
  cal_numbers_of(info->dtype == CAL_I32 ? CAL_I32 : CAL_F32, from,
                 info->dtype != CAL_I32 && ref->precision == CAL_IN_DOUBLE ? 0 : cal_shape_count(info->shape), out);
  if (info->dtype != CAL_I32 && ref->precision == CAL_IN_DOUBLE) memcpy(out, from, (size_t)cal_shape_count(info->shape) * 8);
  return CAL_OK;
}

static cal_status run_node(cal_reference *ref, const cal_node *node, cal_error *err) {
  cal_reference_call call = {.node = node, .real_size = real_size(ref)};
  for (int i = 0; i < node->inputs; i++) {
    const cal_value_info *info = cal_graph_info(ref->g, node->input[i]);
    call.input_shape[i] = info->shape;
    call.input_dtype[i] = info->dtype;
    call.input[i] = at(ref, node->input[i]);
  }
  for (int i = 0; i < node->outputs; i++) {
    call.output_shape[i] = cal_graph_shape(ref->g, node->output[i]);
    if (!(call.output[i] = make(ref, node->output[i], err))) return cal_error_context(err, "%s: %s", node->path, node->op->name);
  }
  (ref->precision == CAL_IN_DOUBLE ? node->op->in_double : node->op->in_float)(&call);
  return CAL_OK;
}

/* Inputs and the like are there; constants become numbers of this precision. */
static cal_status find_source(cal_reference *ref, cal_value v, cal_error *err) {
  const cal_value_info *info = cal_graph_info(ref->g, v);
  if (at(ref, v)) return CAL_OK;
  if (info->source == CAL_STATE) return make(ref, v, err) ? CAL_OK : err->code;
  if (info->source != CAL_CONSTANT)
    return cal_fail(err, CAL_E_ARG, "reference: %s \"%s\" has not been set", info->source == CAL_INPUT ? "input" : "weight", info->name);
  int64_t count = cal_shape_count(info->shape);
  double *numbers = cal_alloc((size_t)count * sizeof *numbers, err);
  void *to = numbers ? make(ref, v, err) : NULL;
  if (to) {
    cal_numbers_of(info->dtype, info->data, count, numbers);
    put(ref, info, to, numbers);
  }
  cal_free(numbers);
  return to ? CAL_OK : err->code;
}

static cal_status run_wanted(cal_reference *ref, cal_error *err) {
  for (int i = cal_graph_node_count(ref->g); i-- > 0;) {
    const cal_node *node = cal_graph_node(ref->g, i);
    bool wanted = false;
    for (int j = 0; j < node->outputs; j++) wanted = wanted || ref->wanted[node->output[j]];
    for (int j = 0; wanted && j < node->inputs; j++) ref->wanted[node->input[j]] = 1;
    ref->wanted[node->output[0]] = wanted;
  }
  for (cal_value v = 1; v < ref->values; v++)
    if (ref->wanted[v] && cal_graph_info(ref->g, v)->source != CAL_COMPUTED && find_source(ref, v, err)) return err->code;
  for (int i = 0; i < cal_graph_node_count(ref->g); i++) {
    const cal_node *node = cal_graph_node(ref->g, i);
    if (ref->wanted[node->output[0]] && run_node(ref, node, err)) return err->code;
  }
  return CAL_OK;
}

cal_status cal_reference_compute(cal_reference *ref, const cal_value *values, int count, cal_error *err) {
  if (follow(ref, err)) return err->code;
  memset(ref->wanted, 0, (size_t)ref->values);
  for (int i = 0; i < count; i++) {
    if (values[i] <= 0 || values[i] >= ref->values) return cal_fail(err, CAL_E_ARG, "reference: value %d is not of this graph", values[i]);
    ref->wanted[values[i]] = 1;
  }
  return run_wanted(ref, err);
}

/* A store reads its value only after all of them were computed; a value that is a state itself may be written by an earlier
 * store, so such values are copied first. */
static cal_status store_all(cal_reference *ref, cal_segment segment, cal_error *err) {
  const cal_graph *g = ref->g;
  int stores = cal_graph_store_count(g, segment);
  void **kept = cal_alloc_zero((size_t)stores + 1, sizeof *kept, err);
  if (!kept) return err->code;
  for (int i = 0; i < stores; i++) {
    cal_store s = cal_graph_store_at(g, segment, i);
    const cal_value_info *info = cal_graph_info(g, s.value);
    if (info->source != CAL_STATE) continue;
    size_t size = (size_t)cal_shape_count(info->shape) * real_size(ref);
    if (!(kept[i] = cal_alloc(size, err))) goto done;
    memcpy(kept[i], at(ref, s.value), size);
  }
  for (int i = 0; i < stores; i++) {
    cal_store s = cal_graph_store_at(g, segment, i);
    const void *from = kept[i] ? kept[i] : at(ref, s.value);
    void *to = at(ref, s.state);
    for (int64_t n = cal_shape_count(cal_graph_shape(g, s.state)), j = 0; j < n; j++) {
      if (ref->precision == CAL_IN_DOUBLE) ((double *)to)[j] = ((const double *)from)[j] + (s.add ? ((double *)to)[j] : 0);
      else ((float *)to)[j] = ((const float *)from)[j] + (s.add ? ((float *)to)[j] : 0);
    }
  }
done:
  for (int i = 0; i < stores; i++) cal_free(kept[i]);
  cal_free(kept);
  return err->code;
}

cal_status cal_reference_run(cal_reference *ref, cal_segment segment, cal_error *err) {
  cal_error local = {0};
  if (!err) err = &local;
  if (follow(ref, err)) return err->code;
  memset(ref->wanted, 0, (size_t)ref->values);
  for (int i = 0; i < cal_graph_output_count(ref->g, segment); i++) ref->wanted[cal_graph_output_at(ref->g, segment, i)] = 1;
  for (int i = 0; i < cal_graph_store_count(ref->g, segment); i++) {
    cal_store s = cal_graph_store_at(ref->g, segment, i);
    ref->wanted[s.value] = ref->wanted[s.state] = 1;
  }
  if (run_wanted(ref, err)) return err->code;
  return store_all(ref, segment, err);
}
