/* http.h - many requests at once from one thread.
 *
 *   cal_error err = {0};
 *   cal_http *h = cal_http_open(&err);
 *   if (!h) return err.code;                      // CAL_E_MISSING says what to install
 *   cal_http_request ask = {.url = "http://127.0.0.1:8188/queue", .total_seconds = 20};
 *   int tag = 7;
 *   cal_http_start(h, &ask, &tag, &err);          // nothing is waited for; several may fly
 *   void *which;
 *   cal_http_reply *reply;
 *   if (!cal_http_wait(h, 1.0, &which, &reply, &err) && reply) {
 *     if (reply->failure) printf("%s\n", reply->why.text);
 *     else printf("%d %s %.*s\n", reply->status, cal_http_header(reply, "content-type"), (int)reply->body.size, reply->body.data);
 *     cal_http_reply_free(reply);
 *   }
 *   cal_http_close(h);                            // what still flies is dropped
 *
 * libcurl's multi interface behind it, opened when first needed. HTTP/1.1 with connections that are kept and used again.
 * Bodies come decoded (gzip and what else libcurl knows), except those of a sink.
 * The environment is read as curl's program does: http_proxy, https_proxy, all_proxy, no_proxy; CALOTYPE_CA, CURL_CA_BUNDLE or
 * SSL_CERT_FILE name a file of certificates to trust, SSL_CERT_DIR a folder. Loopback hosts are never reached through a proxy.
 * A key goes into one header of its own and to the host it was given for, over https; over plain http only to loopback and private
 * addresses, which is looked at again when the connection stands. CALOTYPE_DEBUG=2 shows how connections are made, no header and no body.
 * uses: base
 */
#ifndef CAL_NET_HTTP_H
#define CAL_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/net/retry.h"
#include "core/net/secret.h"

typedef struct cal_http cal_http;

typedef struct {
  cal_transfer failure;    /* CAL_TRANSFER_OK: a whole reply came, whatever its status says */
  cal_error why;           /* what is to be said of a failure, CAL_E_NETWORK or the sink's own; never a key, a path or a query */
  bool sent_any;           /* a byte of the request left this machine: the server may have acted on it */
  int sends;               /* how often the request went out: once more when a kept connection ended unanswered, and for each redirect */
  int status;              /* 0: none came */
  cal_buffer body;         /* of statuses from 400 on at most the first 64 kB; empty when a sink took it */
  double seconds;          /* from start to end */
  double first_byte;       /* from start to the reply's first byte; 0: none came */
  uint64_t bytes_sent;     /* headers and body */
  uint64_t bytes_received; /* as they went over the line, headers too */
  cal_buffer headers;      /* read with cal_http_header */
} cal_http_reply;

/* A piece of a reply's body, when its status is 200 to 299; other bodies go to reply->body. The reply has status and headers by then.
 * Anything but CAL_OK ends the transfer. */
typedef cal_status (*cal_http_sink)(void *context, const cal_http_reply *so_far, const void *bytes, size_t size, cal_error *err);

typedef struct {
  const char *method;         /* NULL: GET */
  const char *url;            /* http or https, without a name and password in it */
  const char *const *headers; /* "Name: value" lines, NULL at the end; NULL: none. A key does not belong here */
  const cal_secret *secret;   /* NULL: none */
  const char *secret_header;  /* "x-goog-api-key"; NULL: "Authorization" */
  const char *secret_prefix;  /* "Bearer "; NULL: "" */
  const void *body;           /* the caller's until the reply: it is not copied. NULL: none */
  size_t body_size;
  double connect_seconds; /* 0: 15 */
  double total_seconds;   /* from the first look-up to the last byte; 0: no limit */
  double stall_seconds;   /* less than 1 kB/s for so long, the wait for the first byte too; 0: no limit */
  size_t largest;         /* most bytes of a body, decoded, a sink's too; 0: 4 MiB, SIZE_MAX: no limit */
  bool follow;            /* go where a redirect points (GET and HEAD only, 10 at most): never from https to http, never with
                             the key to another host, scheme or port */
  bool once;              /* a connection of its own. libcurl sends a request again by itself when a kept connection dies
                             unanswered; what is billed must not go out twice */
  cal_http_sink sink;     /* takes the body in pieces instead of reply->body */
  void *sink_context;
} cal_http_request;

/* One per thread. CAL_E_MISSING without libcurl, CAL_E_NOTFOUND when CALOTYPE_CA names no file. */
cal_http *cal_http_open(cal_error *err);
void cal_http_close(cal_http *h); /* NULL is fine; transfers that still fly end without a reply */

/* Let a request fly. The request itself is copied, its body is not. CAL_E_ARG for a URL or header that cannot be sent, CAL_E_DENIED for
 * a key that would travel in the open. */
cal_status cal_http_start(cal_http *h, const cal_http_request *request, void *tag, cal_error *err);

/* The next reply that has come, with its tag; the caller frees it. NULL: none within `seconds`, nothing flies, or Ctrl-C was pressed (seen
 * within 50 ms; replies that are already here come first). Time in here is when bytes move: call it often while transfers fly. */
cal_status cal_http_wait(cal_http *h, double seconds, void **tag, cal_http_reply **reply, cal_error *err);

/* Drop the transfers with this tag; no reply comes for them. */
void cal_http_cancel(cal_http *h, void *tag);

size_t cal_http_flying(const cal_http *h); /* started and not yet handed out */

/* A header's value, "" when it is empty, NULL when it is not there; any case. The first of several. */
const char *cal_http_header(const cal_http_reply *reply, const char *name);
void cal_http_reply_free(cal_http_reply *reply);

/* Where a URL points. CAL_E_ARG: it is no URL, not http or https, or has a name and password in it; the sentence has the host at most. */
typedef struct {
  char host[256]; /* as libcurl writes it: lower case, [] around IPv6 */
  char port[8];
  bool secure, name; /* https; `host` is a name, not an address */
} cal_url;
cal_status cal_url_read(const char *text, cal_url *url, cal_error *err);

/* Whether `host` (a name or an address, [] allowed) is this machine: localhost, *.localhost, 127.0.0.0/8, ::1. And whether it is an address
 * of this machine or of a private network (10/8, 172.16/12, 192.168/16, 169.254/16, fc00::/7, fe80::/10); names are not looked up. */
bool cal_host_loopback(const char *host);
bool cal_host_private(const char *host);

#endif
