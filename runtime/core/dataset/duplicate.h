/* duplicate.h - pictures that are the same, or nearly, or the same turned around.
 *
 *   cal_error err = {0};
 *   cal_duplicate_item items[] = {{.variants = {0xff00}, .count = 1}, {.variants = {0xff01}, .count = 1}};
 *   cal_duplicates found;
 *   if (cal_duplicates_find(items, 2, 4, true, NULL, &found, &err)) return err.code;
 *   for (size_t g = 0; g < found.group_count; g++)                              // one group: 0 and 1
 *     for (size_t k = found.starts[g]; k < found.starts[g + 1]; k++) printf("%u ", found.members[k]);
 *   cal_duplicates_free(&found);
 *
 * Every hash is compared with every other (xor and popcount; 100,000 pictures are 5 G pairs, some seconds): exact, and
 * nothing to tune. The processor's popcount is found at run time.
 * uses: base image
 */
#ifndef CAL_DATASET_DUPLICATE_H
#define CAL_DATASET_DUPLICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/error.h"
#include "core/base/progress.h"
#include "core/image/hash.h"

enum { CAL_VARIANTS = CAL_HASH_VARIANTS };

/* A picture's 64-bit hash, and those of the picture as it would look turned around, in the order of
 * cal_image_transform_name. */
typedef struct {
  uint64_t variants[CAL_VARIANTS];
  int count;       /* 1, or 8 */
  const char *sha; /* of the file, or NULL: equal ones are duplicates whatever the hashes say */
} cal_duplicate_item;

typedef struct {
  uint32_t first, second; /* first < second */
  uint8_t distance;       /* bits that differ, 0 .. 64 */
  uint8_t transform;      /* this variant of `second` looks like `first`: for cal_image_transform_name */
} cal_duplicate_pair;

typedef struct {
  cal_duplicate_pair *pairs; /* sorted by first, then second */
  size_t pair_count;
  uint32_t *members; /* of all groups, one after another, each rising; a group's first member is its smallest */
  size_t *starts;    /* group_count + 1 places in `members` */
  size_t group_count;
} cal_duplicates;

/* Pairs at most `distance` bits apart, and the groups they link (of two or more). `turned`: also compare the variants.
 * Items with wholly equal hashes or files are paired with the first of them only. CAL_E_ARG for distances outside 0 .. 31;
 * CAL_E_LIMIT for more than 16 M pairs; CAL_E_INTERRUPT. */
cal_status cal_duplicates_find(const cal_duplicate_item *items, size_t count, int distance, bool turned, cal_progress *progress,
                               cal_duplicates *found, cal_error *err);

/* The pair of two places, in either order; NULL where they are no pair (or linked through others only). */
const cal_duplicate_pair *cal_duplicates_pair(const cal_duplicates *found, uint32_t a, uint32_t b);
void cal_duplicates_free(cal_duplicates *found);

/* For tests: 0 plain C, 1 popcnt, 2 AVX-512; -1 the best there is (the default). false: this processor has it not. */
bool cal_duplicates_use(int path);

#endif
