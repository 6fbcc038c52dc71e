#include "core/cl/plan.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/interrupt.h"
#include "core/base/log.h"
#include "core/base/memory.h"

enum { MOST_FETCHES = 16, IN_FLIGHT = 64 }; /* kernels between two looks at what has ended */

/* What one call of the driver runs: a step's kernels, something that enqueues by itself, or a row of native steps. */
typedef struct {
  int first, count; /* steps; count > 1 only of native ones */
} stretch;

typedef struct {
  cal_plan *plan;
  cal_segment segment;
  stretch what;
} native_call;

typedef struct {
  int steps, stretches;
  cal_prepared *prepared;
  stretch *stretch;
  native_call *call; /* one per stretch */
  double *seconds;   /* by step, with wait_each */
} segment;

/* What outlives a run and may serve several plans. */
typedef struct {
  int plans;
  cal_chunk **weights, **states, *groups[CAL_GROUPS];
  int64_t flat_size;
  uint64_t weights_version; /* see cal_site */
} shared;

struct cal_plan {
  cal_context *context;
  const cal_schedule *schedule;
  cal_plan_options options;
  cal_chunk **arena, *inputs, *constants; /* as many arena chunks as the schedule says */
  shared *shared;
  unsigned char *staged; /* the inputs on the host */
  bool staged_dirty;
  cl_event staged_on_its_way;
  cal_scratch scratch;
  uint64_t spare; /* see cal_site */
  segment segment[CAL_SEGMENTS];
  cl_event fetch[MOST_FETCHES];
  int fetches;
  /* Written by native functions in the device's queue, read after waiting for it. */
  volatile int failed_segment, failed_step; /* -1: nothing failed */
  volatile bool abandoned;
};

static cal_chunk *chunk_of(void *plan, const cal_place *place) {
  cal_plan *p = plan;
  switch (place->storage) {
    case CAL_IN_ARENA: return p->arena[place->chunk];
    case CAL_IN_INPUTS: return p->inputs;
    case CAL_IN_CONSTANTS: return p->constants;
    case CAL_IN_WEIGHTS: return p->shared->weights[place->chunk];
    case CAL_IN_STATES: return place->group == CAL_NO_GROUP ? p->shared->states[place->chunk] : p->shared->groups[place->group];
    default: return NULL;
  }
}

/* ---- native steps --------------------------------------------------------------------------------------------------- */

/* Whether to leave what is running. */
static bool unwanted(const cal_plan *p) { return cal_interrupt_level() > (p->options.hasty ? 0 : 1); }

/* In the device's queue, on a thread of the driver. The Ctrl-C that counts is seen between two steps. */
static void CL_CALLBACK run_natives(void *args) {
  const native_call *call = *(native_call **)args;
  cal_plan *p = call->plan;
  const segment *s = &p->segment[call->segment];
  for (int i = call->what.first; i < call->what.first + call->what.count && !p->abandoned && p->failed_step < 0; i++) {
    if (unwanted(p)) p->abandoned = true;
    else if (!s->prepared[i].run(s->prepared[i].state)) p->failed_segment = (int)call->segment, p->failed_step = i;
  }
}

/* ---- making --------------------------------------------------------------------------------------------------------- */

static cal_status take_chunks(cal_context *c, int count, const int64_t *bytes, const char *what, cal_chunk ***out, cal_error *err) {
  *out = cal_alloc_zero((size_t)count + 1, sizeof **out, err);
  if (!*out) return CAL_E_MEMORY;
  for (int i = 0; i < count; i++)
    if (!((*out)[i] = cal_chunk_new(c, (size_t)bytes[i], what, err))) return err ? err->code : CAL_E_MEMORY;
  return CAL_OK;
}

static int64_t total(int count, const int64_t *bytes) {
  int64_t sum = 0;
  for (int i = 0; i < count; i++) sum += bytes[i];
  return sum;
}

cal_plan_size cal_plan_sizes_of(const cal_schedule *s) {
  cal_plan_size size = {.arena = total(s->arena_chunks, s->arena_chunk),
                        .weights = total(s->weight_chunks, s->weight_chunk),
                        .states = total(s->state_chunks, s->state_chunk),
                        .inputs = s->inputs_size,
                        .constants = s->constants_size};
  for (int group = CAL_NO_GROUP + 1; group < CAL_GROUPS; group++)
    if (s->group_used[group]) size.states += s->flat_size * 4;
  return size;
}

cal_plan_size cal_plan_sizes(const cal_plan *p) {
  cal_plan_size size = cal_plan_sizes_of(p->schedule);
  size.scratch = (int64_t)p->scratch.bytes;
  for (int i = 0; i < CAL_SEGMENTS; i++) {
    size.steps[i] = p->segment[i].steps;
    for (int j = 0; j < p->segment[i].stretches; j++) {
      const cal_prepared *first = &p->segment[i].prepared[p->segment[i].stretch[j].first];
      size.enqueues[i] += first->launches ? first->launches : 1;
    }
  }
  return size;
}

/* The next value after `v` that owns memory of this kind; 0: no more. */
static cal_value next_owner(const cal_schedule *s, cal_value v, cal_storage storage) {
  for (v++; v < s->values; v++) {
    const cal_place *place = &s->place[v];
    if (place->storage == storage && place->value == v && (storage != CAL_IN_STATES || place->group == CAL_NO_GROUP)) return v;
  }
  return 0;
}

/* Whether all weights (or states) of two schedules are in the same places. A schedule without any agrees with every other. */
static bool same_places(const cal_schedule *a, const cal_schedule *b, cal_storage storage) {
  cal_value x = next_owner(a, 0, storage), y = next_owner(b, 0, storage);
  if (!x) return true;
  for (; x && y; x = next_owner(a, x, storage), y = next_owner(b, y, storage)) {
    const cal_place *p = &a->place[x], *q = &b->place[y];
    if (p->chunk != q->chunk || p->offset != q->offset || p->dtype != q->dtype || !cal_shape_equal(p->shape, q->shape)) return false;
  }
  return !x && !y;
}

static cal_status take_shared(cal_plan *p, cal_error *err) {
  cal_context *c = p->context;
  const cal_schedule *s = p->schedule;
  const cal_plan *like = p->options.like;
  if (like) {
    const bool fits = like->context == c && same_places(s, like->schedule, CAL_IN_WEIGHTS) &&
                      same_places(s, like->schedule, CAL_IN_STATES) && (!s->flat_size || s->flat_size == like->shared->flat_size);
    if (!fits) return cal_fail(err, CAL_E_ARG, "plan: its weights or states are not those of the plan it should share them with");
    p->shared = like->shared;
    p->shared->plans++;
  } else {
    if (!(p->shared = cal_alloc_zero(1, sizeof *p->shared, err))) return CAL_E_MEMORY;
    p->shared->plans = 1;
    p->shared->flat_size = s->flat_size;
    if (take_chunks(c, s->weight_chunks, s->weight_chunk, "weights", &p->shared->weights, err) ||
        take_chunks(c, s->state_chunks, s->state_chunk, "states", &p->shared->states, err))
      return err->code;
  }
  static const char *const names[CAL_GROUPS] = {"", "parameters", "gradients", "first moments", "second moments", "averages"};
  for (int group = CAL_NO_GROUP + 1; group < CAL_GROUPS; group++)
    if (s->group_used[group] && !p->shared->groups[group] &&
        !(p->shared->groups[group] = cal_chunk_new(c, (size_t)s->flat_size * 4, names[group], err)))
      return err->code;
  return CAL_OK;
}

/* Before anything is taken, and once more when all steps are prepared and their scratch memory is known. */
static cal_status check_memory(const cal_plan *p, uint64_t *needed, cal_error *err) {
  const cal_context *c = p->context;
  cal_plan_size size = cal_plan_sizes(p);
  if (p->options.like) size.weights = size.states = 0; /* they are there */
  *needed = (uint64_t)(size.arena + size.weights + size.states + size.inputs + size.constants + size.scratch);
  if (*needed <= c->memory) return CAL_OK;
  return cal_fail(
      err, CAL_E_LIMIT,
      "plan: it needs %.2f GiB (%.2f for weights, %.2f for parameters and their moments, %.2f for what is computed), %s has %.2f; "
      "a smaller resolution, batch or rank needs less",
      (double)*needed / (1 << 30), (double)size.weights / (1 << 30), (double)size.states / (1 << 30),
      (double)(size.arena + size.scratch) / (1 << 30), c->name, (double)c->memory / (1 << 30));
}

static cal_status take_memory(cal_plan *p, cal_error *err) {
  cal_context *c = p->context;
  const cal_schedule *s = p->schedule;
  uint64_t needed;
  if (check_memory(p, &needed, err)) return err->code;
  p->spare = c->memory - needed;
  if (take_chunks(c, s->arena_chunks, s->arena_chunk, "what is computed", &p->arena, err) || take_shared(p, err)) return err->code;
  p->inputs = cal_chunk_new(c, (size_t)s->inputs_size, "inputs", err);
  p->constants = p->inputs ? cal_chunk_new(c, (size_t)s->constants_size, "constants", err) : NULL;
  p->staged = p->constants ? cal_alloc_zero(1, (size_t)s->inputs_size + 1, err) : NULL;
  if (!p->staged) return err->code;
  return cal_chunk_write(p->constants, 0, s->constants, (size_t)s->constants_size, err);
}

static const char *step_name(const cal_step *step) { return step->kind == CAL_STEP_NODE ? step->op->name : "elementwise"; }

static cal_status prepare_step(cal_plan *p, const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  cal_error last = {0};
  const cal_plan_options *o = &p->options;
  for (const cal_candidate *const *c = cal_candidates; *c; c++) {
    const bool wanted = !o->candidate || strcmp((*c)->name, o->candidate) == 0;
    if (!(wanted || (o->or_portable && *c == &cal_portable_candidate)) || !(*c)->takes(site, step)) continue;
    cal_error why = {0};
    if (!(*c)->prepare(site, step, out, &why)) {
      out->candidate = *c;
      return CAL_OK;
    }
    cal_prepared_free(out);
    cal_debug(4, "%s: %s: not by %s: %s", step->path, step_name(step), (*c)->name, why.text);
    if (why.code == CAL_E_MEMORY || !last.code) last = why;
    if (why.code == CAL_E_MEMORY) break;
  }
  if (!last.code)
    cal_fail(&last, CAL_E_DEVICE, "nothing on %s does it%s%s", p->context->name, o->candidate ? " by " : "",
             o->candidate ? o->candidate : "");
  if (err) *err = last;
  return cal_error_context(err, "%s: %s", step->path ? step->path : "(no path)", step_name(step)), last.code;
}

static cal_status prepare_segment(cal_plan *p, int index, cal_error *err) {
  const cal_schedule_segment *from = &p->schedule->segment[index];
  segment *s = &p->segment[index];
  const size_t room = (size_t)from->steps + 1;
  if (!(s->prepared = cal_alloc_zero(room, sizeof *s->prepared, err)) || !(s->stretch = cal_alloc_zero(room, sizeof *s->stretch, err)) ||
      !(s->call = cal_alloc_zero(room, sizeof *s->call, err)) || !(s->seconds = cal_alloc_zero(room, sizeof *s->seconds, err)))
    return CAL_E_MEMORY;
  cal_site site = {.context = p->context,
                   .chunk = chunk_of,
                   .plan = p,
                   .scratch = &p->scratch,
                   .weights_version = &p->shared->weights_version,
                   .spare = &p->spare};
  for (int i = 0; i < from->steps; i++) {
    cal_status status = cal_interrupt_check(err);
    if (!status) status = prepare_step(p, &site, &from->step[i], &s->prepared[i], err);
    if (status) return status;
    s->steps++;
    stretch *last = s->stretches ? &s->stretch[s->stretches - 1] : NULL;
    if (last && !p->options.wait_each && s->prepared[i].run && s->prepared[last->first].run) last->count++;
    else s->stretch[s->stretches++] = (stretch){i, 1};
  }
  for (int i = 0; i < s->stretches; i++) s->call[i] = (native_call){p, (cal_segment)index, s->stretch[i]};
  return CAL_OK;
}

static void tell(const cal_plan *p) {
  static const char *const names[CAL_SEGMENTS] = {"accumulate", "apply", "sample"};
  const cal_plan_size z = cal_plan_sizes(p);
  for (int i = 0; i < CAL_SEGMENTS; i++)
    if (z.steps[i]) cal_debug(4, "plan: %s: %d steps in %d calls of the driver", names[i], z.steps[i], z.enqueues[i]);
}

cal_plan *cal_plan_new(cal_context *c, const cal_schedule *s, const cal_plan_options *options, cal_error *err) {
  cal_error own = {0};
  if (!err) err = &own;
  cal_plan *p = cal_alloc_zero(1, sizeof *p, err);
  if (!p) return NULL;
  p->context = c;
  p->schedule = s;
  p->failed_step = -1;
  if (options) p->options = *options;
  bool good = take_memory(p, err) == CAL_OK;
  for (int i = 0; i < CAL_SEGMENTS && good; i++) good = prepare_segment(p, i, err) == CAL_OK;
  uint64_t needed;
  if (good && check_memory(p, &needed, err) == CAL_OK) return tell(p), p;
  cal_plan_free(p);
  return NULL;
}

static void free_chunks(cal_chunk **chunks) {
  for (int i = 0; chunks && chunks[i]; i++) cal_chunk_free(chunks[i]);
  cal_free(chunks);
}

void cal_plan_free(cal_plan *p) {
  if (!p) return;
  cl.Finish(p->context->queue);
  for (int i = 0; i < p->fetches; i++) cl.ReleaseEvent(p->fetch[i]);
  if (p->staged_on_its_way) cl.ReleaseEvent(p->staged_on_its_way);
  for (int i = 0; i < CAL_SEGMENTS; i++) {
    segment *s = &p->segment[i];
    for (int j = 0; j < s->steps; j++) cal_prepared_free(&s->prepared[j]);
    cal_free(s->prepared);
    cal_free(s->stretch);
    cal_free(s->call);
    cal_free(s->seconds);
  }
  free_chunks(p->arena);
  if (p->shared && --p->shared->plans == 0) {
    free_chunks(p->shared->weights);
    free_chunks(p->shared->states);
    for (int i = 0; i < CAL_GROUPS; i++) cal_chunk_free(p->shared->groups[i]);
    cal_free(p->shared);
  }
  cal_chunk_free(p->inputs);
  cal_chunk_free(p->constants);
  cal_free(p->staged);
  cal_free(p->scratch.block);
  cal_free(p);
}

const char *cal_plan_choice(const cal_plan *p, cal_segment index, int step) {
  const segment *s = &p->segment[index];
  return step >= 0 && step < s->steps ? s->prepared[step].candidate->name : NULL;
}

double cal_plan_seconds(const cal_plan *p, cal_segment index, int step) {
  const segment *s = &p->segment[index];
  return step >= 0 && step < s->steps ? s->seconds[step] : 0;
}

/* ---- running -------------------------------------------------------------------------------------------------------- */

/* After the queue was waited for: what native steps have to tell. */
static cal_status check(cal_plan *p, cal_error *err) {
  if (p->abandoned) {
    p->abandoned = false;
    return cal_fail(err, CAL_E_INTERRUPT, "interrupted: the step that was running is lost");
  }
  if (p->failed_step < 0) return CAL_OK;
  const cal_step *step = &p->schedule->segment[p->failed_segment].step[p->failed_step];
  const char *by = p->segment[p->failed_segment].prepared[p->failed_step].candidate->name;
  p->failed_step = -1;
  return cal_fail(err, CAL_E_DEVICE, "%s: %s: %s failed while running", step->path, step_name(step), by);
}

static cal_status send_inputs(cal_plan *p, cal_error *err) {
  if (!p->staged_dirty || !p->schedule->inputs_size) return CAL_OK;
  if (p->staged_on_its_way) cl.ReleaseEvent(p->staged_on_its_way), p->staged_on_its_way = NULL;
  cl_int code = cl.EnqueueWriteBuffer(p->context->queue, p->inputs->memory, CL_FALSE, 0, (size_t)p->schedule->inputs_size, p->staged, 0,
                                      NULL, &p->staged_on_its_way);
  p->staged_dirty = false;
  return code ? cal_opencl_fail(err, code, "sending the inputs to %s", p->context->name) : CAL_OK;
}

static cl_int enqueue(cal_plan *p, segment *s, int index, cl_event *event) {
  cl_command_queue queue = p->context->queue;
  const cal_prepared *first = &s->prepared[s->stretch[index].first];
  if (first->run) {
    native_call *call = &s->call[index];
    return cl.EnqueueNativeKernel(queue, run_natives, &call, sizeof call, 0, NULL, NULL, 0, NULL, event);
  }
  if (first->enqueue) return first->enqueue(first->state, queue);
  cl_int code = CL_SUCCESS;
  for (int i = 0; i < first->launches && !code; i++) {
    const cal_launch *l = &first->launch[i];
    code = cl.EnqueueNDRangeKernel(queue, l->kernel, l->axes, NULL, l->global, l->local, 0, NULL, i + 1 == first->launches ? event : NULL);
  }
  return code;
}

cal_status cal_plan_run(cal_plan *p, cal_segment index, cal_error *err) {
  segment *s = &p->segment[index];
  cal_status status = send_inputs(p, err);
  cl_event before = NULL; /* the end of the last but one batch of kernels: never more than two are in flight */
  for (int i = 0; i < s->stretches && !status; i++) {
    const cal_step *step = &p->schedule->segment[index].step[s->stretch[i].first];
    cl_event now = NULL;
    const double start = p->options.wait_each ? cal_clock() : 0;
    const bool last_of_batch = i % IN_FLIGHT == IN_FLIGHT - 1 && !s->prepared[s->stretch[i].first].enqueue;
    cl_int code = enqueue(p, s, i, last_of_batch ? &now : NULL);
    if (!code && p->options.wait_each) {
      code = cl.Finish(p->context->queue);
      s->seconds[s->stretch[i].first] = cal_clock() - start;
    }
    if (!code && now) {
      cl.Flush(p->context->queue);
      if (before) code = cl.WaitForEvents(1, &before), cl.ReleaseEvent(before);
      before = now;
    }
    if (code) status = cal_opencl_fail(err, code, "%s: %s", step->path, step_name(step));
    else if (p->options.wait_each) status = check(p, err);
    if (!status && unwanted(p)) status = cal_fail(err, CAL_E_INTERRUPT, "interrupted: the step that was running is lost");
  }
  if (before) cl.ReleaseEvent(before);
  if (!status) {
    cl_int code = cl.Flush(p->context->queue);
    if (code) status = cal_opencl_fail(err, code, "starting the work on %s", p->context->name);
  }
  return status;
}

/* ---- bytes in and out ------------------------------------------------------------------------------------------------ */

static const cal_place *place_for(const cal_plan *p, cal_value v, size_t at, size_t size, cal_error *err) {
  const cal_place *place = cal_schedule_place(p->schedule, v);
  if (!place || place->storage == CAL_IN_NOTHING) {
    cal_fail(err, CAL_E_NOTFOUND, "plan: value %d is nowhere on the device; make it an output", (int)v);
    return NULL;
  }
  const size_t whole = (size_t)cal_shape_count(place->shape) * cal_dtype_size(place->dtype);
  if (at > whole || size > whole - at) {
    char shape[CAL_SHAPE_TEXT];
    cal_fail(err, CAL_E_ARG, "plan: bytes %zu to %zu of %s %s, which has %zu", at, at + size, cal_dtype_name(place->dtype),
             cal_shape_text(place->shape, shape), whole);
    return NULL;
  }
  return place;
}

cal_status cal_plan_write_part(cal_plan *p, cal_value v, size_t at, const void *bytes, size_t size, cal_error *err) {
  const cal_place *place = place_for(p, v, at, size, err);
  if (!place) return err ? err->code : CAL_E_ARG;
  if (!size) return CAL_OK;
  if (place->storage != CAL_IN_INPUTS) {
    cal_status status = cal_chunk_write(chunk_of(p, place), (size_t)place->offset + at, bytes, size, err);
    if (place->storage == CAL_IN_WEIGHTS) p->shared->weights_version++; /* after it: the write has waited for all steps before it */
    return status;
  }
  /* The staged bytes may still be travelling to the device. */
  if (p->staged_on_its_way) {
    cl_int code = cl.WaitForEvents(1, &p->staged_on_its_way);
    cl.ReleaseEvent(p->staged_on_its_way);
    p->staged_on_its_way = NULL;
    if (code) return cal_opencl_fail(err, code, "waiting for the inputs");
  }
  memcpy(p->staged + place->offset + at, bytes, size);
  p->staged_dirty = true;
  return CAL_OK;
}

cal_status cal_plan_write(cal_plan *p, cal_value v, const void *bytes, size_t size, cal_error *err) {
  const cal_place *place = place_for(p, v, 0, size, err);
  if (!place) return err ? err->code : CAL_E_ARG;
  const size_t whole = (size_t)cal_shape_count(place->shape) * cal_dtype_size(place->dtype);
  if (size != whole) return cal_fail(err, CAL_E_ARG, "plan: %zu bytes for a value of %zu", size, whole);
  return cal_plan_write_part(p, v, 0, bytes, size, err);
}

static cal_status read_bytes(cal_plan *p, cal_value v, void *bytes, size_t size, cl_bool wait, cl_event *event, cal_error *err) {
  const cal_place *place = place_for(p, v, 0, size, err);
  if (!place) return err ? err->code : CAL_E_ARG;
  if (!size) return CAL_OK;
  if (place->storage == CAL_IN_INPUTS && send_inputs(p, err)) return err ? err->code : CAL_E_DEVICE;
  cl_int code =
      cl.EnqueueReadBuffer(p->context->queue, chunk_of(p, place)->memory, wait, (size_t)place->offset, size, bytes, 0, NULL, event);
  return code ? cal_opencl_fail(err, code, "reading from %s", p->context->name) : CAL_OK;
}

cal_status cal_plan_read(cal_plan *p, cal_value v, void *bytes, size_t size, cal_error *err) {
  cal_status status = read_bytes(p, v, bytes, size, CL_TRUE, NULL, err);
  return status ? status : check(p, err);
}

static cl_int drop_first_fetch(cal_plan *p) {
  cl_int code = cl.WaitForEvents(1, &p->fetch[0]);
  cl.ReleaseEvent(p->fetch[0]);
  memmove(p->fetch, p->fetch + 1, (size_t)--p->fetches * sizeof *p->fetch);
  return code;
}

cal_status cal_plan_fetch(cal_plan *p, cal_value v, void *bytes, size_t size, cal_error *err) {
  if (p->fetches == MOST_FETCHES) {
    cl_int code = drop_first_fetch(p);
    if (code) return cal_opencl_fail(err, code, "waiting for %s", p->context->name);
  }
  cl_event event = NULL;
  cal_status status = read_bytes(p, v, bytes, size, CL_FALSE, &event, err);
  if (!status && event) p->fetch[p->fetches++] = event;
  if (!status) cl.Flush(p->context->queue);
  return status;
}

bool cal_plan_fetched(cal_plan *p) {
  while (p->fetches) {
    cl_int now = CL_QUEUED;
    if (!cl.GetEventInfo(p->fetch[0], CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof now, &now, NULL) && now > CL_COMPLETE) return false;
    drop_first_fetch(p);
  }
  return true;
}

cal_status cal_plan_finish(cal_plan *p, cal_error *err) {
  cal_status status = cal_context_finish(p->context, err);
  while (p->fetches) drop_first_fetch(p);
  return status ? status : check(p, err);
}

static cal_chunk *group_chunk(cal_plan *p, cal_group group, int64_t from, int64_t count, cal_error *err) {
  cal_chunk *chunk = group > CAL_NO_GROUP && group < CAL_GROUPS ? p->shared->groups[group] : NULL;
  const long long size = (long long)p->shared->flat_size;
  if (!chunk) cal_fail(err, CAL_E_NOTFOUND, "plan: it has no group %d", (int)group);
  else if (from < 0 || count < 0 || from > size || count > size - from) {
    cal_fail(err, CAL_E_ARG, "plan: %lld elements from %lld on of a group with %lld", (long long)count, (long long)from, size);
    chunk = NULL;
  }
  return chunk;
}

cal_status cal_plan_read_group(cal_plan *p, cal_group group, int64_t from, int64_t count, float *out, cal_error *err) {
  cal_chunk *chunk = group_chunk(p, group, from, count, err);
  if (!chunk) return err ? err->code : CAL_E_ARG;
  cal_status status = cal_chunk_read(chunk, (size_t)from * 4, out, (size_t)count * 4, err);
  return status ? status : check(p, err);
}

cal_status cal_plan_write_group(cal_plan *p, cal_group group, int64_t from, int64_t count, const float *in, cal_error *err) {
  cal_chunk *chunk = group_chunk(p, group, from, count, err);
  if (!chunk) return err ? err->code : CAL_E_ARG;
  return cal_chunk_write(chunk, (size_t)from * 4, in, (size_t)count * 4, err);
}
