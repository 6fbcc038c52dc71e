/* test.h - tests in C, named as sentences.
 *
 *   TEST(sha256_of_the_empty_text) {
 *     ...
 *     CHECK(strcmp(hex, "e3b0...") == 0);
 *     CHECK_NEAR(1.0, 1.0 + 1e-9, 1e-6);
 *     SKIP("needs an OpenCL device");
 *   }
 *   TEST_MAIN()
 *
 * A test is registered by its own constructor. The last line of the program is "counts P F S", read by tests/run.sh. */
#ifndef CAL_TEST_H
#define CAL_TEST_H

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef struct test_case {
  const char *name;
  void (*run)(void);
  struct test_case *next;
} test_case;

static test_case *test_first, **test_last = &test_first;
static int test_failures, test_skipped_now;

static double test_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Seconds that this thread could have worked and was kept waiting by others, since it began (Linux; elsewhere 0): what a busy machine
 * adds to a time by the clock. */
static inline double test_withheld(void) {
  unsigned long long worked, waited = 0;
  FILE *f = fopen("/proc/thread-self/schedstat", "r");
  if (!f) return 0;
  if (fscanf(f, "%llu %llu", &worked, &waited) != 2) waited = 0;
  fclose(f);
  return (double)waited / 1e9;
}

#define TEST(id)                                            \
  static void id(void);                                     \
  static test_case id##_case = {#id, id, NULL};             \
  __attribute__((constructor)) static void id##_add(void) { \
    *test_last = &id##_case;                                \
    test_last = &id##_case.next;                            \
  }                                                         \
  static void id(void)

#define CHECK(condition)                                               \
  do {                                                                 \
    if (!(condition)) {                                                \
      test_failures++;                                                 \
      printf("  %s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
    }                                                                  \
  } while (0)

#define CHECK_NEAR(a, b, tolerance)                                                            \
  do {                                                                                         \
    double test_a = (a), test_b = (b);                                                         \
    if (!(fabs(test_a - test_b) <= (tolerance))) {                                             \
      test_failures++;                                                                         \
      printf("  %s:%d: %s is %.9g, %s is %.9g\n", __FILE__, __LINE__, #a, test_a, #b, test_b); \
    }                                                                                          \
  } while (0)

#define CHECK_TEXT(a, b)                                                                                              \
  do {                                                                                                                \
    const char *test_a = (a), *test_b = (b);                                                                          \
    if (!test_a || strcmp(test_a, test_b) != 0) {                                                                     \
      test_failures++;                                                                                                \
      printf("  %s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #a, test_a ? test_a : "(null)", test_b); \
    }                                                                                                                 \
  } while (0)

#define SKIP(reason)                           \
  do {                                         \
    printf("skip %s: %s\n", __func__, reason); \
    test_skipped_now = 1;                      \
    return;                                    \
  } while (0)

#define TEST_MAIN()                                                         \
  int main(void) {                                                          \
    int passed = 0, failed = 0, skipped = 0;                                \
    for (test_case *t = test_first; t; t = t->next) {                       \
      int before = test_failures;                                           \
      test_skipped_now = 0;                                                 \
      double began = test_clock();                                          \
      t->run();                                                             \
      printf("took %.3f %s\n", test_clock() - began, t->name);              \
      if (test_failures > before) failed++, printf("FAILED %s\n", t->name); \
      else if (test_skipped_now) skipped++;                                 \
      else passed++;                                                        \
    }                                                                       \
    printf("counts %d %d %d\n", passed, failed, skipped);                   \
    return failed != 0;                                                     \
  }

#endif
