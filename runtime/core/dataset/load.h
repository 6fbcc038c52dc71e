/* load.h - one request of the loader, done on the thread that calls. For loader.c alone.
 *
 *   cal_error err = {0};
 *   cal_fs *fs = cal_fs_new(NULL, 0, &err);
 *   cal_load_means means = {.fs = fs, .store = cal_store_open(".calotype", NULL, &err)};
 *   cal_load_answer answer = {.what = CAL_LOAD_IDENTIFY};
 *   cal_load_request request = {.what = CAL_LOAD_IDENTIFY, .path = "photos/cat.jpg"};
 *   if (means.store) cal_load(&means, &request, &answer);
 *   cal_load_answer_free(&answer);
 *   cal_store_close(means.store);
 *   cal_fs_free(fs);
 *
 * uses: base image store
 */
#ifndef CAL_DATASET_LOAD_H
#define CAL_DATASET_LOAD_H

#include "core/dataset/loader.h"

typedef struct {
  const cal_fs *fs;
  cal_store *store;
  bool (*stopped)(void *context);            /* looked at between pieces of a file and before it is decoded; NULL: never */
  bool (*take)(void *context, size_t bytes); /* before so much memory is used; may wait; false: stopped. NULL: at once */
  void (*give)(void *context, size_t bytes); /* it is free again */
  void *context;
} cal_load_means;

/* Fills the answer but tag, path and what, which are the request's. */
void cal_load(const cal_load_means *means, const cal_load_request *request, cal_load_answer *answer);

#endif
