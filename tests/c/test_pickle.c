#include "core/codec/pickle.h"

#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "core/base/interrupt.h"
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/codec/zip.h"
#include "test.h"

static cal_fs *fs;

static const char *golden(const char *name) {
  static char path[256];
  if (!fs) {
    fs = cal_fs_new(NULL, 0, NULL);
    cal_fs_grant(fs, "tests/golden/pickle", CAL_FS_READ, NULL);
  }
  snprintf(path, sizeof path, "tests/golden/pickle/%s", name);
  return path;
}

/* ---- what torch wrote ---- */

/* Every tensor of `st` is as in the golden, byte for byte; `all`: and there are no more in that. */
static void same_tensors(const cal_st *st, const char *expected, bool all) {
  cal_error err = {0};
  cal_st *want = cal_st_open(fs, golden(expected), &err);
  CHECK(want);
  if (!want) return;
  CHECK(!all || cal_st_count(st) == cal_st_count(want));
  for (size_t i = 0; i < cal_st_count(st); i++) {
    const cal_st_tensor *t = &cal_st_tensors(st)[i], *w = cal_st_find(want, t->name);
    bool equal = w && t->dtype == w->dtype && t->rank == w->rank && t->size == w->size;
    for (int d = 0; equal && d < t->rank; d++) equal = t->shape[d] == w->shape[d];
    if (!equal || memcmp(t->data, w->data, t->size)) printf("  %s differs from %s\n", t->name, expected);
    CHECK(equal && !memcmp(t->data, w->data, t->size));
  }
  cal_st_close(want);
}

TEST(what_torch_saved_is_read_as_safetensors_has_it) {
  static const struct {
    const char *file, *expected;
    size_t count;
  } cases[] = {{"kinds.bin", "kinds.safetensors", 15},      {"module.bin", "module.safetensors", 7},
               {"compressed.bin", "module.safetensors", 7}, {"protocol4.bin", "module.safetensors", 7},
               {"protocol5.bin", "module.safetensors", 7},  {"model.bin", "module.safetensors", 4}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cal_error err = {0};
    cal_st *st = cal_tensors_open(fs, golden(cases[i].file), &err);
    if (!st) printf("  %s\n", err.text);
    CHECK(st && cal_st_count(st) == cases[i].count);
    if (!st) continue;
    CHECK_TEXT(cal_st_format(st), "PyTorch");
    size_t notes;
    cal_st_notes(st, &notes);
    CHECK(notes == 0);
    same_tensors(st, cases[i].expected, cases[i].count != 4);
    cal_st_close(st);
  }
}

TEST(stored_numbers_are_pointed_at_where_they_lie_and_compressed_ones_are_unpacked) {
  cal_buffer file = {0};
  CHECK(!cal_fs_read(fs, golden("kinds.bin"), 0, &file, NULL));
  cal_st *st = cal_pickle_open_bytes(file.data, file.size, "x", NULL);
  CHECK(st);
  const cal_st_tensor *base = cal_st_find(st, "f32"), *alias = cal_st_find(st, "alias"), *rows = cal_st_find(st, "rows");
  CHECK(base->data == (const unsigned char *)file.data + base->offset && base->offset > 0);
  CHECK(alias->data == base->data && rows->data == base->data + 16 && rows->offset == base->offset + 16);
  cal_st_close(st);
  cal_buffer_free(&file);
  st = cal_pickle_open(fs, golden("compressed.bin"), NULL);
  CHECK(st && cal_st_find(st, "0.weight")->offset == 0);
  cal_st_close(st);
}

static void golden_refused(const char *file, const char *part) {
  cal_error err = {0};
  cal_st *st = cal_tensors_open(fs, golden(file), &err);
  if (st || !strstr(err.text, part)) printf("  %s: %s\n", file, st ? "was read" : err.text);
  CHECK(!st && err.code == CAL_E_FORMAT && strstr(err.text, part) && strstr(err.text, file));
  CHECK(!st && !strstr(strstr(err.text, file) + 1, file)); /* it is named once */
  cal_st_close(st);
}

TEST(what_torch_saved_and_is_no_contiguous_tensor_is_refused_in_a_sentence) {
  golden_refused("transposed.bin", "transposed.bin: tensor \"cut\": its numbers do not lie one after the other");
  golden_refused("legacy.bin", "before version 1.6; it is not read: take model.safetensors");
  golden_refused("runs.bin", "runs.bin wants to run posix.system; only tensors are read: take model.safetensors");
  golden_refused("whole.bin",
                 "whole.bin is a whole model as Python keeps it (torch.nn.modules.container.Sequential), not its tensors: take "
                 "model.safetensors where there is one, or save the model again as that (its state_dict())");
  golden_refused("float8.bin",
                 "float8.bin has numbers of a kind that is not read (float8, or whole ones without a sign): take model.safetensors");
}

TEST(safetensors_are_opened_by_the_same_function) {
  cal_st *st = cal_tensors_open(fs, golden("kinds.safetensors"), NULL);
  CHECK(st);
  CHECK_TEXT(cal_st_format(st), "safetensors");
  cal_st_close(st);
  cal_error err = {0};
  CHECK(!cal_tensors_open(fs, golden("nowhere.bin"), &err) && err.code == CAL_E_NOTFOUND);
  CHECK(!cal_pickle_open(fs, golden("nowhere.bin"), &err) && err.code == CAL_E_NOTFOUND);
}

/* ---- files made here ---- */

static cal_buffer p; /* a data.pkl as it grows */

static void raw(const void *bytes, size_t size) { cal_buffer_add(&p, bytes, size); }
static void op(const char *ops) { raw(ops, strlen(ops)); }
static void begin(void) {
  cal_buffer_free(&p);
  op("\x80\2");
}
static void le(uint64_t n, int width) {
  for (int i = 0; i < width; i++) cal_buffer_add_byte(&p, (char)(n >> 8 * i));
}
static void text(const char *s) {
  op("X");
  le(strlen(s), 4);
  op(s);
}
static void number(int64_t n) {
  op("\x8a\x08");
  le((uint64_t)n, 8);
}
static void numbers(const int64_t *list, int count) {
  op("(");
  for (int i = 0; i < count; i++) number(list[i]);
  op("t");
}

typedef struct {
  const char *type, *key;
  int64_t count, offset;
  int rank, strides;
  int64_t shape[9], stride[9];
} tensor;

/* A good one of six floats: 2 x 3. */
static tensor good(void) { return (tensor){"FloatStorage", "0", 6, 0, 2, 2, {2, 3}, {3, 1}}; }

static void put_storage(tensor t) {
  op("(");
  text("storage");
  op("ctorch\n"), op(t.type), op("\n");
  text(t.key);
  text("cpu");
  number(t.count);
  op("tQ");
}

static void put_tensor(tensor t) {
  op("ctorch._utils\n_rebuild_tensor_v2\n(");
  put_storage(t);
  number(t.offset);
  numbers(t.shape, t.rank);
  numbers(t.stride, t.strides);
  op("\x89"
     "ccollections\nOrderedDict\n)RtR");
}

/* {"w": t} */
static void put_file(tensor t) {
  begin();
  op("}");
  text("w");
  put_tensor(t);
  op("s.");
}

typedef struct {
  const char *name;
  const void *bytes;
  size_t size;
} part;

static cal_buffer z; /* an archive as it grows */

static void zle(uint64_t n, int width) {
  for (int i = 0; i < width; i++) cal_buffer_add_byte(&z, (char)(n >> 8 * i));
}

/* Entries stored as they are; `large`: with all that is of 64 bits. */
static void make_zip(const part *parts, int count, bool large) {
  cal_buffer directory = {0};
  cal_buffer_free(&z);
  for (int i = 0; i < count; i++) {
    uint64_t at = z.size, sum = crc32(0, parts[i].bytes, (uInt)parts[i].size), size = parts[i].size;
    cal_buffer_add(&z, "PK\3\4\x2d\0\0\0\0\0\0\0\0\0", 14);
    zle(sum, 4), zle(size, 4), zle(size, 4), zle(strlen(parts[i].name), 2), zle(5, 2);
    cal_buffer_add_text(&z, parts[i].name);
    cal_buffer_add(&z, "FB\1\0Z", 5); /* as torch pads */
    cal_buffer_add(&z, parts[i].bytes, parts[i].size);
    cal_buffer entries = z; /* the directory is made with the same words */
    z = directory;
    cal_buffer_add(&z, "PK\1\2\x2d\0\x2d\0\0\0\0\0\0\0\0\0", 16);
    zle(sum, 4), zle(large ? 0xffffffff : size, 4), zle(large ? 0xffffffff : size, 4), zle(strlen(parts[i].name), 2),
        zle(large ? 28 : 0, 2);
    zle(0, 2), zle(0, 2), zle(0, 2), zle(0, 4), zle(large ? 0xffffffff : at, 4);
    cal_buffer_add_text(&z, parts[i].name);
    if (large) zle(1, 2), zle(24, 2), zle(size, 8), zle(size, 8), zle(at, 8);
    directory = z;
    z = entries;
  }
  uint64_t at = z.size, size = directory.size, end;
  cal_buffer_add(&z, directory.data, directory.size);
  cal_buffer_free(&directory);
  end = z.size;
  if (large) {
    cal_buffer_add(&z, "PK\6\6", 4);
    zle(44, 8), zle(45, 2), zle(45, 2), zle(0, 4), zle(0, 4), zle((uint64_t)count, 8), zle((uint64_t)count, 8), zle(size, 8), zle(at, 8);
    cal_buffer_add(&z, "PK\6\7", 4);
    zle(0, 4), zle(end, 8), zle(1, 4);
  }
  cal_buffer_add(&z, "PK\5\6\0\0\0\0", 8);
  zle(large ? 0xffff : (uint64_t)count, 2), zle(large ? 0xffff : (uint64_t)count, 2), zle(large ? 0xffffffff : size, 4);
  zle(large ? 0xffffffff : at, 4), zle(0, 2);
}

static const float six[6] = {1, 2, 3, 4, 5, 6};

/* The file of the pickle that was made; with its six floats as data/0. */
static cal_st *open_made(cal_error *err) {
  make_zip((const part[]){{"archive/data.pkl", p.data, p.size}, {"archive/data/0", six, sizeof six}}, 2, false);
  return cal_pickle_open_bytes(z.data, z.size, "x.bin", err);
}

static cal_status made_refused(const char *why) {
  cal_error err = {0};
  cal_st *st = open_made(&err);
  if (st || !strstr(err.text, why) || !strstr(err.text, "x.bin")) printf("  %s: %s\n", why, st ? "was read" : err.text);
  CHECK(!st && err.code && strstr(err.text, why) && strncmp(err.text, "x.bin", 5) == 0);
  cal_st_close(st);
  return err.code;
}

static void tensor_refused(tensor t, const char *why) {
  put_file(t);
  made_refused(why);
  made_refused("tensor \"w\"");
}

TEST(a_file_made_here_is_read) {
  put_file(good());
  cal_st *st = open_made(NULL);
  CHECK(st && cal_st_count(st) == 1);
  if (!st) return;
  const cal_st_tensor *t = cal_st_find(st, "w");
  CHECK(t && t->rank == 2 && t->shape[0] == 2 && t->shape[1] == 3 && t->size == 24 && !memcmp(t->data, six, 24));
  CHECK(t && t->data == (unsigned char *)z.data + t->offset);
  cal_st_close(st);
}

TEST(an_archive_of_64_bits_is_pointed_into_too) {
  put_file(good());
  make_zip((const part[]){{"a/data.pkl", p.data, p.size}, {"a/byteorder", "little", 6}, {"a/data/0", six, sizeof six}}, 3, true);
  cal_error err = {0};
  cal_st *st = cal_pickle_open_bytes(z.data, z.size, "x", &err);
  if (!st) printf("  %s\n", err.text);
  CHECK(st && cal_st_find(st, "w")->offset > 0 && !memcmp(cal_st_find(st, "w")->data, six, 24));
  cal_st_close(st);
}

TEST(a_tensor_that_is_not_as_it_says_is_refused_by_its_name) {
  tensor t = good();
  t.stride[0] = 1, t.stride[1] = 2;
  tensor_refused(t, "do not lie one after the other");
  t = good(), t.stride[0] = 4, t.shape[1] = 2;
  tensor_refused(t, "do not lie one after the other");
  t = good(), t.stride[0] = t.stride[1] = 0;
  tensor_refused(t, "do not lie one after the other");
  t = good(), t.offset = 1;
  tensor_refused(t, "from number 1 on it does not lie within its storage of 6");
  t = good(), t.offset = -1;
  tensor_refused(t, "from number -1 on it does not lie within");
  t = good(), t.offset = INT64_MAX;
  tensor_refused(t, "does not lie within its storage of 6");
  t = good(), t.shape[0] = 3;
  tensor_refused(t, "does not lie within its storage of 6");
  t = good(), t.shape[0] = t.shape[1] = INT64_MAX;
  tensor_refused(t, "does not lie within its storage of 6");
  t = good(), t.shape[0] = t.shape[1] = (int64_t)1 << 32;
  tensor_refused(t, "does not lie within its storage of 6");
  t = good(), t.shape[0] = -2;
  tensor_refused(t, "not as many whole numbers");
  t = good(), t.stride[0] = -3;
  tensor_refused(t, "not as many whole numbers");
  t = good(), t.strides = 1;
  tensor_refused(t, "not as many whole numbers");
  t = good(), t.rank = t.strides = 9;
  tensor_refused(t, "more than 8 dimensions");
  t = good(), t.key = "1";
  tensor_refused(t, "its numbers are not in the file");
  t = good(), t.key = "../data.pkl";
  tensor_refused(t, "its numbers are not in the file");
  t = good(), t.count = 7;
  tensor_refused(t, "to have 7 numbers of F32; archive/data/0 has 24 bytes");
  t = good(), t.count = -1;
  tensor_refused(t, "to have -1 numbers of F32");
  t = good(), t.count = (int64_t)1 << 62;
  tensor_refused(t, "to have 4611686018427387904 numbers");
  t = good(), t.type = "HalfStorage";
  tensor_refused(t, "to have 6 numbers of F16");
}

TEST(an_empty_tensor_and_one_of_a_single_number_are_read) {
  tensor t = good();
  t.shape[0] = 0, t.stride[0] = 7;
  put_file(t);
  cal_st *st = open_made(NULL);
  CHECK(st && cal_st_find(st, "w")->size == 0);
  cal_st_close(st);
  t = good(), t.rank = t.strides = 0, t.offset = 5;
  put_file(t);
  st = open_made(NULL);
  CHECK(st && cal_st_find(st, "w")->size == 4 && !memcmp(cal_st_find(st, "w")->data, &six[5], 4));
  cal_st_close(st);
}

/* ---- what a pickle could do ---- */

TEST(every_name_of_python_but_those_of_tensors_is_refused_with_it) {
  static const struct {
    const char *pickle, *name;
  } cases[] = {
      {"cos\nsystem\nX\2\0\0\0ls\x85R.", "os.system"},
      {"cposix\nsystem\n", "posix.system"},
      {"c__builtin__\neval\n", "__builtin__.eval"},
      {"cbuiltins\nexec\n", "builtins.exec"},
      {"ctorch._utils\n_rebuild_tensor\n", "torch._utils._rebuild_tensor"},
      {"ctorch\nload\n", "torch.load"},
      {"ctorch._utils\n_rebuild_tensor_v2.__globals__\n", "__globals__"},
      {"cargparse\nNamespace\n", "argparse.Namespace"},
      {"ctorch._utils \n_rebuild_tensor_v2\n", "torch._utils ._rebuild_tensor_v2"},
      {"c\n\n", " ."},
      {"c\33[2J\nx\n", "\\x1b[2J.x"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    begin();
    op(cases[i].pickle);
    CHECK(made_refused(cases[i].name) == CAL_E_FORMAT);
    made_refused("x.bin wants to run ");
    made_refused("only tensors are read: take model.safetensors");
  }
}

TEST(every_other_instruction_is_refused) {
  static const char known[] =
      "(N\x88\x89JKM\x8aGX\x8c\x8d\x93\x94\x95)]}t\x85\x86\x87"
      "aesuqrhjcRbQ.";
  for (int c = 1; c < 256; c++) {
    if (strchr(known, c)) continue;
    begin();
    op("N");
    cal_buffer_add_byte(&p, (char)c);
    op("0000\n0000\n.");
    char said[64];
    snprintf(said, sizeof said, "byte 3 of its data.pkl: instruction 0x%02x is none", (unsigned)c);
    made_refused(said);
  }
}

TEST(a_broken_pickle_is_refused_with_the_byte) {
#define P(ops) ops, sizeof(ops) - 1
  static const struct {
    const char *ops;
    size_t size;
    const char *why;
  } cases[] = {
      {P(""), "byte 2 of its data.pkl: it ends in the middle"},
      {P("."), "byte 2 of its data.pkl: its stack is empty"},
      {P("(."), "a mark stands where a value is expected"},
      {P("NN."), "ends with more than one value"},
      {P("(N."), "ends with more than one value"},
      {P("N.."), "goes on behind its end"},
      {P("t"), "there is no mark"},
      {P("]a"), "its stack is empty"},
      {P("](a"), "a mark stands where"},
      {P("}Na"), "it appends to no list"},
      {P("]NNs"), "it sets items of no dictionary"},
      {P("}(Ns"), "a mark stands where"},
      {P("(Ne"), "no list stands below the mark"},
      {P("}(Ne"), "no list stands below the mark"},
      {P("](Nu"), "no dictionary stands below the mark"},
      {P("((NNu"), "no dictionary stands below the mark"},
      {P("}(Nu"), "a key has no value"},
      {P("\x85"), "its stack is empty"},
      {P("(N\x86"), "a mark stands where"},
      {P("q\0"), "its stack is empty"},
      {P("(q\0"), "a mark stands where"},
      {P("h\0"), "it asks for what it did not remember"},
      {P("Nq\5h\4"), "it asks for what it did not remember"},
      {P("Nr\xff\xff\xff\xff"), "remembers more values than any model has"},
      {P("Nj\0\0\x10\0"), "remembers more values than any model has"},
      {P("\x8a\x09"
         "123456789"),
       "a number has more than 64 bits"},
      {P("X\1\0\0\0\xff"), "a text is not UTF-8"},
      {P("X\xff\xff\xff\xffzz"), "it ends in the middle"},
      {P("X\0\0\0\x80zz"), "it ends in the middle"},
      {P("\x8c\4zz"), "it ends in the middle"},
      {P("\x8c\1\xff"), "a text is not UTF-8"},
      {P("\x8d\2\0\0\0\0\0\0\x80zz"), "it ends in the middle"},
      {P("\x8d\xff\xff\xff\xff\xff\xff\xff\xffzz"), "it ends in the middle"},
      {P("\x95\1\0\0"), "it ends in the middle"},
      {P("\x94"), "its stack is empty"},
      {P("(\x94"), "a mark stands where a value is expected"},
      {P("N\x94h\1"), "it asks for what it did not remember"},
      {P("\x8c\2os\x8c\6system\x93)R."), "wants to run os.system"},
      {P("\x8c\2osN\x93"), "None stands where a text is expected"},
      {P("N\x8c\2os\x93"), "None stands where a text is expected"},
      {P("\x8c\2os\x93"), "its stack is empty"},
      {P("NR"), "None stands where a tuple is expected"},
      {P("N)R"), "None stands where a name is expected"},
      {P("ctorch\nFloatStorage\n)R"), "a storage is called"},
      {P("ccollections\nOrderedDict\nN\x85R"), "OrderedDict is given something"},
      {P("ctorch._utils\n_rebuild_tensor_v2\n)R"), "_rebuild_tensor_v2 is given something else"},
      {P("ctorch._utils\n_rebuild_tensor_v2\n(NNNNNNtR"), "_rebuild_tensor_v2 is given something else"},
      {P("ctorch._utils\n_rebuild_parameter\n(NNNtR"), "_rebuild_parameter is given something else"},
      {P(")Q"), "is no storage"},
      {P("K\0Q"), "a number stands where a tuple is expected"},
      {P("(X\1\0\0\0xctorch\nFloatStorage\nX\0\0\0\0X\0\0\0\0K\1tQ"), "is no storage"},
      {P("(X\7\0\0\0storageccollections\nOrderedDict\nX\0\0\0\0X\0\0\0\0K\1tQ"), "is no storage"},
      {P("}Nb"), "None stands where a dictionary is expected"},
      {P("N}b"), "None stands where a dictionary is expected"},
      {P("G1234567"), "it ends in the middle"},
      {P("ctorch\nFloat"), "it ends in the middle"},
      {P("N."), "a dictionary of tensors is expected, not None"},
      {P("]."), "a dictionary of tensors is expected, not a list"},
      {P("}."), "there are no tensors in it"},
      {P("}X\5\0\0\0modelNs."), "there are no tensors in it"},
      {P("}X\5\0\0\0model}s."), "there are no tensors in it"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    begin();
    raw(cases[i].ops, cases[i].size);
    made_refused(cases[i].why);
  }
  cal_buffer_free(&p);
  op("N.");
  made_refused("it does not begin as a pickle does");
  cal_buffer_free(&p);
  op("\x80\6N.");
  made_refused("is of protocol 6; 2 to 5 are read: take model.safetensors");
  cal_buffer_free(&p);
  op("\x80\1N.");
  made_refused("is of protocol 1; 2 to 5 are read");
}

TEST(names_that_cannot_be_tensors_are_refused) {
  begin();
  op("}K\1");
  put_tensor(good());
  op("s.");
  made_refused("a tensor has no name");
  begin();
  op("}");
  raw("X\3\0\0\0a\0b", 8);
  put_tensor(good());
  op("s.");
  made_refused("a tensor has no name");
  begin();
  op("}");
  for (int i = 0; i < 2; i++) {
    text("w\33");
    put_tensor(good());
    op("s");
  }
  op(".");
  made_refused("tensor \"w\\x1b\" stands twice");
}

TEST(a_state_dict_lies_at_the_top_or_below_its_two_names) {
  static const struct {
    const char *key, *why;
  } cases[] = {
      {"state_dict", NULL}, {"model", NULL}, {"weights", "there are no tensors in it, nor in a \"state_dict\" or \"model\" of it"}};
  for (size_t i = 0; i < 3; i++) {
    begin();
    op("}");
    text("step");
    op("K\5s");
    text(cases[i].key);
    op("}");
    text("w");
    put_tensor(good());
    op("ss.");
    if (cases[i].why) {
      made_refused(cases[i].why);
      continue;
    }
    cal_st *st = open_made(NULL);
    CHECK(st && cal_st_count(st) == 1 && cal_st_find(st, "w"));
    cal_st_close(st);
  }
  begin(); /* two levels below is too deep */
  op("}");
  text("model");
  op("}");
  text("model");
  op("}");
  text("w");
  put_tensor(good());
  op("sss.");
  made_refused("there are no tensors in it");
}

TEST(deep_nesting_loops_and_floods_end_in_a_sentence) {
  begin(); /* 3 million lists, one in the other */
  for (int i = 0; i < 500000; i++) op("]");
  for (int i = 1; i < 500000; i++) op("a");
  op(".");
  made_refused("a dictionary of tensors is expected, not a list");
  begin(); /* a list in itself, and a dictionary */
  raw(P("]q\0h\0a"));
  raw(P("}q\1X\5\0\0\0modelh\1s0"));
  made_refused("instruction 0x30");
  begin();
  raw(P("}q\1X\5\0\0\0modelh\1s."));
  made_refused("there are no tensors in it");
  begin(); /* what doubles at each step when somebody walks through it */
  raw(P("]q\0"));
  for (int i = 0; i < 100; i++) {
    op("]");
    raw("q", 1), le((uint64_t)i + 1, 1);
    op("(");
    for (int k = 0; k < 10; k++) raw("h", 1), le((uint64_t)i, 1);
    op("e");
  }
  op("\x85.");
  made_refused("ends with more than one value");
  begin(); /* the stack */
  for (int i = 0; i <= CAL_PICKLE_STACK; i++) op("N");
  CHECK(made_refused("it makes more values than any model has") == CAL_E_LIMIT);
  begin();
  for (int i = 0; i <= CAL_PICKLE_STACK; i++) op("(");
  CHECK(made_refused("it makes more values than any model has") == CAL_E_LIMIT);
  begin(); /* values that leave the stack again */
  op("]");
  for (int i = 0; i <= CAL_PICKLE_VALUES; i++) op("Na");
  CHECK(made_refused("it makes more values than any model has") == CAL_E_LIMIT);
  begin(); /* one value, again and again */
  raw(P("]Nq\0a"));
  for (int i = 0; i <= 4 * CAL_PICKLE_VALUES; i++) raw("h\0a", 3);
  CHECK(made_refused("has") == CAL_E_LIMIT);
  begin(); /* a large dictionary, half a million times in another under the name that is looked for */
  raw(P("}(X\5\0\0\0modelq\3}q\0(Nq\1h\1"));
  for (int i = 0; i < 500000; i++) raw(P("h\1h\1"));
  op("u");
  for (int i = 0; i < 500000 - 10; i++) raw(P("h\3h\0"));
  op("u.");
  made_refused("there are no tensors in it");
  begin(); /* one name, long, for thousands of tensors */
  op("}q");
  raw("\0", 1);
  raw("(X\0\0\x10\0", 6);
  cal_buffer_reserve(&p, 1 << 20);
  memset(p.data + p.size, 'n', 1 << 20);
  p.size += 1 << 20;
  raw(P("q\1"));
  put_tensor(good());
  raw(P("q\2"));
  for (int i = 0; i < 10000; i++) raw(P("h\1h\2"));
  op("u.");
  made_refused("tensors of one name stand in it");
  begin(); /* more than is read at all */
  cal_buffer_reserve(&p, CAL_PICKLE_MOST);
  memset(p.data + p.size, 'N', CAL_PICKLE_MOST);
  p.size += CAL_PICKLE_MOST;
  CHECK(made_refused("at most 16777216 are read") == CAL_E_LIMIT);
  cal_buffer_free(&p);
  cal_buffer_free(&z);
}

TEST(a_pickle_that_is_cut_anywhere_is_refused) {
  put_file(good());
  size_t whole = p.size;
  for (size_t n = 0; n < whole; n++) {
    p.size = n;
    made_refused("");
  }
  p.size = whole;
  cal_st *st = open_made(NULL);
  CHECK(st);
  cal_st_close(st);
}

/* Whatever stands in the file: it is refused, or every tensor lies in it. */
static void hold(const char *bytes, size_t size) {
  cal_error err = {0};
  cal_st *st = cal_pickle_open_bytes(bytes, size, "x", &err);
  CHECK(st || (err.code && err.text[0]));
  for (size_t i = 0; st && i < cal_st_count(st); i++) {
    const cal_st_tensor *t = &cal_st_tensors(st)[i];
    CHECK(!t->offset || (t->offset <= size && t->size <= size - t->offset));
    uint64_t sum = 0;
    for (uint64_t k = 0; k < t->size; k++) sum += t->data[k];
    CHECK(sum < UINT64_MAX);
  }
  cal_st_close(st);
}

TEST(a_file_that_is_cut_or_changed_anywhere_is_refused_or_read_within_itself) {
  static const char *const files[] = {"module.bin", "compressed.bin", "protocol4.bin"};
  cal_random random = cal_random_seed(20261121, 0);
  for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
    cal_buffer file = {0};
    CHECK(!cal_fs_read(fs, golden(files[f]), 0, &file, NULL));
    for (size_t n = 0; n < file.size; n++) {
      char *exact = malloc(n ? n : 1); /* so that asan sees the first byte behind it */
      memcpy(exact, file.data, n);
      hold(exact, n);
      free(exact);
      char was = file.data[n];
      file.data[n] = (char)(was ^ (1 << cal_random_below(&random, 8)));
      hold(file.data, file.size);
      file.data[n] = was;
    }
    cal_buffer_free(&file);
  }
}

/* ---- the archive ---- */

static void zip_refused(const part *parts, int count, const char *why) {
  make_zip(parts, count, false);
  cal_error err = {0};
  cal_st *st = cal_pickle_open_bytes(z.data, z.size, "x.bin", &err);
  if (st || !strstr(err.text, why)) printf("  %s: %s\n", why, st ? "was read" : err.text);
  CHECK(!st && strstr(err.text, why) && strncmp(err.text, "x.bin", 5) == 0);
  cal_st_close(st);
}

TEST(an_archive_that_torch_did_not_write_is_refused) {
  put_file(good());
  part data = {"a/data.pkl", p.data, p.size}, numbers_of = {"a/data/0", six, sizeof six};
  zip_refused((part[]){{"a/else", "x", 1}}, 1, "it is a zip without data.pkl");
  zip_refused((part[]){{"data.pkl", p.data, p.size}}, 1, "it is a zip without data.pkl");
  zip_refused((part[]){{"a/b/data.pkl", p.data, p.size}}, 1, "it is a zip without data.pkl");
  zip_refused((part[]){data, numbers_of, {"b/data.pkl", p.data, p.size}}, 3, "more than one data.pkl");
  zip_refused((part[]){data, numbers_of, numbers_of}, 3, "stands twice");
  zip_refused((part[]){data, numbers_of, {"a/byteorder", "big", 3}}, 3, "big-endian");
  zip_refused((part[]){data, numbers_of, {"a/byteorder", "", 0}}, 3, "big-endian");
  zip_refused((part[]){data, numbers_of, {"a/byteorder", "little little little", 20}}, 3, "at most 16 are read");
  zip_refused((part[]){data, {"b/data/0", six, sizeof six}}, 2, "tensor \"w\": its numbers are not in the file");
  zip_refused((part[]){data, {"../data/0", six, sizeof six}}, 2, "\"..\"");
  cal_error err = {0};
  char tar[512] = {0};
  memcpy(tar + 257, "ustar", 5);
  CHECK(!cal_pickle_open_bytes(tar, sizeof tar, "x.bin", &err) &&
        strstr(err.text, "x.bin is a tar archive, as PyTorch wrote them before version 0.1.10; it is not read: take model.safetensors"));
  CHECK(!cal_pickle_open_bytes("PK", 2, "x.bin", &err) && strstr(err.text, "x.bin is not a zip archive, or is cut short"));
  CHECK(!cal_pickle_open_bytes(NULL, 0, "x.bin", &err) && strstr(err.text, "x.bin"));
}

TEST(a_zip_bomb_is_refused_before_it_is_unpacked) {
  enum { BIG = 1 << 20 };
  char *zeros = calloc(1, BIG);
  char path[256];
  const char *top = getenv("CALOTYPE_TEST_TMP");
  snprintf(path, sizeof path, "%s/pickle-%ld.bin", top ? top : "/tmp", (long)getpid());
  cal_fs *own = cal_fs_new(NULL, 0, NULL);
  cal_fs_grant(own, top ? top : "/tmp", CAL_FS_READ | CAL_FS_WRITE, NULL);
  tensor t = good();
  t.count = (int64_t)BIG / 4, t.rank = t.strides = 1, t.shape[0] = 6, t.stride[0] = 1;
  put_file(t);
  const cal_zip_entry entries[] = {{.name = "a/data.pkl", .bytes = p.data, .size = p.size},
                                   {.name = "a/data/0", .bytes = zeros, .size = BIG}};
  cal_error err = {0};
  CHECK(!cal_zip_write(own, path, entries, 2, CAL_ZIP_FOLDERS, NULL, &err));
  cal_st *st = cal_tensors_open(own, path, &err);
  CHECK(st && cal_st_find(st, "w")->size == 24);
  cal_st_close(st);
  /* It says to be 3 GB, and the pickle believes it. */
  cal_buffer file = {0};
  t.count = (int64_t)3 << 28;
  put_file(t);
  const cal_zip_entry larger[] = {{.name = "a/data.pkl", .bytes = p.data, .size = p.size}, entries[1]};
  CHECK(!cal_zip_write(own, path, larger, 2, CAL_ZIP_FOLDERS, NULL, &err));
  CHECK(!cal_fs_read(own, path, 0, &file, &err));
  for (size_t i = 0; i + 4 <= file.size; i++) {
    const unsigned char megabyte[4] = {0, 0, BIG >> 16, 0}, gigabytes[4] = {0, 0, 0, 0xc0};
    if (!memcmp(file.data + i, megabyte, 4)) memcpy(file.data + i, gigabytes, 4);
  }
  size_t before = cal_memory_peak();
  CHECK(!cal_pickle_open_bytes(file.data, file.size, "x.bin", &err) && err.code == CAL_E_LIMIT);
  CHECK(strstr(err.text, "x.bin: tensor \"w\": its numbers are compressed, and unpacked more than 1024 MB: take model.safetensors"));
  CHECK(cal_memory_peak() < before + (1 << 20));
  /* Each of two is small enough, both together are not. */
  tensor first = good();
  first.count = BIG / 8, first.rank = first.strides = 1, first.shape[0] = 6, first.stride[0] = 1;
  t.count = (int64_t)CAL_PICKLE_UNPACKED / 4, t.key = "1";
  begin();
  op("}");
  text("first");
  put_tensor(first);
  op("s");
  text("w");
  put_tensor(t);
  op("s.");
  const cal_zip_entry two[] = {{.name = "a/data.pkl", .bytes = p.data, .size = p.size},
                               {.name = "a/data/0", .bytes = zeros, .size = BIG / 2},
                               {.name = "a/data/1", .bytes = zeros, .size = BIG}};
  CHECK(!cal_zip_write(own, path, two, 3, CAL_ZIP_FOLDERS, NULL, &err));
  file.size = 0;
  CHECK(!cal_fs_read(own, path, 0, &file, &err));
  for (size_t i = 0; i + 4 <= file.size; i++) {
    const unsigned char megabyte[4] = {0, 0, BIG >> 16, 0}, gigabyte[4] = {0, 0, 0, 0x40};
    if (!memcmp(file.data + i, megabyte, 4)) memcpy(file.data + i, gigabyte, 4);
  }
  CHECK(!cal_pickle_open_bytes(file.data, file.size, "x.bin", &err) && err.code == CAL_E_LIMIT && strstr(err.text, "tensor \"w\""));
  cal_fs_remove(own, path, NULL);
  cal_fs_free(own);
  cal_buffer_free(&file);
  free(zeros);
}

TEST(ctrl_c_ends_the_unpacking) {
  cal_interrupt_raise();
  cal_error err = {0};
  CHECK(!cal_pickle_open(fs, golden("compressed.bin"), &err) && err.code == CAL_E_INTERRUPT);
  cal_interrupt_clear();
  cal_st *st = cal_pickle_open(fs, golden("compressed.bin"), &err);
  CHECK(st);
  cal_st_close(st);
}

TEST(without_memory_it_is_refused_at_every_point) {
  for (int large = 0; large < 2; large++) {
    const char *file = large ? "compressed.bin" : "kinds.bin";
    for (long n = 0;; n++) {
      cal_error err = {0};
      golden(file);
      cal_memory_fail_after(n);
      cal_st *st = cal_pickle_open(fs, golden(file), &err);
      cal_memory_fail_after(-1);
      bool there = st != NULL;
      if (!st && !err.code) printf("  %s, %ld: no sentence\n", file, n);
      CHECK(st || err.code);
      cal_st_close(st);
      if (there || n > 2000) {
        CHECK(there);
        break;
      }
    }
  }
}

__attribute__((destructor)) static void end(void) {
  cal_buffer_free(&p);
  cal_buffer_free(&z);
  cal_fs_free(fs);
}

TEST_MAIN()
