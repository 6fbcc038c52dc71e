/* hub.c - a hub of models: lists, addresses, and files made from their own names.
 *
 *   /api/models/OWNER/NAME              sha, gated, siblings
 *   /api/models/OWNER/NAME/tree/REV     every file; those of LFS with their sha256
 *   /OWNER/NAME/resolve/REV/PATH        small files at once; large ones: 302 to the other port, headers as the hub's
 *   /cdn/OWNER/NAME/PATH                on the other port: the bytes, with ranges; no key may arrive here
 *
 * `x-300000.bin` has 300000 bytes; every PATH exists that ends like a file of a model. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

static const char *const TREE[] = {".gitattributes",
                                   "README.md",
                                   "model_index.json",
                                   "scheduler/scheduler_config.json",
                                   "text_encoder/config.json",
                                   "text_encoder/model.safetensors",
                                   "tokenizer/merges.txt",
                                   "tokenizer/vocab.json",
                                   "unet/config.json",
                                   "unet/diffusion_pytorch_model.safetensors",
                                   "vae/config.json",
                                   "vae/diffusion_pytorch_model.safetensors",
                                   NULL};

static bool ends(const char *text, const char *tail) {
  size_t a = strlen(text), b = strlen(tail);
  return a >= b && !strcmp(text + a - b, tail);
}
static bool is_large(const char *path) {
  return ends(path, ".safetensors") || ends(path, ".bin") || ends(path, ".gguf") || ends(path, ".ckpt");
}

static void noise(const char *seed, int version, size_t size, cal_buffer *out) {
  uint64_t x = 0x9e3779b97f4a7c15u + (uint64_t)version;
  for (; *seed; seed++) x = (x ^ (unsigned char)*seed) * 0x100000001b3u;
  for (size_t i = 0; i < size; i++) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    cal_buffer_add_byte(out, (char)(x >> 32));
  }
}

static void content(const char *path, int version, cal_buffer *out) {
  const char *dash = strrchr(path, '-');
  size_t size = dash && isdigit((unsigned char)dash[1]) ? strtoull(dash + 1, NULL, 10) : 100000;
  if (ends(path, ".safetensors")) {
    cal_buffer head = {0};
    cal_buffer_printf(&head, "{\"w\":{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}", size, size);
    while (head.size % 8) cal_buffer_add_byte(&head, ' ');
    for (int i = 0; i < 8; i++) cal_buffer_add_byte(out, (char)((uint64_t)head.size >> 8 * i));
    cal_buffer_add(out, head.data, head.size);
    cal_buffer_free(&head);
    noise(path, version, size, out);
  } else if (is_large(path)) noise(path, version, size, out);
  else if (ends(path, ".json")) cal_buffer_printf(out, "{\"_fake\": \"%s\", \"version\": %d}\n", path, version);
  else cal_buffer_printf(out, "%s, version %d\n", path, version);
}

/* SHA-1 of "blob SIZE\0" and the bytes: what git calls a small file. */
static void git_blob(const cal_buffer *bytes, char hex[41]) {
  cal_buffer m = {0};
  cal_buffer_printf(&m, "blob %zu", bytes->size);
  cal_buffer_add_byte(&m, 0);
  cal_buffer_add(&m, bytes->data, bytes->size);
  uint64_t bits = (uint64_t)m.size * 8;
  cal_buffer_add_byte(&m, (char)0x80);
  while (m.size % 64 != 56) cal_buffer_add_byte(&m, 0);
  for (int i = 7; i >= 0; i--) cal_buffer_add_byte(&m, (char)(bits >> 8 * i));
  uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}, w[80];
#define ROLL(x, n) ((x) << (n) | (x) >> (32 - (n)))
  for (size_t at = 0; at < m.size; at += 64) {
    const unsigned char *p = (const unsigned char *)m.data + at;
    for (int i = 0; i < 16; i++)
      w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = ROLL(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 80; i++) {
      uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 ? b ^ c ^ d : i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
      uint32_t k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6, t = ROLL(a, 5) + f + e + k + w[i];
      e = d, d = c, c = ROLL(b, 30), b = a, a = t;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
  }
  for (int i = 0; i < 5; i++) snprintf(hex + 8 * i, 9, "%08x", (unsigned)h[i]);
  cal_buffer_free(&m);
}

static void etag_of(const char *path, const cal_buffer *bytes, char hex[CAL_SHA256_HEX]) {
  if (is_large(path)) cal_sha256_hex(bytes->data, bytes->size, hex);
  else git_blob(bytes, hex);
}

static const char COMMIT[] = "0123456789abcdef0123456789abcdef01234567";

static void say(answer *a, int status, const char *code, const char *message) {
  a->status = status, a->type = "application/json";
  if (code) cal_buffer_printf(&a->headers, "X-Error-Code: %s\r\n", code);
  cal_buffer_printf(&a->headers, "X-Error-Message: %s\r\n", message);
  cal_buffer_printf(&a->body, "{\"error\":\"%s\"}", message);
}

static void tree(const scenario *sc, const request *r, const char *repo, int port, answer *a) {
  bool pages = scenario_has(sc, "pages"), second = strstr(r->query, "cursor=") != NULL;
  a->status = 200, a->type = "application/json";
  cal_buffer_add_byte(&a->body, '[');
  int listed = 0;
  for (int i = pages && second ? 5 : 0; TREE[i] && !(pages && !second && i == 5); i++) {
    cal_buffer bytes = {0};
    char hex[CAL_SHA256_HEX];
    content(TREE[i], 0, &bytes);
    etag_of(TREE[i], &bytes, hex);
    if (listed++) cal_buffer_add_byte(&a->body, ',');
    if (is_large(TREE[i]))
      cal_buffer_printf(
          &a->body,
          "{\"type\":\"file\",\"oid\":\"%.40s\",\"size\":%zu,\"lfs\":{\"oid\":\"%s\",\"size\":%zu,\"pointerSize\":134},\"path\":\"%s\"}",
          COMMIT, bytes.size, hex, bytes.size, TREE[i]);
    else cal_buffer_printf(&a->body, "{\"type\":\"file\",\"oid\":\"%s\",\"size\":%zu,\"path\":\"%s\"}", hex, bytes.size, TREE[i]);
    cal_buffer_free(&bytes);
  }
  if (scenario_has(sc, "evilpaths"))
    cal_buffer_add_text(&a->body,
                        ",{\"type\":\"file\",\"oid\":\"1\",\"size\":3,\"path\":\"../"
                        "outside.txt\"},{\"type\":\"file\",\"oid\":\"1\",\"size\":3,\"path\":\"/tmp/x\"}");
  static const char *const sizes[][2] = {
      {"hugesizes", "\"size\":900000000000000,"}, {"hugesize", "\"size\":1e30,"}, {"lesssize", "\"size\":-5,"}, {"nosize", ""}};
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < 2 && scenario_has(sc, sizes[i][0]); k++)
      cal_buffer_printf(&a->body, ",{\"type\":\"file\",\"oid\":\"1\",%s\"path\":\"vae/extra-%d.safetensors\"}", sizes[i][1], k);
  cal_buffer_add_byte(&a->body, ']');
  if (pages && (!second || scenario_has(sc, "circle")))
    cal_buffer_printf(&a->headers, "Link: <http://127.0.0.1:%d/s/%s/api/models/%s/tree/main?recursive=true&cursor=two>; rel=\"next\"\r\n",
                      port, sc->name, repo);
}

static bool of_address(const fault *f) {
  static const char *const names[] = {"renamed", "gated", "norepo", "norevision", "noentry", NULL};
  for (int i = 0; names[i]; i++)
    if (!strcmp(names[i], f->name)) return true;
  return f->make && f->status >= 300;
}
static bool of_bytes(const fault *f) { return !f->make && !of_address(f); }

/* The bytes, or the range of them that was asked for. */
static void bytes_of(const request *r, const char *path, int version, const fault *f, answer *a) {
  cal_buffer all = {0};
  content(path, version, &all);
  if (!strcmp(f->name, "badsum") && all.size) all.data[all.size / 2] ^= 1;
  const char *range = request_header(r, "range");
  size_t from = 0, to = all.size;
  a->status = 200, a->type = is_large(path) ? "application/octet-stream" : "text/plain; charset=utf-8";
  if (range && !strncmp(range, "bytes=", 6) && strcmp(f->name, "norange")) {
    char *tail;
    from = strtoull(range + 6, &tail, 10);
    if (*tail == '-' && isdigit((unsigned char)tail[1])) to = strtoull(tail + 1, NULL, 10) + 1;
    if (to > all.size) to = all.size;
    if (from >= all.size || !strcmp(f->name, "416")) {
      a->status = 416;
      cal_buffer_printf(&a->headers, "Content-Range: bytes */%zu\r\n", all.size);
      from = to = 0;
    } else {
      if (!strcmp(f->name, "wrongrange")) from = from > 100 ? from - 100 : from + 1;
      a->status = 206;
      cal_buffer_printf(&a->headers, "Content-Range: bytes %zu-%zu/%zu\r\n", from, to - 1, all.size);
    }
  }
  cal_buffer_add(&a->body, all.data + from, to - from);
  cal_buffer_free(&all);
}

bool hub_answer(scenario *sc, const request *r, const char *path, int other_port, script *s) {
  extern int fake_port;
  answer a = {.head_only = !strcmp(r->method, "HEAD")};
  char key[1024], repo[256], first[128], second[128];
  const fault *f = fault_table;
  delivery how = WHOLE;
  const char *at = strstr(path, "/resolve/"), *slash = at ? strchr(at + 9, '/') : NULL;
  int used = 0;
  if (!strncmp(path, "/cdn/", 5) || slash) {
    bool cdn = !strncmp(path, "/cdn/", 5);
    const char *file = cdn ? path + 5 : slash + 1;
    for (int i = 0; cdn && i < 2 && strchr(file, '/'); i++) file = strchr(file, '/') + 1;
    snprintf(key, sizeof key, "bytes of %s", file);
    count *of_file = scenario_count(sc, key);
    int version = scenario_has(sc, "changed") && of_file->requests > 0;
    bool direct = !cdn && (!is_large(file) || scenario_has(sc, "direct"));
    if (!cdn) {
      snprintf(key, sizeof key, "%s %s", r->method, path);
      f = scenario_choose(sc, scenario_count(sc, key), "", FILES, of_address);
    }
    if (f != fault_table) {
      question q = {.from = HUGGINGFACE};
      if (f->make) {
        f->make(&q, f, &a);
        if (f->headers) cal_buffer_add_text(&a.headers, f->headers);
      } else if (!strcmp(f->name, "gated"))
        say(&a, 403, "GatedRepo", "Access to model fake/gated is restricted and you are not in the authorized list.");
      else if (!strcmp(f->name, "norepo")) say(&a, 401, "RepoNotFound", "Repository not found");
      else if (!strcmp(f->name, "norevision")) say(&a, 404, "RevisionNotFound", "Invalid rev id");
      else if (!strcmp(f->name, "noentry")) say(&a, 404, "EntryNotFound", "Entry not found");
      else if (strncmp(path, "/new/", 5)) {
        const char *rest = strchr(path + 1, '/');
        a.status = 307;
        cal_buffer_printf(&a.headers, "Location: /s/%s/new%s\r\n", sc->name, rest ? rest : path);
      } else f = fault_table;
    }
    if (f == fault_table && (cdn || direct)) {
      if (!a.head_only) f = scenario_choose(sc, of_file, "", FILES, of_bytes);
      if (!strcmp(f->name, "expired"))
        a.status = 403, a.type = "application/xml", cal_buffer_add_text(&a.body, "<Error><Code>AccessDenied</Code></Error>");
      else bytes_of(r, file, version, f, &a);
      how = !strcmp(f->name, "changed") && !version ? CUT : f->how;
    }
    if (a.status == 0) { /* a large file: where it lies */
      a.status = 302, a.type = "text/plain";
      cal_buffer_printf(&a.headers, "Location: http://localhost:%d/s/%s/cdn%s?X-Amz-Signature=signedsecret&Policy=p\r\n", other_port,
                        sc->name, path);
      char *tail = strstr(a.headers.data, "/resolve/"); /* the revision is not part of where the bytes lie */
      if (tail) {
        char *end = strchr(tail + 9, '/');
        memmove(tail, end, strlen(end) + 1);
        a.headers.size = strlen(a.headers.data);
      }
    }
    if (!cdn && a.status < 400) {
      cal_buffer all = {0};
      char hex[CAL_SHA256_HEX];
      content(file, version, &all);
      etag_of(file, &all, hex);
      cal_buffer_printf(&a.headers, "X-Repo-Commit: %s\r\n", COMMIT);
      if (!scenario_has(sc, "noetag"))
        cal_buffer_printf(&a.headers, is_large(file) ? "X-Linked-Etag: \"%s\"\r\n" : "ETag: W/\"%s\"\r\n", hex);
      if (is_large(file)) cal_buffer_printf(&a.headers, "X-Linked-Size: %zu\r\n", all.size);
      cal_buffer_free(&all);
    }
  } else if (!strcmp(path, "/api/whoami-v2")) {
    if (request_header(r, "authorization"))
      a.status = 200, a.type = "application/json", cal_buffer_add_text(&a.body, "{\"name\":\"fake-user\",\"type\":\"user\"}");
    else say(&a, 401, NULL, "Invalid credentials in Authorization header");
  } else if (sscanf(path, "/api/models/%120[^/]/%120[^/]%n", first, second, &used) == 2 && used) {
    snprintf(repo, sizeof repo, "%s/%s", first, second);
    snprintf(key, sizeof key, "%s %s", r->method, path);
    f = scenario_choose(sc, scenario_count(sc, key), "", FILES, of_address);
    question q = {.from = HUGGINGFACE};
    if (f->make) {
      f->make(&q, f, &a);
      if (f->headers) cal_buffer_add_text(&a.headers, f->headers);
    } else if (!strcmp(f->name, "gated") || !strcmp(f->name, "norepo"))
      say(&a, f->status, *f->name == 'g' ? "GatedRepo" : "RepoNotFound",
          *f->name == 'g' ? "Access to this model is restricted." : "Repository not found");
    else if (!strncmp(path + used, "/tree/", 6)) tree(sc, r, repo, fake_port, &a);
    else {
      a.status = 200, a.type = "application/json";
      cal_buffer_printf(&a.body, "{\"id\":\"%s\",\"sha\":\"%s\",\"gated\":false,\"private\":false,\"siblings\":[", repo, COMMIT);
      for (int i = 0; TREE[i]; i++) cal_buffer_printf(&a.body, "%s{\"rfilename\":\"%s\"}", i ? "," : "", TREE[i]);
      cal_buffer_add_text(&a.body, "]}");
    }
  } else return false;
  if (a.head_only) a.head_length = a.body.size;
  scenario_record(sc, r, path, NULL, f, a.status);
  answer_deliver(&a, how, s);
  answer_free(&a);
  return true;
}
