#include "core/base/interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static atomic_int level;
static void (*also_call)(void);

static void on_signal(int number) {
  (void)number;
  cal_interrupt_raise();
}

void cal_interrupt_install(void (*also)(void)) {
  also_call = also;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL); /* no SA_RESTART: a blocked read at the prompt must return */
  sigaction(SIGTERM, &action, NULL);
  struct sigaction before; /* the terminal was closed; under nohup that is to be ignored */
  if (!sigaction(SIGHUP, NULL, &before) && before.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, NULL);
}

int cal_interrupt_level(void) { return atomic_load(&level); }
void cal_interrupt_clear(void) { atomic_store(&level, 0); }

void cal_interrupt_raise(void) {
  if (atomic_fetch_add(&level, 1) >= 2) _exit(130);
  if (also_call) also_call();
}

cal_status cal_interrupt_check(cal_error *err) { return cal_interrupt_level() ? cal_fail(err, CAL_E_INTERRUPT, "interrupted") : CAL_OK; }
