#include "core/base/thread.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/base/interrupt.h"

enum { MOST_THREADS = 256 };

/* One batch at a time. Workers sleep on `work`, the caller on `news`. */
static struct {
  pthread_mutex_t lock, one_batch;
  pthread_cond_t work, news;
  int threads;
  cal_task task;
  void (*short_task)(void *context, size_t index); /* instead of task */
  void *context;
  size_t count, next, running, done, most; /* most: workers that may take part */
  cal_status status;
  cal_error err;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .one_batch = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

static _Thread_local bool inside_task;

/* The clock on the wall may be moved while somebody sleeps by it: an hour back is an hour longer. */
static void make_news(void) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
#if !defined(__APPLE__)
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
  pthread_cond_init(&pool.news, &attributes);
  pthread_condattr_destroy(&attributes);
}

static void wait_for_news(long nanoseconds) { /* less than a second */
#if defined(__APPLE__)
  pthread_cond_timedwait_relative_np(&pool.news, &pool.lock, &(struct timespec){.tv_nsec = nanoseconds});
#else
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += nanoseconds;
  if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
  pthread_cond_timedwait(&pool.news, &pool.lock, &until);
#endif
}

int cal_thread_count(void) {
  const char *wish = getenv("CALOTYPE_THREADS");
  long count = wish ? strtol(wish, NULL, 10) : 0;
#if defined(__linux__)
  cpu_set_t set;
  if (count < 1 && sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
#endif
  if (count < 1) count = sysconf(_SC_NPROCESSORS_ONLN);
  return count < 1 ? 1 : count > MOST_THREADS ? MOST_THREADS : (int)count;
}

static void *worker(void *unused) {
  (void)unused;
  inside_task = true;
  pthread_mutex_lock(&pool.lock);
  for (;;) {
    while (pool.next >= pool.count || pool.running >= pool.most) pthread_cond_wait(&pool.work, &pool.lock);
    size_t index = pool.next++;
    cal_task task = pool.task;
    void (*short_task)(void *, size_t) = pool.short_task;
    void *context = pool.context;
    pool.running++;
    pthread_mutex_unlock(&pool.lock);
    cal_error err = {0};
    cal_status status = CAL_OK;
    if (short_task) short_task(context, index);
    else status = task(context, index, &err);
    pthread_mutex_lock(&pool.lock);
    pool.running--;
    pool.done++;
    if (status && !pool.status) {
      pool.status = status;
      pool.err = err;
      pool.count = pool.next; /* hand out nothing more */
    }
    pthread_cond_signal(&pool.news);
  }
  return NULL;
}

/* Signals go to the thread that runs Lua, never to a worker. */
static void start_workers(int wanted) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make_news);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  while (pool.threads < wanted && pthread_create(&thread, &attributes, worker, NULL) == 0) pool.threads++;
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static cal_status run_here(size_t count, cal_task task, void *context, cal_progress *progress, cal_error *err) {
  for (size_t i = 0; i < count; i++) {
    cal_status status = cal_interrupt_check(err);
    if (!status) status = task(context, i, err);
    if (status) return status;
    cal_progress_set(progress, i + 1);
  }
  return CAL_OK;
}

cal_status cal_parallel(size_t count, cal_task task, void *context, cal_progress *progress, cal_error *err) {
  if (inside_task || count < 2) return run_here(count, task, context, progress, err);
  pthread_mutex_lock(&pool.one_batch);
  pthread_mutex_lock(&pool.lock);
  start_workers(cal_thread_count());
  if (!pool.threads) {
    pthread_mutex_unlock(&pool.lock);
    pthread_mutex_unlock(&pool.one_batch);
    return run_here(count, task, context, progress, err);
  }
  pool.task = task;
  pool.short_task = NULL;
  pool.context = context;
  pool.most = MOST_THREADS;
  pool.next = pool.running = pool.done = 0;
  pool.status = CAL_OK;
  pool.count = count;
  pthread_cond_broadcast(&pool.work);
  while (pool.next < pool.count || pool.running) {
    wait_for_news(50 * 1000 * 1000);
    if (!pool.status && cal_interrupt_level()) {
      pool.status = cal_interrupt_check(&pool.err);
      pool.count = pool.next;
    }
    size_t done = pool.done;
    pthread_mutex_unlock(&pool.lock);
    cal_progress_set(progress, done);
    pthread_mutex_lock(&pool.lock);
  }
  cal_status status = pool.status;
  if (status && err) *err = pool.err;
  pool.count = pool.next = 0;
  pthread_mutex_unlock(&pool.lock);
  pthread_mutex_unlock(&pool.one_batch);
  return status;
}

void cal_parallel_short(size_t count, void (*task)(void *context, size_t index), void *context) {
  bool alone = inside_task || count < 2 || pthread_mutex_trylock(&pool.one_batch) != 0;
  int threads = alone ? 1 : cal_thread_count();
  if (!alone && threads < 2) pthread_mutex_unlock(&pool.one_batch), alone = true;
  if (alone) {
    for (size_t i = 0; i < count; i++) task(context, i);
    return;
  }
  pthread_mutex_lock(&pool.lock);
  start_workers(threads);
  pool.task = NULL;
  pool.short_task = task;
  pool.context = context;
  pool.most = (size_t)threads - 1;
  pool.next = pool.running = pool.done = 0;
  pool.status = CAL_OK;
  pool.count = count;
  size_t helpers = pool.most < count - 1 ? pool.most : count - 1;
  pthread_mutex_unlock(&pool.lock); /* a worker woken under the lock would go to sleep on it at once */
  for (size_t i = 0; i < helpers; i++) pthread_cond_signal(&pool.work);
  pthread_mutex_lock(&pool.lock);
  inside_task = true;
  while (pool.next < pool.count) {
    size_t index = pool.next++;
    pthread_mutex_unlock(&pool.lock);
    task(context, index);
    pthread_mutex_lock(&pool.lock);
  }
  inside_task = false;
  while (pool.running) pthread_cond_wait(&pool.news, &pool.lock);
  pool.count = pool.next = 0;
  pthread_mutex_unlock(&pool.lock);
  pthread_mutex_unlock(&pool.one_batch);
}
