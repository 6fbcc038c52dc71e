#include "core/net/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/interrupt.h"
#include "core/base/library.h"
#include "core/base/log.h"

enum {
  MOST_REDIRECTS = 10,
  MOST_HEADERS = 256 << 10,
  MOST_ERROR_BODY = 64 << 10,
  MOST_REPLY = 4 << 20,
  POOL = 64, /* handles kept for the next request */
};
static const double TURN = 0.03; /* seconds between two looks for Ctrl-C */

/* --- libcurl, opened when first needed ------------------------------------------------------------------------------ */
#define FUNCTIONS(X)     \
  X(global_init)         \
  X(easy_init)           \
  X(easy_setopt)         \
  X(easy_getinfo)        \
  X(easy_cleanup)        \
  X(easy_reset)          \
  X(easy_strerror)       \
  X(multi_init)          \
  X(multi_add_handle)    \
  X(multi_remove_handle) \
  X(multi_perform)       \
  X(multi_poll)          \
  X(multi_info_read)     \
  X(multi_strerror)      \
  X(multi_cleanup)       \
  X(slist_append)        \
  X(slist_free_all)      \
  X(url)                 \
  X(url_get)             \
  X(url_set)             \
  X(url_cleanup)         \
  X(free)

#define MEMBER(name) __typeof__(curl_##name) *name;
static struct { FUNCTIONS(MEMBER) } lib;
#undef MEMBER

static cal_status open_library(cal_error *err) {
#define SLOT(name) {"curl_" #name, (void *)&lib.name},
  static const cal_symbol symbols[] = {FUNCTIONS(SLOT){0}};
#undef SLOT
  static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.so", "libcurl.4.dylib", "libcurl.dylib", NULL};
  static cal_library library = {"libcurl", names, symbols, "libcurl4", NULL};
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static bool ready;
  pthread_mutex_lock(&lock);
  cal_status status = cal_library_open(&library, err);
  if (!status && !ready) {
    if (lib.global_init(CURL_GLOBAL_DEFAULT)) status = cal_fail(err, CAL_E_MISSING, "libcurl cannot be made ready");
    else ready = true;
  }
  pthread_mutex_unlock(&lock);
  return status;
}

/* --- Hosts ---------------------------------------------------------------------------------------------------------- */
static const char *bare(const char *host, char out[INET6_ADDRSTRLEN + 1]) { /* without [] and the zone */
  const size_t size = strlen(host);
  if (size < 2 || host[0] != '[' || host[size - 1] != ']' || size - 2 > INET6_ADDRSTRLEN) return host;
  memcpy(out, host + 1, size - 2);
  out[size - 2] = 0;
  out[strcspn(out, "%")] = 0;
  return out;
}

static bool address_of(const char *host, unsigned char out[16], bool *six) {
  char text[INET6_ADDRSTRLEN + 1];
  host = bare(host, text);
  if (inet_pton(AF_INET, host, out) == 1) return *six = false, true;
  if (inet_pton(AF_INET6, host, out) != 1) return false;
  static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff}; /* ::ffff:127.0.0.1 */
  *six = memcmp(out, mapped, sizeof mapped) != 0;
  if (!*six) memmove(out, out + 12, 4);
  return true;
}

bool cal_host_loopback(const char *host) {
  static const unsigned char one[16] = {[15] = 1};
  unsigned char a[16];
  bool six;
  if (address_of(host, a, &six)) return six ? memcmp(a, one, 16) == 0 : a[0] == 127;
  const size_t size = strlen(host);
  return strcasecmp(host, "localhost") == 0 || (size > 10 && strcasecmp(host + size - 10, ".localhost") == 0);
}

bool cal_host_private(const char *host) {
  unsigned char a[16];
  bool six;
  if (cal_host_loopback(host)) return true;
  if (!address_of(host, a, &six)) return false;
  if (six) return (a[0] & 0xfe) == 0xfc || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
  return a[0] == 10 || (a[0] == 172 && (a[1] & 0xf0) == 16) || (a[0] == 192 && a[1] == 168) || (a[0] == 169 && a[1] == 254);
}

cal_status cal_url_read(const char *text, cal_url *p, cal_error *err) {
  char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL;
  *p = (cal_url){0};
  cal_status status = open_library(err);
  if (status) return status;
  CURLU *url = lib.url();
  if (!url) return cal_fail(err, CAL_E_MEMORY, "not enough memory for a URL");
  const bool readable = !lib.url_set(url, CURLUPART_URL, text, 0) && !lib.url_get(url, CURLUPART_SCHEME, &scheme, 0);
  if (readable && strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
    status = cal_fail(err, CAL_E_ARG, "%s:// is not spoken here; http and https are", scheme);
  else if (!readable || lib.url_get(url, CURLUPART_HOST, &host, 0) || lib.url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT))
    status = cal_fail(err, CAL_E_ARG, "\"%.*s\" is no URL; https://host/path is one", (int)strcspn(text, "?#@"), text);
  else if (strlen(host) >= sizeof p->host || strlen(port) >= sizeof p->port)
    status = cal_fail(err, CAL_E_ARG, "the host of a URL has %zu letters", strlen(host));
  else if (lib.url_get(url, CURLUPART_USER, &user, 0) != CURLUE_NO_USER)
    status = cal_fail(err, CAL_E_ARG, "%s: a URL with a name or password in it; keys belong into the environment or .env", host);
  else {
    unsigned char address[16];
    bool six;
    strcpy(p->host, host);
    strcpy(p->port, port);
    p->secure = strcmp(scheme, "https") == 0;
    p->name = !address_of(host, address, &six);
  }
  lib.free(scheme), lib.free(host), lib.free(port), lib.free(user);
  lib.url_cleanup(url);
  return status;
}

static bool same_place(const cal_url *a, const cal_url *b) {
  return a->secure == b->secure && strcasecmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}

/* --- Transfers ------------------------------------------------------------------------------------------------------ */
typedef struct flight {
  struct flight *next;
  cal_http *http;
  void *tag;
  cal_http_request request; /* url, headers and method of it are not used after the start */
  CURL *easy;
  struct curl_slist *lines; /* the key's header is the first when there is a key */
  cal_url at;
  char *url;
  char method[16];
  bool with_key;    /* the key goes along in this hop */
  bool key_checked; /* the address at the other end is a private one */
  int redirects;
  size_t header_bytes, body_bytes;
  bool too_large, head_whole; /* head_whole: the blank line after the headers came; curl does not insist on it */
  double started;
  uint64_t sent, received; /* of hops before this one */
  cal_http_reply *reply;
  char text[CURL_ERROR_SIZE];
} flight;

struct cal_http {
  CURLM *multi;
  flight *flights;
  size_t count;
  CURL *pool[POOL];
  int pooled;
  const char *ca_file, *ca_folder;
};

static bool is_redirect(const flight *f) {
  const int status = f->reply->status;
  return f->request.follow && (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

static size_t on_header(char *bytes, size_t one, size_t count, void *context) {
  flight *f = context;
  cal_http_reply *reply = f->reply;
  const size_t size = one * count;
  f->header_bytes += size;
  if (f->header_bytes > MOST_HEADERS) return f->too_large = true, 0;
  size_t end = size;
  while (end > 0 && (unsigned char)bytes[end - 1] <= ' ') end--;
  if (end == 0) f->head_whole = true; /* what comes after that are trailers */
  if (end > 5 && memcmp(bytes, "HTTP/", 5) == 0) {
    f->head_whole = false;
    const char *space = memchr(bytes, ' ', end);
    reply->headers.size = 0;
    reply->status = space ? atoi(space) : 0; /* curl puts a NUL behind the line */
    return size;
  }
  const char *colon = memchr(bytes, ':', end);
  if (!colon || colon == bytes || memchr(bytes, 0, end)) return size;
  size_t at = (size_t)(colon - bytes) + 1;
  while (at < end && (bytes[at] == ' ' || bytes[at] == '\t')) at++;
  cal_buffer_add(&reply->headers, bytes, (size_t)(colon - bytes));
  cal_buffer_add_byte(&reply->headers, 0);
  cal_buffer_add(&reply->headers, bytes + at, end - at);
  cal_buffer_add_byte(&reply->headers, 0);
  return reply->headers.failed ? 0 : size;
}

static size_t on_body(char *bytes, size_t one, size_t count, void *context) {
  flight *f = context;
  cal_http_reply *reply = f->reply;
  const size_t size = one * count;
  if (is_redirect(f)) return size;
  f->body_bytes += size;
  if (f->body_bytes > f->request.largest) return f->too_large = true, 0;
  if (f->request.sink && reply->status >= 200 && reply->status < 300)
    return f->request.sink(f->request.sink_context, reply, bytes, size, &reply->why) ? 0 : size;
  size_t keep = size;
  if (reply->status >= 400) {
    const size_t room = reply->body.size < MOST_ERROR_BODY ? MOST_ERROR_BODY - reply->body.size : 0;
    if (keep > room) keep = room;
  }
  cal_buffer_add(&reply->body, bytes, keep);
  return reply->body.failed ? 0 : size;
}

/* The connection stands, nothing was sent: a key over plain http goes to a private address only, whatever the name said. */
static int on_connected(void *context, char *address, char *own, int port, int own_port) {
  flight *f = context;
  (void)own, (void)port, (void)own_port;
  f->key_checked = address && cal_host_private(address);
  return f->key_checked ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* Counts how often the request goes out. And how connections are made, for CALOTYPE_DEBUG=2: no header and no body; no line that may tell a
 * proxy's password. */
static int on_debug(CURL *easy, curl_infotype type, char *text, size_t size, void *context) {
  (void)easy;
  flight *f = context;
  const size_t method = strlen(f->method);
  if (type == CURLINFO_HEADER_OUT && size > method && !memcmp(text, f->method, method) && text[method] == ' ') f->reply->sends++;
  if (type != CURLINFO_TEXT || size > 400 || cal_debug_depth() < 2) return 0;
  char line[401];
  memcpy(line, text, size);
  line[size] = 0;
  line[strcspn(line, "\r\n")] = 0;
  if (strchr(line, '@') || strstr(line, "proxy env") || strchr(line, '?')) return 0;
  if (f->request.secret && strstr(line, cal_secret_value(f->request.secret))) return 0;
  cal_debug(2, "%s: %s", f->at.host, line);
  return 0;
}

static cal_status add_line(flight *f, const char *line, cal_error *err) {
  if (strpbrk(line, "\r\n")) return cal_fail(err, CAL_E_ARG, "%s: a header has a line break in it", f->at.host);
  struct curl_slist *more = lib.slist_append(f->lines, line);
  if (!more) return cal_fail(err, CAL_E_MEMORY, "not enough memory for a header");
  f->lines = more;
  return CAL_OK;
}

static cal_status add_key(flight *f, cal_error *err) {
  const cal_http_request *r = &f->request;
  cal_buffer line = {0};
  cal_buffer_printf(&line, "%s: %s%s", r->secret_header ? r->secret_header : "Authorization", r->secret_prefix ? r->secret_prefix : "",
                    cal_secret_value(r->secret));
  cal_status status;
  if (line.failed) status = cal_fail(err, CAL_E_MEMORY, "not enough memory for a header");
  else if (strpbrk(line.data, "\r\n")) status = cal_fail(err, CAL_E_ARG, "%s: the key has a line break in it", f->at.host);
  else status = add_line(f, line.data, err);
  if (line.data) memset(line.data, 0, line.size);
  cal_buffer_free(&line);
  return status;
}

static cal_status add_lines(flight *f, cal_error *err) {
  bool typed = false;
  cal_status status = f->request.secret ? add_key(f, err) : CAL_OK;
  if (status) return status;
  for (const char *const *line = f->request.headers; line && *line; line++) {
    const char *colon = strchr(*line, ':');
    if (!colon || colon == *line) return cal_fail(err, CAL_E_ARG, "%s: a header is not \"Name: value\"", f->at.host);
    if (strncasecmp(*line, "content-type:", 13) == 0) typed = true;
    if ((status = add_line(f, *line, err))) return status;
  }
  if (f->request.body && !typed && (status = add_line(f, "Content-Type: application/octet-stream", err))) return status;
  return add_line(f, "Expect:", err); /* curl would wait a second for a "100 Continue" before bodies above 1 MB */
}

static void set_method(const flight *f) {
  CURL *e = f->easy;
  if (f->request.body) {
    lib.easy_setopt(e, CURLOPT_POST, 1L);
    lib.easy_setopt(e, CURLOPT_POSTFIELDS, f->request.body);
    lib.easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->request.body_size);
    lib.easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
    if (strcmp(f->method, "POST") != 0) lib.easy_setopt(e, CURLOPT_CUSTOMREQUEST, f->method);
  } else if (strcmp(f->method, "HEAD") == 0) lib.easy_setopt(e, CURLOPT_NOBODY, 1L);
  else if (strcmp(f->method, "POST") == 0) {
    lib.easy_setopt(e, CURLOPT_POST, 1L);
    lib.easy_setopt(e, CURLOPT_POSTFIELDS, "");
    lib.easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
  } else {
    lib.easy_setopt(e, CURLOPT_HTTPGET, 1L);
    if (strcmp(f->method, "GET") != 0) lib.easy_setopt(e, CURLOPT_CUSTOMREQUEST, f->method);
  }
}

static long milliseconds(double seconds) { return seconds < 0.001 ? 1 : seconds > 1e6 ? 1000000000 : lround(seconds * 1000); }

/* One hop: f->url, f->at and f->with_key say where to. */
static cal_status take_off(flight *f, cal_error *err) {
  CURL *e = f->easy;
  const cal_http_request *r = &f->request;
  if (f->with_key && !f->at.secure) {
    if (!f->at.name && !cal_host_private(f->at.host))
      return cal_fail(err, CAL_E_DENIED, "%s: a key would go over the open net; https:// is needed there", f->at.host);
    if (lib.easy_setopt(e, CURLOPT_PREREQFUNCTION, on_connected) || lib.easy_setopt(e, CURLOPT_PREREQDATA, f))
      return cal_fail(err, CAL_E_MISSING, "libcurl is too old to look where a key goes; https:// works, or libcurl 7.80");
    lib.easy_setopt(e, CURLOPT_NOPROXY, "*");
  } else if (cal_host_loopback(f->at.host)) lib.easy_setopt(e, CURLOPT_NOPROXY, "*");
  else lib.easy_setopt(e, CURLOPT_NOPROXY, NULL); /* the environment decides */
  lib.easy_setopt(e, CURLOPT_URL, f->url);
  lib.easy_setopt(e, CURLOPT_HTTPHEADER, r->secret && !f->with_key ? f->lines->next : f->lines);
  if (r->total_seconds > 0) {
    const double left = r->total_seconds - (cal_clock() - f->started);
    lib.easy_setopt(e, CURLOPT_TIMEOUT_MS, milliseconds(left));
  }
  f->header_bytes = f->body_bytes = 0;
  f->text[0] = 0;
  CURLMcode code = lib.multi_add_handle(f->http->multi, e);
  return code ? cal_fail(err, CAL_E_MEMORY, "%s: %s", f->at.host, lib.multi_strerror(code)) : CAL_OK;
}

static void set_up(flight *f) {
  CURL *e = f->easy;
  const cal_http_request *r = &f->request;
  lib.easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
  lib.easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a thread that looks up a name: Ctrl-C is waiting */
#endif
#if LIBCURL_VERSION_NUM >= 0x075500
  lib.easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
  lib.easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "https");
#endif
  lib.easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L); /* by hand: curl would send our key's header on to other hosts */
  lib.easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  lib.easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  lib.easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  lib.easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
  lib.easy_setopt(e, CURLOPT_USERAGENT, "calotype/" CAL_VERSION);
  lib.easy_setopt(e, CURLOPT_ERRORBUFFER, f->text);
  lib.easy_setopt(e, CURLOPT_PRIVATE, f);
  lib.easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
  lib.easy_setopt(e, CURLOPT_HEADERDATA, f);
  lib.easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
  lib.easy_setopt(e, CURLOPT_WRITEDATA, f);
  lib.easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(r->connect_seconds));
  if (f->http->ca_file) lib.easy_setopt(e, CURLOPT_CAINFO, f->http->ca_file);
  if (f->http->ca_folder) lib.easy_setopt(e, CURLOPT_CAPATH, f->http->ca_folder);
  if (r->sink) lib.easy_setopt(e, CURLOPT_BUFFERSIZE, 256L << 10);
  else lib.easy_setopt(e, CURLOPT_ACCEPT_ENCODING, ""); /* all that this libcurl can undo */
  if (r->once) lib.easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
  if (r->stall_seconds > 0) {
    lib.easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1000L);
    lib.easy_setopt(e, CURLOPT_LOW_SPEED_TIME, lround(fmax(1, r->stall_seconds)));
  }
  lib.easy_setopt(e, CURLOPT_VERBOSE, 1L); /* to on_debug alone */
  lib.easy_setopt(e, CURLOPT_DEBUGFUNCTION, on_debug);
  lib.easy_setopt(e, CURLOPT_DEBUGDATA, f);
  set_method(f);
}

static void land(flight *f) { /* frees it, its reply too when it still has one */
  cal_http *h = f->http;
  if (f->easy) {
    lib.multi_remove_handle(h->multi, f->easy);
    if (h->pooled < POOL) {
      lib.easy_reset(f->easy);
      h->pool[h->pooled++] = f->easy;
    } else lib.easy_cleanup(f->easy);
  }
  lib.slist_free_all(f->lines);
  cal_http_reply_free(f->reply);
  cal_free(f->url);
  cal_free(f);
}

cal_status cal_http_start(cal_http *h, const cal_http_request *request, void *tag, cal_error *err) {
  const char *method = request->method ? request->method : "GET";
  cal_url at;
  cal_status status = cal_url_read(request->url, &at, err);
  if (status) return status;
  if (strlen(method) >= sizeof((flight *)NULL)->method || method[strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] || !*method)
    return cal_fail(err, CAL_E_ARG, "%s: \"%.20s\" is no method; GET and POST are", at.host, method);
  if (request->follow && strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
    return cal_fail(err, CAL_E_ARG, "%s: a %s does not follow redirects", at.host, method);
  flight *f = cal_alloc_zero(1, sizeof *f, err);
  if (!f) return CAL_E_MEMORY;
  f->http = h, f->tag = tag, f->request = *request, f->at = at, f->started = cal_clock(), f->with_key = request->secret != NULL;
  strcpy(f->method, method);
  if (!f->request.largest) f->request.largest = MOST_REPLY;
  if (f->request.connect_seconds <= 0) f->request.connect_seconds = 15;
  f->url = cal_copy_text(request->url, err);
  f->reply = f->url ? cal_alloc_zero(1, sizeof *f->reply, err) : NULL;
  if (!f->reply) status = CAL_E_MEMORY;
  if (!status) status = add_lines(f, err);
  if (!status) {
    f->easy = h->pooled ? h->pool[--h->pooled] : lib.easy_init();
    if (!f->easy) status = cal_fail(err, CAL_E_MEMORY, "not enough memory for a transfer");
  }
  if (!status) {
    set_up(f);
    status = take_off(f, err);
  }
  if (status) return land(f), status;
  f->request.url = NULL, f->request.headers = NULL, f->request.method = NULL; /* the caller's; not looked at any more */
  f->next = h->flights;
  h->flights = f;
  h->count++;
  return CAL_OK;
}

/* --- What came ------------------------------------------------------------------------------------------------------ */
static cal_transfer kind_of(CURLcode code, const flight *f) {
  curl_off_t ready = 0;
  switch (code) {
    case CURLE_OK: return f->head_whole ? CAL_TRANSFER_OK : CAL_TRANSFER_CUT;
    case CURLE_UNSUPPORTED_PROTOCOL: /* an answer that does not begin with HTTP/: garbage, or what was left of the one before */
      return f->sent ? CAL_TRANSFER_CUT : CAL_TRANSFER_OTHER;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return CAL_TRANSFER_RESOLVE;
    case CURLE_COULDNT_CONNECT: return CAL_TRANSFER_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_USE_SSL_FAILED:
    case CURLE_SSL_INVALIDCERTSTATUS: return CAL_TRANSFER_TLS;
    case CURLE_OPERATION_TIMEDOUT:
      lib.easy_getinfo(f->easy, CURLINFO_PRETRANSFER_TIME_T, &ready);
      if (!ready) return CAL_TRANSFER_CONNECT;
      if (f->request.total_seconds > 0 && cal_clock() - f->started >= f->request.total_seconds - 0.01) return CAL_TRANSFER_TIMEOUT;
      return CAL_TRANSFER_STALL;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE: return CAL_TRANSFER_CUT;
    case CURLE_WRITE_ERROR: return f->too_large ? CAL_TRANSFER_TOO_LARGE : CAL_TRANSFER_OTHER;
    default: return CAL_TRANSFER_OTHER;
  }
}

/* What the system says of a connection that nobody took; curl's own sentence would name the host and the port again. NULL: curl knows more.
 */
static const char *system_says(const flight *f) {
  long number = 0;
  if (strncmp(f->text, "Failed to connect to ", 21) != 0 || !strstr(f->text, f->at.host)) return NULL;
  lib.easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &number);
  return number > 0 ? strerror((int)number) : "no connection";
}

/* What curl says, unless it may tell a proxy's name and password. */
static const char *curl_says(CURLcode code, const flight *f) {
  return f->text[0] && !strchr(f->text, '@') && !strchr(f->text, '?') ? f->text : lib.easy_strerror(code);
}

static void explain(CURLcode code, const flight *f) {
  cal_http_reply *reply = f->reply;
  const cal_http_request *r = &f->request;
  const char *host = f->at.host, *port = f->at.port, *plain = system_says(f), *text = plain ? plain : curl_says(code, f);
#define SAY(...) cal_fail(&reply->why, CAL_E_NETWORK, __VA_ARGS__)
  switch (reply->failure) {
    case CAL_TRANSFER_OK: break;
    case CAL_TRANSFER_RESOLVE: SAY("%s: no such host, or no network: %s", host, text); break;
    case CAL_TRANSFER_CONNECT: SAY("%s:%s cannot be reached: %s", host, port, text); break;
    case CAL_TRANSFER_TLS:
      SAY("%s: no secure connection: %s (the certificates of a company's own proxy are named with CALOTYPE_CA=FILE)", host, text);
      break;
    case CAL_TRANSFER_TIMEOUT: SAY("%s: no whole reply within %g s", host, r->total_seconds); break;
    case CAL_TRANSFER_STALL: SAY("%s: less than 1 kB/s for %g s", host, r->stall_seconds); break;
    case CAL_TRANSFER_CUT:
      if (code == CURLE_OK) SAY("%s: the connection was cut in the headers of the reply", host);
      else if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY) SAY("%s: the reply is no HTTP: %s", host, text);
      else SAY("%s: the connection was cut after %zu bytes of the reply", host, f->body_bytes);
      break;
    case CAL_TRANSFER_TOO_LARGE:
      if (f->header_bytes > MOST_HEADERS) SAY("%s: the headers of the reply have more than %d bytes", host, MOST_HEADERS);
      else SAY("%s: the reply has more than %zu bytes", host, r->largest);
      break;
    case CAL_TRANSFER_OTHER:
      if (reply->why.code) break; /* the sink has spoken */
      if (f->with_key && !f->at.secure && code == CURLE_ABORTED_BY_CALLBACK)
        SAY("%s: its address is not a private one, and a key would go over the open net; https:// is needed there", host);
      else if (reply->body.failed || reply->headers.failed) SAY("%s: not enough memory for the reply", host);
      else SAY("%s: %s", host, text);
  }
#undef SAY
}

static void count_bytes(flight *f) {
  long request = 0, head = 0;
  curl_off_t up = 0, down = 0;
  lib.easy_getinfo(f->easy, CURLINFO_REQUEST_SIZE, &request);
  lib.easy_getinfo(f->easy, CURLINFO_HEADER_SIZE, &head);
  lib.easy_getinfo(f->easy, CURLINFO_SIZE_UPLOAD_T, &up);
  lib.easy_getinfo(f->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
  /* A body that went out together with the headers is in both. */
  f->sent += request > up ? (uint64_t)request : (uint64_t)request + (uint64_t)up;
  f->received += (uint64_t)head + (uint64_t)down;
}

static void refuse_redirect(flight *f, const char *why) {
  f->reply->failure = CAL_TRANSFER_OTHER;
  cal_fail(&f->reply->why, CAL_E_NETWORK, "%s: %s", f->at.host, why);
}

/* True: it flies on, to where the redirect points. */
static bool follow(flight *f) {
  const char *target = NULL;
  lib.easy_getinfo(f->easy, CURLINFO_REDIRECT_URL, &target);
  if (!target) return refuse_redirect(f, "a redirect that says not where to"), false;
  if (++f->redirects > MOST_REDIRECTS) return refuse_redirect(f, "more than 10 redirects"), false;
  cal_url to;
  cal_error err = {0};
  if (cal_url_read(target, &to, &err)) return refuse_redirect(f, err.text), false;
  if (f->at.secure && !to.secure) return refuse_redirect(f, "a redirect from https to http"), false;
  char *url = cal_copy_text(target, &err);
  if (!url) return refuse_redirect(f, err.text), false;
  lib.multi_remove_handle(f->http->multi, f->easy);
  cal_free(f->url);
  f->url = url;
  if (!same_place(&f->at, &to)) f->with_key = false; /* and not again, should a later hop lead back */
  f->at = to;
  if (!f->with_key) lib.easy_setopt(f->easy, CURLOPT_PREREQFUNCTION, NULL);
  f->reply->status = 0;
  f->reply->headers.size = 0;
  if (take_off(f, &err)) return refuse_redirect(f, err.text), false;
  return true;
}

static void take_out(cal_http *h, flight *f) {
  flight **at = &h->flights;
  while (*at != f) at = &(*at)->next;
  *at = f->next;
  h->count--;
}

static cal_http_reply *finish(flight *f, CURLcode code) {
  cal_http_reply *reply = f->reply;
  curl_off_t first = 0;
  if (reply->failure == CAL_TRANSFER_OK) {
    reply->failure = kind_of(code, f);
    explain(code, f);
  }
  lib.easy_getinfo(f->easy, CURLINFO_STARTTRANSFER_TIME_T, &first);
  reply->first_byte = reply->status ? (double)first * 1e-6 : 0;
  reply->seconds = cal_clock() - f->started;
  reply->bytes_sent = f->sent;
  reply->bytes_received = f->received;
  reply->sent_any = f->sent > 0;
  take_out(f->http, f);
  f->reply = NULL;
  land(f);
  return reply;
}

static cal_http_reply *next_finished(cal_http *h, void **tag) {
  CURLMsg *message;
  int more;
  while ((message = lib.multi_info_read(h->multi, &more))) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result; /* the message is gone when the handle is */
    char *private = NULL;
    lib.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
    flight *f = (flight *)(void *)private;
    count_bytes(f);
    if (code == CURLE_OK && is_redirect(f) && follow(f)) continue;
    *tag = f->tag;
    return finish(f, code);
  }
  return NULL;
}

cal_status cal_http_wait(cal_http *h, double seconds, void **tag, cal_http_reply **reply, cal_error *err) {
  const double end = cal_clock() + seconds;
  *reply = NULL;
  *tag = NULL;
  for (;;) {
    int running;
    CURLMcode code = lib.multi_perform(h->multi, &running);
    if (code) return cal_fail(err, CAL_E_NETWORK, "libcurl: %s", lib.multi_strerror(code));
    if ((*reply = next_finished(h, tag))) return CAL_OK;
    const double left = end - cal_clock();
    if (!h->flights || left <= 0 || cal_interrupt_level()) return CAL_OK;
    lib.multi_poll(h->multi, NULL, 0, (int)ceil(fmin(left, TURN) * 1000), NULL);
  }
}

void cal_http_cancel(cal_http *h, void *tag) {
  for (flight **at = &h->flights; *at;) {
    flight *f = *at;
    if (f->tag == tag) {
      *at = f->next;
      h->count--;
      land(f);
    } else at = &f->next;
  }
}

size_t cal_http_flying(const cal_http *h) { return h->count; }

const char *cal_http_header(const cal_http_reply *reply, const char *name) {
  const char *at = reply->headers.data, *end = at + reply->headers.size;
  while (at && at < end) {
    const char *value = at + strlen(at) + 1;
    if (strcasecmp(at, name) == 0) return value;
    at = value + strlen(value) + 1;
  }
  return NULL;
}

void cal_http_reply_free(cal_http_reply *reply) {
  if (!reply) return;
  cal_buffer_free(&reply->body);
  cal_buffer_free(&reply->headers);
  cal_free(reply);
}

/* --- Open and close ------------------------------------------------------------------------------------------------- */
static const char *set(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

cal_http *cal_http_open(cal_error *err) {
  static const char *const files[] = {"CALOTYPE_CA", "CURL_CA_BUNDLE", "SSL_CERT_FILE"};
  if (open_library(err)) return NULL;
  cal_http *h = cal_alloc_zero(1, sizeof *h, err);
  if (!h) return NULL;
  for (size_t i = 0; !h->ca_file && i < sizeof files / sizeof *files; i++) {
    h->ca_file = set(files[i]);
    if (h->ca_file && access(h->ca_file, R_OK) != 0) {
      cal_fail(err, CAL_E_NOTFOUND, "%s: %s cannot be read; it names a file of certificates (PEM)", files[i], h->ca_file);
      return cal_free(h), NULL;
    }
  }
  h->ca_folder = set("SSL_CERT_DIR");
  h->multi = lib.multi_init();
  if (h->multi) return h;
  cal_fail(err, CAL_E_MEMORY, "not enough memory for libcurl");
  return cal_free(h), NULL;
}

void cal_http_close(cal_http *h) {
  if (!h) return;
  while (h->flights) cal_http_cancel(h, h->flights->tag);
  for (int i = 0; i < h->pooled; i++) lib.easy_cleanup(h->pool[i]);
  lib.multi_cleanup(h->multi);
  cal_free(h);
}
