/* pickle.h - the tensors of a file that torch.save wrote (pytorch_model.bin), and nothing else of it.
 *
 *   cal_error err = {0};
 *   cal_fs *fs = cal_fs_new(NULL, 0, &err);
 *   cal_fs_grant(fs, "models", CAL_FS_READ, &err);
 *   cal_st *st = cal_tensors_open(fs, "models/blip/pytorch_model.bin", &err);
 *   if (!st) puts(err.text);                     // "models/blip/pytorch_model.bin wants to run os.system; only tensors are read: ..."
 *   for (size_t i = 0; st && i < cal_st_count(st); i++) printf("%s\n", cal_st_tensors(st)[i].name);
 *   cal_st_close(st);
 *   cal_fs_free(fs);
 *
 * Such a file is a zip: NAME/data.pkl, a pickle (Python's program that builds objects), and NAME/data/0, 1 ... with the numbers, stored
 * as they are, so that tensors point into the mapped file. A pickle may name any function of Python and have it called. Here nothing is
 * called. What is read are the instructions that torch.save writes, of protocol 2 as it does by itself, and of 3 to 5:
 * - PROTO FRAME STOP MARK, NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT SHORT_BINUNICODE BINUNICODE BINUNICODE8,
 * - EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3, EMPTY_LIST APPEND APPENDS, EMPTY_DICT SETITEM SETITEMS,
 * - BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET, GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID,
 *
 * and the names torch._utils._rebuild_tensor_v2, torch._utils._rebuild_parameter, collections.OrderedDict and torch.*Storage (Float, Half,
 * BFloat16, Double, Long, Int, Short, Char, Byte, Bool). Stack, memo and values are bounded and nothing recurses.
 *
 * The tensors are those of the dictionary that the pickle makes or, where it has none, of the dictionary in it that is called "state_dict"
 * or "model"; other values (a step, a learning rate) are left out. Tensors may share their numbers.
 *
 * uses: base
 */
#ifndef CAL_CODEC_PICKLE_H
#define CAL_CODEC_PICKLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/codec/safetensors.h"

/* Bytes of data.pkl; values on its stack, in its memo, and made by it; bytes that are unpacked where numbers are compressed. */
enum { CAL_PICKLE_MOST = 16 << 20, CAL_PICKLE_STACK = 1 << 20, CAL_PICKLE_VALUES = 1 << 21, CAL_PICKLE_UNPACKED = 1 << 30 };

/* NULL and CAL_E_FORMAT (anything of Python that is no tensor, by its name; a whole model; no such zip, the old formats without one, a
 * broken pickle with the byte in data.pkl, numbers of a big-endian machine; with the tensor's name: not contiguous, beyond its storage),
 * CAL_E_LIMIT (the bounds above, more than 8 dimensions), or what the fs says. Asked by the functions of safetensors.h. */
cal_st *cal_pickle_open(const cal_fs *fs, const char *path, cal_error *err);
cal_st *cal_pickle_open_bytes(const void *bytes, size_t size, const char *name, cal_error *err); /* bytes are borrowed */

/* safetensors or PyTorch's, whichever it is by its first bytes. */
cal_st *cal_tensors_open(const cal_fs *fs, const char *path, cal_error *err);

#endif
