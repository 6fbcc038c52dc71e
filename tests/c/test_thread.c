/* test_thread.c - batches of tasks, and a clock on the wall that somebody moves. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/base/interrupt.h"
#include "core/base/thread.h"
#include "test.h"

#if defined(__linux__)
static atomic_long
    ahead; /* seconds that the clock on the wall shows more than the kernel's: whoever sleeps by it sleeps longer by as much */

int clock_gettime(clockid_t clock, struct timespec *out) {
  int result = (int)syscall(SYS_clock_gettime, clock, out);
  if (!result && clock == CLOCK_REALTIME) out->tv_sec += ahead;
  return result;
}

static atomic_int begun;
static long after; /* milliseconds that a task goes on for after Ctrl-C */

static cal_status sleeper(void *context, size_t index, cal_error *err) {
  (void)context, (void)index, (void)err;
  begun++;
  while (!cal_interrupt_level()) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  nanosleep(&(struct timespec){.tv_sec = after / 1000, .tv_nsec = after % 1000 * 1000000}, NULL);
  return CAL_OK;
}

static void *press_ctrl_c(void *unused) {
  while (begun < 2) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  cal_interrupt_raise();
  return unused;
}

TEST(ctrl_c_is_heard_between_tasks_also_when_the_clock_was_moved_back) {
  setenv("CALOTYPE_THREADS", "2", 1);
  ahead = 3600;
  for (after = 300; after < 10000; after *= 3) { /* on a busy machine who hears it may be kept waiting, but not so long */
    cal_error err = {0};
    pthread_t finger;
    begun = 0;
    CHECK(!pthread_create(&finger, NULL, press_ctrl_c, NULL));
    CHECK(cal_parallel(12, sleeper, NULL, NULL, &err) == CAL_E_INTERRUPT);
    pthread_join(finger, NULL);
    cal_interrupt_clear();
    if (begun == 2) break;
  }
  ahead = 0;
  CHECK(begun == 2);
}
#endif

TEST_MAIN()
