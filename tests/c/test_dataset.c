#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

#include "core/base/clock.h"
#include "core/base/interrupt.h"
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/dataset/duplicate.h"
#include "test.h"

enum { N = 700 };

/* Random hashes, of which some are another one with a few bits changed, or one of its variants. */
static void make_items(cal_duplicate_item *items, uint64_t seed) {
  cal_random r = cal_random_seed(seed, 0);
  for (int i = 0; i < N; i++) {
    cal_duplicate_item *item = &items[i];
    *item = (cal_duplicate_item){.count = CAL_VARIANTS};
    for (int v = 0; v < CAL_VARIANTS; v++) item->variants[v] = (uint64_t)cal_random_bits(&r) << 32 | cal_random_bits(&r);
    if (i < 20 || cal_random_below(&r, 4)) continue;
    const cal_duplicate_item *other = &items[cal_random_below(&r, (uint64_t)i)];
    uint64_t near = other->variants[0];
    for (uint64_t bits = cal_random_below(&r, 7); bits; bits--) near ^= 1ull << cal_random_below(&r, 64);
    item->variants[cal_random_below(&r, CAL_VARIANTS)] = near;
  }
}

/* The definition, without any thought of speed. */
static int distance_of(const cal_duplicate_item *a, const cal_duplicate_item *b, bool turned, int *transform) {
  int least = 65;
  for (int v = 0; v < (turned ? CAL_VARIANTS : 1); v++) {
    int bits = 0;
    for (uint64_t x = a->variants[0] ^ b->variants[v]; x; x >>= 1) bits += (int)(x & 1);
    if (bits < least) least = bits, *transform = v;
  }
  return least;
}

TEST(every_path_of_the_processor_finds_exactly_the_pairs_of_the_definition) {
  static cal_duplicate_item items[N];
  int tried = 0;
  for (int path = -1; path < 3; path++) {
    if (!cal_duplicates_use(path)) {
      printf("  this processor has no path %d\n", path);
      continue;
    }
    tried++;
    for (int round = 0; round < 4; round++) {
      bool turned = round % 2;
      int distance = round < 2 ? 4 : 0;
      make_items(items, (uint64_t)round);
      cal_duplicates found;
      cal_error err = {0};
      CHECK(cal_duplicates_find(items, N, distance, turned, NULL, &found, &err) == CAL_OK);
      size_t k = 0;
      for (uint32_t i = 0; i < N; i++)
        for (uint32_t j = i + 1; j < N; j++) {
          int transform = 0, bits = distance_of(&items[i], &items[j], turned, &transform);
          if (bits > distance) continue;
          CHECK(k < found.pair_count && found.pairs[k].first == i && found.pairs[k].second == j && found.pairs[k].distance == bits &&
                found.pairs[k].transform == transform);
          k++;
        }
      CHECK(k == found.pair_count && k > 0);
      /* Groups: members rise, no member twice, every pair inside one. */
      static int group_of[N];
      memset(group_of, 0, sizeof group_of);
      for (size_t g = 0; g < found.group_count; g++) {
        CHECK(found.starts[g + 1] - found.starts[g] >= 2);
        CHECK(g == 0 || found.members[found.starts[g]] > found.members[found.starts[g - 1]]);
        for (size_t m = found.starts[g]; m < found.starts[g + 1]; m++) {
          CHECK(m == found.starts[g] || found.members[m] > found.members[m - 1]);
          CHECK(!group_of[found.members[m]]);
          group_of[found.members[m]] = (int)g + 1;
        }
      }
      for (size_t p = 0; p < found.pair_count; p++)
        CHECK(group_of[found.pairs[p].first] && group_of[found.pairs[p].first] == group_of[found.pairs[p].second]);
      cal_duplicates_free(&found);
    }
  }
  CHECK(tried >= 2);
  cal_duplicates_use(-1);
}

TEST(too_many_pairs_are_refused_not_collected) {
  enum { MANY = 6000 };
  cal_duplicate_item *items = calloc(MANY, sizeof *items);
  for (int i = 0; i < MANY; i++) items[i] = (cal_duplicate_item){.variants = {(uint64_t)i}, .count = 1};
  cal_duplicates found;
  cal_error err = {0};
  CHECK(cal_duplicates_find(items, MANY, 31, false, NULL, &found, &err) == CAL_E_LIMIT);
  CHECK(strstr(err.text, "take a smaller one"));
  CHECK(!found.pairs && !found.members && !found.starts);
  free(items);
}

TEST(ctrl_c_stops_a_search) {
  static cal_duplicate_item items[N];
  make_items(items, 1);
  cal_duplicates found;
  cal_error err = {0};
  cal_interrupt_raise();
  CHECK(cal_duplicates_find(items, N, 4, true, NULL, &found, &err) == CAL_E_INTERRUPT);
  cal_interrupt_clear();
}

static double raised_at;
static void raise_and_note(int signal) {
  (void)signal;
  raised_at = cal_clock();
  cal_interrupt_raise();
}

/* Seconds from Ctrl-C, `after` of them into the search, until the search came back; 0 when it was done before that. */
static double answer(const cal_duplicate_item *items, size_t count, double after) {
  raised_at = 0;
  cal_interrupt_clear();
  setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {(long)after, 1 + (long)((after - (long)after) * 999998)}}, NULL);
  cal_duplicates found;
  cal_error err = {0};
  const cal_status status = cal_duplicates_find(items, count, 4, true, NULL, &found, &err);
  const double at = cal_clock();
  setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
  cal_interrupt_clear();
  cal_duplicates_free(&found);
  CHECK(status == CAL_OK || status == CAL_E_INTERRUPT);
  return raised_at > 0 ? at - raised_at : 0;
}

TEST(ctrl_c_is_heard_anywhere_in_a_search_that_finds_millions_of_pairs) {
  enum { MANY = 16000, GROUPS = 20 };
  cal_duplicate_item *items = calloc(MANY, sizeof *items);
  cal_random r = cal_random_seed(7, 0);
  for (int i = 0; i < MANY; i++) {
    items[i].count = CAL_VARIANTS;
    const int n = i / GROUPS; /* two bits of its group's hashes, no two alike */
    for (int v = 0; v < CAL_VARIANTS; v++)
      items[i].variants[v] = i < GROUPS ? (uint64_t)cal_random_bits(&r) << 32 | cal_random_bits(&r)
                                        : items[i % GROUPS].variants[v] ^ (1ull << n / 30 | 1ull << (32 + n % 30));
  }
  struct sigaction old, action = {.sa_handler = raise_and_note};
  sigaction(SIGALRM, &action, &old);
  double whole = 1e9;
  for (int tries = 0; tries < 3; tries++) {
    const double begun = cal_clock();
    CHECK(answer(items, MANY, 100) == 0);
    if (cal_clock() - begun < whole) whole = cal_clock() - begun;
  }
  const double soon = 0.05 + whole / 20; /* where all goes slowly, this does */
  for (int k = 1; k < 10; k++) {
    int late = 0, in_time = 0; /* three of the tries, be they many: the machine may be busy with other things */
    while (in_time < 3 && late < 30) *(answer(items, MANY, whole * k / 10) > soon ? &late : &in_time) += 1;
    if (in_time < 3) printf("  at %d %% of %.2f s: %d of %d later than %.2f s\n", 10 * k, whole, late, late + in_time, soon);
    CHECK(in_time == 3);
  }
  sigaction(SIGALRM, &old, NULL);
  free(items);
}

TEST(wrong_items_are_refused) {
  cal_duplicate_item item = {.count = 3};
  cal_duplicates found;
  cal_error err = {0};
  CHECK(cal_duplicates_find(&item, 1, 4, true, NULL, &found, &err) == CAL_E_ARG);
  CHECK(cal_duplicates_find(NULL, 0, 32, true, NULL, &found, &err) == CAL_E_ARG);
  CHECK(cal_duplicates_find(NULL, 0, 4, true, NULL, &found, &err) == CAL_OK);
  cal_duplicates_free(&found);
}

TEST(no_allocation_that_fails_crashes_or_leaks) {
  static cal_duplicate_item items[N];
  make_items(items, 1);
  size_t before = cal_memory_in_use();
  cal_status status = CAL_E_MEMORY;
  int sweep = 0;
  for (; status && sweep < 2000; sweep++) {
    cal_duplicates found;
    cal_error err = {0};
    cal_memory_fail_after(sweep);
    status = cal_duplicates_find(items, N, 4, true, NULL, &found, &err);
    cal_memory_fail_after(-1);
    if (status) CHECK(status == CAL_E_MEMORY);
    else cal_duplicates_free(&found);
    CHECK(cal_memory_in_use() == before);
  }
  CHECK(status == CAL_OK && sweep > 20);
}

TEST_MAIN()
