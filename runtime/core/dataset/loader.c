#include "core/dataset/loader.h"

#include <math.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "core/base/thread.h"
#include "core/dataset/load.h"

enum { MOST_THREADS = 64 };
static const double BUSY_SECONDS = 1; /* for another process that holds the store: what was learnt is learnt again another time */

/* A request on its way: in the heap, with a thread, or in the list of the finished. It is in the tree as long as it will be answered. */
typedef struct item {
  cal_load_request request; /* its path is the answer's */
  uint64_t serial;
  enum { WAITING, RUNNING, FINISHED } state;
  size_t at; /* in the heap */
  atomic_bool dropped;
  struct item *previous, *next; /* of the finished */
  cal_load_answer answer;
} item;

typedef struct {
  cal_loader *loader;
  pthread_t thread;
  cal_store *store;
  item *item; /* in hand */
} worker;

struct cal_loader {
  const cal_fs *fs;
  worker workers[MOST_THREADS];
  int threads;
  size_t most_finished;
  atomic_bool closing;
  pthread_mutex_t lock;
  pthread_cond_t news; /* for the workers: something to do, room for what is done, memory, or the end */
  item **heap;         /* most urgent first */
  size_t waiting, room;
  void *tree; /* by tag; see tsearch */
  size_t pending;
  item *first, *last; /* finished, in that order */
  size_t finished;    /* bytes */
  size_t decoding;    /* bytes */
  uint64_t serial;
};

static void free_item(item *it) {
  cal_load_answer_free(&it->answer);
  cal_free(it);
}

/* ---- by tag ---- */

static int by_tag(const void *a, const void *b) {
  const int64_t x = ((const item *)a)->request.tag, y = ((const item *)b)->request.tag;
  return (x > y) - (x < y);
}

static item *find(cal_loader *l, int64_t tag) {
  item **found = tfind(&(item){.request.tag = tag}, &l->tree, by_tag);
  return found ? *found : NULL;
}

static void leave_tree(cal_loader *l, const item *it) {
  tdelete(it, &l->tree, by_tag);
  l->pending--;
}

/* ---- by urgency ---- */

static bool before(const item *a, const item *b) {
  return a->request.urgency != b->request.urgency ? a->request.urgency > b->request.urgency : a->serial < b->serial;
}

static void put_at(cal_loader *l, size_t at, item *it) {
  l->heap[at] = it;
  it->at = at;
}

static void rise(cal_loader *l, size_t at, item *it) {
  for (; at && before(it, l->heap[(at - 1) / 2]); at = (at - 1) / 2) put_at(l, at, l->heap[(at - 1) / 2]);
  put_at(l, at, it);
}

static void sink(cal_loader *l, size_t at, item *it) {
  for (size_t child; (child = 2 * at + 1) < l->waiting; at = child) {
    if (child + 1 < l->waiting && before(l->heap[child + 1], l->heap[child])) child++;
    if (!before(l->heap[child], it)) break;
    put_at(l, at, l->heap[child]);
  }
  put_at(l, at, it);
}

static void leave_heap(cal_loader *l, const item *it) {
  const size_t at = it->at;
  item *moved = l->heap[--l->waiting];
  if (moved == it) return;
  if (at && before(moved, l->heap[(at - 1) / 2])) rise(l, at, moved);
  else sink(l, at, moved);
}

/* ---- the threads ---- */

static bool stopped(void *context) {
  const worker *w = context;
  return atomic_load(&w->item->dropped) || atomic_load(&w->loader->closing);
}

/* One that is alone may decode whatever it is: what is too large for anybody says so itself. */
static bool take(void *context, size_t bytes) {
  cal_loader *l = ((worker *)context)->loader;
  pthread_mutex_lock(&l->lock);
  while (l->decoding && l->decoding + bytes > CAL_LOADER_DECODING && !stopped(context)) pthread_cond_wait(&l->news, &l->lock);
  const bool taken = !stopped(context);
  if (taken) l->decoding += bytes;
  pthread_mutex_unlock(&l->lock);
  return taken;
}

static void give(void *context, size_t bytes) {
  cal_loader *l = ((worker *)context)->loader;
  pthread_mutex_lock(&l->lock);
  l->decoding -= bytes;
  pthread_cond_broadcast(&l->news);
  pthread_mutex_unlock(&l->lock);
}

static size_t weight(const cal_load_answer *a) {
  return sizeof *a + strlen(a->path) + (a->image ? cal_image_size(a->image) : 0) + (a->measures ? strlen(a->measures) : 0);
}

static void finish(cal_loader *l, item *it) {
  if (atomic_load(&it->dropped)) { /* it left the tree then */
    free_item(it);
    return;
  }
  it->state = FINISHED;
  it->previous = l->last;
  *(l->last ? &l->last->next : &l->first) = it;
  l->last = it;
  l->finished += weight(&it->answer);
}

static void *work(void *context) {
  worker *w = context;
  cal_loader *l = w->loader;
  const cal_load_means means = {l->fs, w->store, stopped, take, give, w};
  pthread_mutex_lock(&l->lock);
  for (;;) {
    while (!l->closing && (!l->waiting || l->finished >= l->most_finished)) pthread_cond_wait(&l->news, &l->lock);
    if (l->closing) break;
    item *it = w->item = l->heap[0];
    leave_heap(l, it);
    it->state = RUNNING;
    pthread_mutex_unlock(&l->lock);
    cal_load(&means, &it->request, &it->answer);
    pthread_mutex_lock(&l->lock);
    finish(l, it);
  }
  pthread_mutex_unlock(&l->lock);
  return NULL;
}

/* Signals go to the thread that runs Lua. */
static cal_status start(cal_loader *l, int wanted, cal_error *err) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &old);
  int code = 0;
  for (; l->threads < wanted && !code; l->threads += !code)
    code = pthread_create(&l->workers[l->threads].thread, NULL, work, &l->workers[l->threads]);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return l->threads ? CAL_OK : cal_fail_errno(err, code, "no thread can be started"); /* fewer are slower */
}

/* ---- for the caller ---- */

cal_loader *cal_loader_open(const cal_fs *fs, const char *store, const cal_loader_options *options, cal_error *err) {
  cal_loader *l = cal_alloc_zero(1, sizeof *l, err);
  if (!l) return NULL;
  const int cores = cal_thread_count();
  int wanted = options && options->threads > 0 ? options->threads : cores < CAL_LOADER_THREADS ? cores : CAL_LOADER_THREADS;
  if (wanted > MOST_THREADS) wanted = MOST_THREADS;
  l->fs = fs;
  l->most_finished = options && options->most_finished ? options->most_finished : CAL_LOADER_FINISHED;
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->news, NULL);
  bool good = true;
  for (int i = 0; i < wanted && good; i++) {
    l->workers[i].loader = l;
    l->workers[i].store = cal_store_open(store, &(cal_store_options){.busy_seconds = BUSY_SECONDS}, err);
    good = l->workers[i].store != NULL;
  }
  if (!good || start(l, wanted, err)) cal_loader_close(l), l = NULL;
  return l;
}

static void leave_finished(cal_loader *l, const item *it) {
  *(it->previous ? &it->previous->next : &l->first) = it->next;
  *(it->next ? &it->next->previous : &l->last) = it->previous;
  l->finished -= weight(&it->answer);
  pthread_cond_broadcast(&l->news);
}

/* It left the tree: nobody waits for it. */
static void let_go(cal_loader *l, item *it) {
  if (it->state == WAITING) leave_heap(l, it);
  if (it->state == FINISHED) leave_finished(l, it);
  if (it->state != RUNNING) free_item(it);
  else atomic_store(&it->dropped, true), pthread_cond_broadcast(&l->news); /* its thread frees it */
}

cal_status cal_loader_ask(cal_loader *l, const cal_load_request *r, cal_error *err) {
  if (!*r->path) return cal_fail(err, CAL_E_ARG, "a path is empty");
  if (isnan(r->urgency)) return cal_fail(err, CAL_E_ARG, "%s: its urgency is no number", r->path);
  if (r->side < 0 || r->side > CAL_IMAGE_SIDE) return cal_fail(err, CAL_E_ARG, "%s: a side of %d pixels", r->path, r->side);
  if (r->what == CAL_LOAD_FITTED && (r->width < 1 || r->width > CAL_IMAGE_SIDE || r->height < 1 || r->height > CAL_IMAGE_SIDE))
    return cal_fail(err, CAL_E_ARG, "%s: %d x %d pixels, to which it would be fitted", r->path, r->width, r->height);
  item *it = cal_alloc_zero(1, sizeof *it, err);
  if (!it) return CAL_E_MEMORY;
  it->request = *r;
  it->answer.tag = r->tag;
  it->answer.what = r->what;
  if (!(it->request.path = it->answer.path = cal_copy_text(r->path, err))) return free_item(it), CAL_E_MEMORY;
  pthread_mutex_lock(&l->lock);
  if (l->waiting == l->room) {
    item **heap = cal_resize(l->heap, (l->room ? 2 * l->room : 256) * sizeof *heap, err);
    if (heap) l->heap = heap, l->room = l->room ? 2 * l->room : 256;
  }
  item **place = l->waiting < l->room ? tsearch(it, &l->tree, by_tag) : NULL;
  const bool good = place != NULL;
  if (good) {
    it->serial = l->serial++;
    if (*place == it) l->pending++;
    else { /* the one before under this tag; it is let go only now, when nothing can be refused any more */ item *before = *place;
      *place = it;
      let_go(l, before);
    }
    rise(l, l->waiting++, it);
    pthread_cond_broadcast(&l->news); /* one that waits for memory could be the one that hears a signal */
  }
  pthread_mutex_unlock(&l->lock);
  if (good) return CAL_OK;
  free_item(it);
  return cal_fail(err, CAL_E_MEMORY, "%s: not enough memory to ask for it", r->path);
}

void cal_loader_forget(cal_loader *l, int64_t tag) {
  pthread_mutex_lock(&l->lock);
  item *it = find(l, tag);
  if (it) {
    leave_tree(l, it);
    let_go(l, it);
  }
  pthread_mutex_unlock(&l->lock);
}

bool cal_loader_next(cal_loader *l, cal_load_answer *answer) {
  pthread_mutex_lock(&l->lock);
  item *it = l->first;
  if (it) leave_finished(l, it), leave_tree(l, it);
  pthread_mutex_unlock(&l->lock);
  if (!it) return false;
  *answer = it->answer;
  it->answer = (cal_load_answer){0};
  free_item(it);
  return true;
}

size_t cal_loader_pending(const cal_loader *l) { return l->pending; } /* only the caller's own calls change it */

void cal_loader_close(cal_loader *l) {
  if (!l) return;
  pthread_mutex_lock(&l->lock);
  atomic_store(&l->closing, true);
  pthread_cond_broadcast(&l->news);
  pthread_mutex_unlock(&l->lock);
  for (int i = 0; i < l->threads; i++) pthread_join(l->workers[i].thread, NULL);
  for (int i = 0; i < MOST_THREADS; i++) cal_store_close(l->workers[i].store);
  while (l->tree) tdelete(*(item **)l->tree, &l->tree, by_tag);
  for (size_t i = 0; i < l->waiting; i++) free_item(l->heap[i]);
  for (item *it = l->first, *next; it; it = next) next = it->next, free_item(it);
  cal_free(l->heap);
  pthread_cond_destroy(&l->news);
  pthread_mutex_destroy(&l->lock);
  cal_free(l);
}
