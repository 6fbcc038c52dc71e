/* hub.h - Hugging Face's hub: where it is, with which key, and what its answers mean.
 *
 *   cal_error err = {0};
 *   cal_hub *hub = cal_hub_open(&err);
 *   if (!hub) return err.code;
 *   cal_buffer text = {0}, next = {0};
 *   cal_hub_get(hub, "owner/name", "/api/models/owner/name", &text, &next, &err);      // JSON; `next`: the next page, or empty
 *   printf("%zu bytes from %s\n", text.size, cal_hub_address(hub));
 *   cal_buffer_free(&text);
 *   cal_buffer_free(&next);
 *   cal_hub_close(hub);
 *
 * HF_ENDPOINT is the address (https://huggingface.co), HF_TOKEN or HUGGING_FACE_HUB_TOKEN the key, both from the environment or .env. A key
 * goes only to the address's own host and port, never to the stores that files are redirected to; and a key of the environment
 * never to an address that only .env names: a folder that came from somewhere could name its own server. Such a key is left out,
 * and cal_hub_note says so.
 * uses: base
 */
#ifndef CAL_NET_HUB_H
#define CAL_NET_HUB_H

#include <stdbool.h>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/net/http.h"

typedef struct cal_hub cal_hub;

/* CAL_E_ARG: HF_ENDPOINT is no address of a server. What .env, the keys and libcurl have to say, too. */
cal_hub *cal_hub_open(cal_error *err);
void cal_hub_close(cal_hub *hub); /* NULL is fine */

const char *cal_hub_address(const cal_hub *hub);  /* without a slash at its end */
const char *cal_hub_key_name(const cal_hub *hub); /* that goes along; NULL: none */
const char *cal_hub_note(const cal_hub *hub);     /* why a key that is there does not go along; NULL: nothing to say */

/* Append the body of a small answer. `path` begins with "/", or is what `next` said before: the whole address of the next page. `what` is
 * the repository, for messages. `next` may be NULL. Tries again what may pass. CAL_E_NOTFOUND, CAL_E_DENIED (not yours, or its licence is
 * not accepted), CAL_E_NETWORK, CAL_E_INTERRUPT. */
cal_status cal_hub_get(cal_hub *hub, const char *what, const char *path, cal_buffer *body, cal_buffer *next, cal_error *err);

/* Append `text` as a part of an address; with `slashes` they stay. */
void cal_hub_escape(cal_buffer *out, const char *text, bool slashes);

/* ---- for download.c ---- */

typedef struct {
  const char *method, *url;
  const char *const *headers;
  cal_http_sink sink;
  void *sink_context;
} cal_hub_request;

/* One attempt, redirects not followed; the key goes along when `url` is at the hub's address. Waits first where the hub asked for
 * it. *reply is the caller's when CAL_OK, whatever its failure or status. CAL_E_INTERRUPT within 50 ms of Ctrl-C. */
cal_status cal_hub_send(cal_hub *hub, const cal_hub_request *request, cal_http_reply **reply, cal_error *err);

/* The same, again and again as retry.h says, for requests without a sink. A status below 400 is CAL_OK. */
cal_status cal_hub_ask(cal_hub *hub, const char *what, const cal_hub_request *request, cal_http_reply **reply, cal_error *err);

/* Sleep, and wake up for Ctrl-C. */
cal_status cal_hub_sleep(double seconds, cal_error *err);

/* What is wrong, in a sentence with the next step. Returns its code. */
cal_status cal_hub_explain(const cal_hub *hub, const char *what, const cal_http_reply *reply, cal_error *err);

/* The hint of a reply's headers, -1: none. */
double cal_hub_hint(const cal_http_reply *reply);

/* Where `location` points, seen from `url`. CAL_E_NETWORK: it is no address, or leaves https. `same` (may be NULL): the same host and port.
 */
cal_status cal_hub_redirect(const char *url, const char *location, cal_buffer *out, bool *same, cal_error *err);

#endif
