#include "core/dataset/load.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/image/decode.h"
#include "core/image/draw.h"
#include "core/image/resize.h"

enum { PIECE = 256 << 10 };

/* What is known of the file while it is worked on. */
typedef struct {
  const cal_load_means *means;
  const cal_load_request *request;
  const char *path; /* the request's */
  cal_load_answer *answer;
  cal_fs_info info;
  bool known;       /* the store knew the file: answer->sha */
  bool steady;      /* its mtime would show a later change */
  cal_buffer bytes; /* the file's, once it was read */
  size_t taken;
  cal_error wrong;  /* with the file */
  cal_error unkept; /* of the store */
} job;

static bool stopped(job *j) {
  if (!j->means->stopped || !j->means->stopped(j->means->context)) return false;
  cal_fail(&j->wrong, CAL_E_INTERRUPT, "%s: nobody asks for it any more", j->path);
  return true;
}

/* ---- the file ---- */

static bool look_up(job *j) {
  if (cal_fs_stat(j->means->fs, j->path, &j->info, &j->wrong)) return false;
  if (j->info.kind != CAL_FS_FILE) return cal_fail(&j->wrong, CAL_E_FORMAT, "%s is not a regular file", j->path), false;
  if (j->info.size > CAL_PICTURE_MOST)
    return cal_fail(&j->wrong, CAL_E_LIMIT, "%s has %.1f GB; pictures of at most %.1f GB are read", j->path, (double)j->info.size / 1e9,
                    CAL_PICTURE_MOST / 1e9),
           false;
  j->answer->size = j->info.size;
  j->answer->mtime_ns = j->info.mtime_ns;
  j->steady = cal_content_steady(&j->info);
  if (cal_store_file(j->means->store, &j->info, j->answer->sha, &j->known, &j->unkept)) j->known = false;
  if (!j->known) j->answer->sha[0] = 0;
  return true;
}

/* Read all of it, into `bytes` unless that is NULL; the hash on the way unless it is known. */
static bool read_file(job *j, cal_buffer *bytes) {
  const int fd = cal_fs_open(j->means->fs, j->path, &j->wrong);
  if (fd < 0) return false;
  char *piece = bytes ? NULL : cal_alloc(PIECE, &j->wrong);
  cal_sha256 h;
  cal_sha256_start(&h);
  uint64_t total = 0;
  ssize_t got = 0;
  if (bytes) cal_buffer_reserve(bytes, (size_t)j->info.size + PIECE);
  while (!j->wrong.code && !stopped(j)) {
    if (bytes && !cal_buffer_reserve(bytes, PIECE)) {
      cal_fail(&j->wrong, CAL_E_MEMORY, "%s: not enough memory to read it", j->path);
      break;
    }
    char *to = bytes ? bytes->data + bytes->size : piece;
    got = read(fd, to, PIECE);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) cal_fail_errno(&j->wrong, errno, "%s cannot be read", j->path);
    if (got <= 0) break;
    if (!j->known) cal_sha256_add(&h, to, (size_t)got);
    if (bytes) bytes->size += (size_t)got;
    total += (uint64_t)got;
    if (total > j->info.size) break; /* it grows */
  }
  close(fd);
  cal_free(piece);
  cal_fs_info after;
  if (!j->wrong.code && !cal_fs_stat(j->means->fs, j->path, &after, &j->wrong) &&
      (total != j->info.size || !cal_content_same(&j->info, &after)))
    cal_fail(&j->wrong, CAL_E_BUSY, "%s changed while it was being read; it can be asked for again", j->path);
  if (j->wrong.code) j->answer->sha[0] = 0;
  else if (!j->known) cal_sha256_end(&h, j->answer->sha);
  return !j->wrong.code;
}

/* What decoding will hold: the picture twice (it may be turned, or come from another layout); of a JPEG that is decoded smaller, less,
 * and what a progressive one keeps of its waves. */
static size_t cost(const cal_image_info *info, int min_side) {
  const int shorter = info->width < info->height ? info->width : info->height;
  const size_t pixels = (size_t)info->width * (size_t)info->height;
  if ((long long)info->width * info->height > CAL_IMAGE_MAX_PIXELS) return 0; /* will be refused */
  if (info->format != CAL_IMAGE_JPEG) return 8 * pixels;
  size_t by = 1;
  while (by < 8 && min_side > 0 && shorter / (int)(2 * by) >= 2 * min_side) by *= 2;
  return 3 * pixels + 6 * pixels / (by * by);
}

/* The smallest useful side, so that the longer one is at least `side`; 0: all of it. */
static int min_side(const cal_image_info *info, int side) {
  const int longer = info->width > info->height ? info->width : info->height,
            shorter = info->width < info->height ? info->width : info->height;
  if (!side || side >= longer) return 0;
  const int least = (int)(((long long)shorter * side + longer / 2) / longer);
  return least > 1 ? least : 1;
}

/* What a square around it takes besides. */
static size_t cost_of_square(const cal_image_info *info) {
  const size_t longer = (size_t)(info->width > info->height ? info->width : info->height);
  return longer * longer > CAL_IMAGE_MAX_PIXELS ? 0 : 3 * longer * longer;
}

/* The bytes into memory. All that the job will hold is asked for at once: jobs that hold a part and wait for more could wait for
 * each other. */
static bool read_bytes(job *j, int side) {
  cal_image_info info;
  size_t bytes = (size_t)j->info.size;
  if (!cal_image_probe(j->means->fs, j->path, &info, NULL))
    bytes += cost(&info, min_side(&info, side)) + (j->request->square ? cost_of_square(&info) : 0);
  if (j->means->take && !j->means->take(j->means->context, bytes))
    return cal_fail(&j->wrong, CAL_E_INTERRUPT, "%s: nobody asks for it any more", j->path), false;
  j->taken = bytes;
  return read_file(j, &j->bytes);
}

/* ---- what was learnt ---- */

static bool learnt(const job *j) { return !j->known && j->steady && j->answer->sha[0]; }

/* In one batch: the file's identity with `look` or measures, each may be missing. Where the store cannot, the answer says so. */
static void keep(job *j, const cal_content_look *look, bool measured) {
  cal_store *s = j->means->store;
  const bool identity = learnt(j);
  if (!j->answer->sha[0] || (!identity && !look && !measured)) return;
  cal_status status = cal_store_begin(s, &j->unkept);
  if (!status && identity) status = cal_store_remember_file(s, &j->info, j->answer->sha, &j->unkept);
  if (!status && look) status = cal_content_keep_look(s, j->answer->sha, look, &j->unkept);
  if (!status && measured) status = cal_content_keep(s, j->answer->sha, j->path, j->answer->measures, &j->wrong, &j->unkept);
  if (!status) cal_store_end(s, &j->unkept);
  else cal_store_drop(s);
}

static void tell_look(job *j, const cal_content_look *look) {
  j->answer->width = look->width;
  j->answer->height = look->height;
  memcpy(j->answer->format, look->format, sizeof j->answer->format);
}

static void tell_info(job *j, const cal_image_info *info, cal_content_look *look) {
  *look = (cal_content_look){.width = cal_image_shown_width(info), .height = cal_image_shown_height(info)};
  snprintf(look->format, sizeof look->format, "%s", cal_image_format_name(info->format));
  tell_look(j, look);
}

/* ---- decoding ---- */

/* The picture with its long side at most `side`; 0: as it is. */
static cal_image *decode(job *j, int side, cal_content_look *look) {
  cal_image_info info;
  bool cut;
  const unsigned char *bytes = (const unsigned char *)(j->bytes.data ? j->bytes.data : "");
  if (cal_image_header(bytes, j->bytes.size, j->path, &info, &cut, &j->wrong)) return NULL;
  const cal_image_hint hint = {.min_side = min_side(&info, side)};
  if (stopped(j)) return NULL;
  cal_image *im = cal_image_decode(bytes, j->bytes.size, j->path, &hint, &info, &j->wrong);
  if (!im) return NULL;
  tell_info(j, &info, look);
  const bool wide = im->width >= im->height;
  const int long_side = wide ? im->width : im->height;
  if (!side || long_side <= side) return im;
  /* The mean over whole pixels is quick and right for much smaller ones; nearer to the size, Lanczos keeps the edges. */
  cal_image *small = cal_image_resize(im, wide ? side : 0, wide ? 0 : side, long_side >= 2 * side ? CAL_AREA : CAL_LANCZOS3, &j->wrong);
  cal_image_free(im);
  return small;
}

/* ---- what can be asked ---- */

/* NULL: to be made anew. Stores come from elsewhere, too, and a thumbnail is decoded without a word about memory. */
static cal_image *decode_thumb(const cal_buffer *jpeg, const char *path) {
  cal_image_info info;
  bool cut;
  const unsigned char *bytes = (const unsigned char *)(jpeg->data ? jpeg->data : "");
  if (cal_image_header(bytes, jpeg->size, path, &info, &cut, NULL) || info.width > CAL_THUMB_SIDE || info.height > CAL_THUMB_SIDE)
    return NULL;
  return cal_image_decode(bytes, jpeg->size, path, NULL, NULL, NULL);
}

/* The content is known: its thumbnail from the store, or why there is none. */
static bool recall_thumb(job *j) {
  cal_content_look look;
  cal_buffer jpeg = {0};
  char *measures = NULL;
  bool found = false, kept = false;
  cal_store *s = j->means->store;
  if (cal_content_recall_look(s, j->answer->sha, &look, &found, &j->unkept)) return false;
  if (found && look.thumb[0] && !cal_store_blob(s, look.thumb, &jpeg, &kept, &j->unkept) && kept)
    j->answer->image = decode_thumb(&jpeg, j->path);
  cal_buffer_free(&jpeg);
  if (j->answer->image) return tell_look(j, &look), true;
  if (cal_content_recall(s, j->answer->sha, j->path, &measures, &j->wrong, &j->unkept)) return false;
  cal_free(measures);
  return j->wrong.code != CAL_OK;
}

static void thumb(job *j) {
  if (j->known && recall_thumb(j)) return;
  if (!read_bytes(j, CAL_THUMB_SIDE)) return;
  if (!j->known && recall_thumb(j)) { /* another file of the same content */
    keep(j, NULL, false);
    return;
  }
  cal_content_look look;
  cal_image *im = decode(j, CAL_THUMB_SIDE, &look);
  if (im) j->answer->image = cal_content_small(im, &j->wrong);
  cal_image_free(im);
  const bool put = j->answer->image && !cal_content_put_thumb(j->means->store, j->answer->image, look.thumb, &j->unkept);
  keep(j, put ? &look : NULL, !j->answer->image);
}

static void picture(job *j) {
  const int side = j->request->side;
  cal_content_look look;
  if (!read_bytes(j, side)) return;
  j->answer->image = decode(j, side, &look);
  keep(j, NULL, false);
}

static cal_image *instead(cal_image *im, cal_image *made) {
  cal_image_free(im);
  return made;
}

/* White at both ends of the shorter side; an odd pixel more of it comes after the picture. */
static cal_image *squared(job *j, const cal_image *im) {
  const int side = im->width > im->height ? im->width : im->height;
  if ((long long)side * side > CAL_IMAGE_MAX_PIXELS)
    return cal_fail(&j->wrong, CAL_E_LIMIT, "%s: %d x %d with a border that makes it a square is too large; crop it", j->path, im->width,
                    im->height),
           NULL;
  cal_image *square = cal_image_new(side, side, 3, &j->wrong);
  if (!square) return NULL;
  memset(square->pixels, 255, cal_image_size(square));
  cal_draw_paste(square, im, (side - im->width) / 2, (side - im->height) / 2);
  return square;
}

static cal_image *fit(job *j, cal_image *im) {
  const cal_load_request *r = j->request;
  im = instead(im, cal_image_rgb(im, NULL, &j->wrong));
  if (im && r->square && im->width != im->height) im = instead(im, squared(j, im));
  if (im && stopped(j)) im = instead(im, NULL);
  return im ? instead(im, cal_image_resize(im, r->width, r->height, CAL_BICUBIC, &j->wrong)) : NULL;
}

/* Who asks wants to know what exactly was decoded: what the store says of the file is not believed, and put right. */
static void fitted(job *j) {
  const bool known = j->known;
  char before[CAL_SHA256_HEX];
  memcpy(before, j->answer->sha, sizeof before);
  j->known = false;
  if (!read_bytes(j, 0)) return;
  j->known = known && !strcmp(before, j->answer->sha);
  cal_content_look look;
  cal_image *im = decode(j, 0, &look);
  if (im) j->answer->image = fit(j, im);
  keep(j, NULL, false);
}

static void identify(job *j) {
  cal_content_look look;
  cal_image_info info;
  bool found = false;
  if (!j->known && !read_file(j, NULL)) return;
  if (!cal_content_recall_look(j->means->store, j->answer->sha, &look, &found, &j->unkept) && found) tell_look(j, &look);
  else if (!cal_image_probe(j->means->fs, j->path, &info, &j->wrong)) tell_info(j, &info, &look);
  keep(j, found || j->wrong.code ? NULL : &look, false);
}

static void measure(job *j) {
  cal_store *s = j->means->store;
  char **measures = &j->answer->measures;
  if (j->known && !cal_content_recall(s, j->answer->sha, j->path, measures, &j->wrong, &j->unkept) && (*measures || j->wrong.code)) return;
  if (!read_bytes(j, 0)) return;
  if (!j->known && !cal_content_recall(s, j->answer->sha, j->path, measures, &j->wrong, &j->unkept) && (*measures || j->wrong.code)) {
    keep(j, NULL, false);
    return;
  }
  if (stopped(j)) return;
  if (cal_content_measure(s, &j->bytes, j->path, measures, &j->wrong, &j->unkept)) j->wrong = j->unkept; /* no thumbnail, no record */
  else keep(j, NULL, true);
}

/* Of MEASURE, too: the size as displayed. */
static void tell_measured(job *j) {
  cal_content_look look;
  bool found = false;
  if (j->answer->measures && !cal_content_recall_look(j->means->store, j->answer->sha, &look, &found, NULL) && found) tell_look(j, &look);
}

void cal_load(const cal_load_means *means, const cal_load_request *request, cal_load_answer *answer) {
  job j = {.means = means, .request = request, .path = request->path, .answer = answer};
  if (look_up(&j)) switch (request->what) {
      case CAL_LOAD_THUMB: thumb(&j); break;
      case CAL_LOAD_PICTURE: picture(&j); break;
      case CAL_LOAD_IDENTIFY: identify(&j); break;
      case CAL_LOAD_MEASURE: measure(&j), tell_measured(&j); break;
      case CAL_LOAD_FITTED: fitted(&j); break;
    }
  cal_buffer_free(&j.bytes);
  if (means->give && j.taken) means->give(means->context, j.taken);
  const bool got = request->what == CAL_LOAD_IDENTIFY || answer->image || answer->measures;
  if (!got && !j.wrong.code) cal_fail(&j.wrong, CAL_E_MEMORY, "%s: not enough memory", j.path);
  answer->code = j.wrong.code;
  if (j.wrong.code) answer->error = cal_copy_text(j.wrong.text, NULL); /* NULL: said by the code alone */
  if (j.unkept.code) answer->note = cal_copy_text(j.unkept.text, NULL);
}

void cal_load_answer_free(cal_load_answer *answer) {
  cal_free(answer->path);
  cal_image_free(answer->image);
  cal_free(answer->measures);
  cal_free(answer->error);
  cal_free(answer->note);
  *answer = (cal_load_answer){0};
}
