#include "core/net/hub.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/interrupt.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/net/retry.h"
#include "core/net/secret.h"

enum { ATTEMPTS = 5, LARGEST_ANSWER = 16 << 20 };

struct cal_hub {
  cal_http *http;
  char *address;
  const cal_secret *key;
  char note[256];
  bool answered; /* at least once: before that, what cannot be reached is hardly worth waiting for */
  double until;  /* the hub asked for a pause: cal_clock() when it is over */
  cal_random random;
};

/* "https://host:port" of an address: its length, 0 when it is none. */
static size_t origin(const char *url) {
  size_t at = strncasecmp(url, "https://", 8) == 0 ? 8 : strncasecmp(url, "http://", 7) == 0 ? 7 : 0;
  size_t host = at ? strcspn(url + at, "/?#\\@ \t\r\n") : 0;
  return host && !strchr("\\@ \t\r\n", url[at + host] ? url[at + host] : '/') ? at + host : 0;
}

static bool same_origin(const char *a, const char *b) {
  size_t size = origin(a);
  return size && size == origin(b) && strncasecmp(a, b, size) == 0;
}

static void host_of(const char *url, char host[256]) { /* without the port */
  const char *from = strstr(url, "//") + 2;
  size_t size = *from == '[' ? strcspn(from, "]") + 1 : strcspn(from, ":/?#");
  snprintf(host, 256, "%.*s", (int)size, from);
}

/* ---- open ---- */

cal_hub *cal_hub_open(cal_error *err) {
  static const char *const names[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", NULL};
  cal_hub *hub = cal_alloc_zero(1, sizeof *hub, err);
  if (!hub) return NULL;
  cal_buffer address = {0};
  cal_env_place from = CAL_FROM_NOWHERE, key_from = CAL_FROM_NOWHERE;
  const char *name = NULL;
  cal_status status = cal_env_get("HF_ENDPOINT", &address, &from, err);
  if (!status && from == CAL_FROM_NOWHERE) cal_buffer_add_text(&address, "https://huggingface.co");
  while (address.size && address.data[address.size - 1] == '/') address.data[--address.size] = 0;
  if (!status && !(hub->address = cal_buffer_take(&address))) status = cal_fail(err, CAL_E_MEMORY, "not enough memory for an address");
  if (!status && (!origin(hub->address) || strpbrk(hub->address, "?#")))
    status =
        cal_fail(err, CAL_E_ARG, "HF_ENDPOINT (%s) is no address of a server; https://huggingface.co is one", cal_env_place_name(from));
  if (!status) status = cal_secret_find(names, &hub->key, &name, &key_from, err);
  if (!status && hub->key && from == CAL_FROM_ENV_FILE && key_from == CAL_FROM_ENVIRONMENT) {
    char host[256];
    host_of(hub->address, host);
    if (!cal_host_loopback(host)) {
      hub->key = NULL;
      snprintf(hub->note, sizeof hub->note,
               "%s is not sent to %.150s: only .env names that address. Put the key into the same .env, or both outside", name, host);
    }
  }
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  hub->random = cal_random_seed((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, 0);
  if (!status && !(hub->http = cal_http_open(err))) status = CAL_E_MISSING;
  cal_buffer_free(&address);
  if (status) cal_hub_close(hub), hub = NULL;
  return hub;
}

void cal_hub_close(cal_hub *hub) {
  if (!hub) return;
  cal_http_close(hub->http);
  cal_free(hub->address);
  cal_free(hub);
}

const char *cal_hub_address(const cal_hub *hub) { return hub->address; }
const char *cal_hub_key_name(const cal_hub *hub) { return hub->key ? cal_secret_name(hub->key) : NULL; }
const char *cal_hub_note(const cal_hub *hub) { return hub->note[0] ? hub->note : NULL; }

/* ---- addresses ---- */

void cal_hub_escape(cal_buffer *out, const char *text, bool slashes) {
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    bool plain = isascii(c) && (isalnum(c) || strchr("-._~", c) || (slashes && c == '/'));
    if (plain) cal_buffer_add_byte(out, *text);
    else cal_buffer_printf(out, "%%%02X", c);
  }
}

cal_status cal_hub_redirect(const char *url, const char *location, cal_buffer *out, bool *same, cal_error *err) {
  out->size = 0;
  if (origin(location)) cal_buffer_add_text(out, location);
  else if (location[0] == '/' && location[1] == '/') {
    cal_buffer_add(out, url, (size_t)(strchr(url, ':') + 1 - url));
    cal_buffer_add_text(out, location);
  } else if (location[0] == '/') {
    cal_buffer_add(out, url, origin(url));
    cal_buffer_add_text(out, location);
  }
  if (out->failed) return cal_fail(err, CAL_E_MEMORY, "not enough memory for an address");
  char host[256];
  host_of(url, host);
  if (!out->size || !origin(out->data)) return cal_fail(err, CAL_E_NETWORK, "%s redirects to what is no address of a server", host);
  if (strncasecmp(url, "https:", 6) == 0 && strncasecmp(out->data, "https:", 6) != 0)
    return cal_fail(err, CAL_E_NETWORK, "%s redirects from https to http, where nobody could tell who answers", host);
  if (same) *same = same_origin(url, out->data);
  return CAL_OK;
}

/* ---- requests ---- */

cal_status cal_hub_sleep(double seconds, cal_error *err) {
  double end = cal_clock() + seconds;
  for (double left; (left = end - cal_clock()) > 0 && !cal_interrupt_level();) {
    double turn = left < 0.03 ? left : 0.03;
    nanosleep(&(struct timespec){.tv_nsec = (long)(turn * 1e9)}, NULL);
  }
  return cal_interrupt_check(err);
}

double cal_hub_hint(const cal_http_reply *reply) {
  const double now = cal_retry_now(cal_http_header(reply, "date"), (double)time(NULL));
  return cal_retry_hint(cal_http_header(reply, "retry-after"), cal_http_header(reply, "ratelimit"), now);
}

cal_status cal_hub_send(cal_hub *hub, const cal_hub_request *request, cal_http_reply **reply, cal_error *err) {
  *reply = NULL;
  double pause = hub->until - cal_clock();
  if (pause > 2) cal_log(CAL_INFO, "the hub asks for a pause of %.0f s", pause);
  cal_status status = pause > 0 ? cal_hub_sleep(pause, err) : cal_interrupt_check(err);
  if (status) return status;
  bool own = same_origin(hub->address, request->url);
  cal_http_request send = {.method = request->method,
                           .url = request->url,
                           .headers = request->headers,
                           .secret = own ? hub->key : NULL,
                           .secret_prefix = "Bearer ",
                           .connect_seconds = 15,
                           .stall_seconds = 30,
                           .total_seconds = request->sink ? 0 : 60,
                           .largest = request->sink ? SIZE_MAX : LARGEST_ANSWER,
                           .sink = request->sink,
                           .sink_context = request->sink_context};
  if ((status = cal_http_start(hub->http, &send, hub, err))) return status;
  for (void *tag; !status && !*reply;) {
    status = cal_http_wait(hub->http, 1, &tag, reply, err);
    if (!status && !*reply) status = cal_interrupt_check(err);
  }
  if (status) return cal_http_cancel(hub->http, hub), status;
  if ((*reply)->failure == CAL_TRANSFER_OK) hub->answered = true;
  double hint = own && (*reply)->status < 400 ? cal_retry_hint(NULL, cal_http_header(*reply, "ratelimit"), 0) : -1;
  if (hint >= 0 && hint <= CAL_RETRY_LONGEST_HINT) hub->until = cal_clock() + hint; /* the last one of this window */
  char host[256];
  host_of(request->url, host);
  cal_debug(2, "hub: %s %s: %s %d, %.0f ms", request->method ? request->method : "GET", host, cal_transfer_name((*reply)->failure),
            (*reply)->status, (*reply)->seconds * 1e3);
  return CAL_OK;
}

cal_status cal_hub_ask(cal_hub *hub, const char *what, const cal_hub_request *request, cal_http_reply **reply, cal_error *err) {
  for (int attempt = 1;; attempt++) {
    cal_status status = cal_hub_send(hub, request, reply, err);
    if (status) return status;
    cal_http_reply *r = *reply;
    if (r->failure == CAL_TRANSFER_OK && r->status < 400) return CAL_OK;
    cal_retry_case failed = {.attempt = attempt,
                             .attempts = hub->answered ? ATTEMPTS : 2,
                             .transfer = r->failure,
                             .status = r->status,
                             .sent_any = r->sent_any,
                             .hint = cal_hub_hint(r),
                             .random = cal_random_uniform(&hub->random),
                             .left = -1};
    cal_retry_advice advice = cal_retry(&failed);
    if (advice.what != CAL_RETRY_WAIT) {
      status = cal_hub_explain(hub, what, r, err);
      cal_http_reply_free(r);
      return *reply = NULL, status;
    }
    cal_debug(2, "hub: again in %.1f s: %s", advice.seconds, advice.why);
    if (advice.seconds > 5) cal_log(CAL_INFO, "%s: again in %.0f s: %s", what, advice.seconds, advice.why);
    cal_http_reply_free(r);
    *reply = NULL;
    if ((status = cal_hub_sleep(advice.seconds, err))) return status;
  }
}

/* The page after this one: Link: <https://...?cursor=x>; rel="next", which must be at the hub too. */
static cal_status next_page(const cal_hub *hub, const cal_http_reply *reply, cal_buffer *next, cal_error *err) {
  const char *link = cal_http_header(reply, "link");
  for (const char *at = link; at && (at = strchr(at, '<'));) {
    const char *end = strchr(at, '>');
    if (!end) break;
    size_t rest = strcspn(end, ",");
    const char *rel = strstr(end, "rel=\"next\"");
    if (rel && rel < end + rest) {
      cal_buffer location = {0}, address = {0};
      bool same = false;
      cal_buffer_add(&location, at + 1, (size_t)(end - at - 1));
      cal_status status = location.failed ? cal_fail(err, CAL_E_MEMORY, "not enough memory for an address")
                                          : cal_hub_redirect(hub->address, location.data ? location.data : "", &address, &same, err);
      if (!status && !same) status = cal_fail(err, CAL_E_NETWORK, "the next page of a list is at another host");
      if (!status) cal_buffer_add(next, address.data, address.size);
      cal_buffer_free(&location);
      cal_buffer_free(&address);
      return status;
    }
    at = end;
  }
  return CAL_OK;
}

cal_status cal_hub_get(cal_hub *hub, const char *what, const char *path, cal_buffer *body, cal_buffer *next, cal_error *err) {
  cal_buffer url = {0}, to = {0};
  if (path[0] == '/') cal_buffer_add_text(&url, hub->address);
  cal_buffer_add_text(&url, path);
  cal_status status = url.failed ? cal_fail(err, CAL_E_MEMORY, "not enough memory for an address") : CAL_OK;
  if (!status && !same_origin(hub->address, url.data)) status = cal_fail(err, CAL_E_ARG, "%s: a page is at another host", what);
  cal_http_reply *reply = NULL;
  for (int hops = 0; !status; hops++) { /* a repository that has another name now is a redirect */
    status = cal_hub_ask(hub, what, &(cal_hub_request){.url = url.data, .headers = (const char *const[]){"Accept: application/json", NULL}},
                         &reply, err);
    if (status || reply->status < 300) break;
    const char *location = cal_http_header(reply, "location");
    bool same = false;
    if (!location || hops == 5) status = cal_fail(err, CAL_E_NETWORK, "%s: redirects that lead nowhere", what);
    else status = cal_hub_redirect(url.data, location, &to, &same, err);
    if (!status && !same) status = cal_fail(err, CAL_E_NETWORK, "%s: a list is redirected to another host", what);
    cal_http_reply_free(reply);
    reply = NULL;
    cal_buffer swap = url;
    url = to, to = swap;
  }
  if (!status && next) status = next_page(hub, reply, next, err);
  if (!status) cal_buffer_add(body, reply->body.data, reply->body.size);
  if (!status && body->failed) status = cal_fail(err, CAL_E_MEMORY, "%s: not enough memory for an answer", what);
  cal_http_reply_free(reply);
  cal_buffer_free(&url);
  cal_buffer_free(&to);
  return status;
}

/* ---- what answers mean ---- */

cal_status cal_hub_explain(const cal_hub *hub, const char *what, const cal_http_reply *reply, cal_error *err) {
  if (reply->failure) return cal_fail(err, reply->why.code, "%s: %s", what, reply->why.text);
  const char *code = cal_http_header(reply, "x-error-code"), *said = cal_http_header(reply, "x-error-message");
  const char *key = cal_hub_key_name(hub);
  char page[400], hint[160] = "", words[240] = "";
  snprintf(page, sizeof page, "%s/%.*s", hub->address, (int)strcspn(what, "@:"), what);
  if (hub->note[0]) snprintf(hint, sizeof hint, " (the key is not sent: only .env names this address)");
  if (said) {
    cal_buffer clean = {0};
    cal_buffer_add_printable(&clean, said, strcspn(said, "\r\n"));
    if (!cal_scrub(&clean, NULL) && clean.data) snprintf(words, sizeof words, "; the hub says: %.200s", clean.data);
    cal_buffer_free(&clean);
  }
  if (!code) code = "";
  bool gated = strcmp(code, "GatedRepo") == 0;
  if (gated && key)
    return cal_fail(err, CAL_E_DENIED,
                    "%s is gated: open %s in a browser, accept its terms with the account that %s belongs to, and run this again%s", what,
                    page, key, words);
  if (gated)
    return cal_fail(
        err, CAL_E_DENIED,
        "%s is gated: accept its terms at %s in a browser, make a key at %s/settings/tokens, put HF_TOKEN=... into the environment or "
        ".env, and run this again%s%s",
        what, page, hub->address, hint, words);
  switch (reply->status) {
    case 401:
      if (key)
        return cal_fail(err, CAL_E_DENIED, "%s: the hub does not accept %s, or knows no such repository for it (401)%s", what, key, words);
      return cal_fail(
          err, CAL_E_DENIED,
          "%s: there is no such repository, or it is private (401): look at the name; for a private one put HF_TOKEN=... into the "
          "environment or .env%s%s",
          what, hint, words);
    case 403:
      return cal_fail(err, CAL_E_DENIED, "%s: the hub does not allow this (403)%s%s%s%s", what, key ? ": does " : "", key ? key : "",
                      key ? " have the right to read it?" : "", words);
    case 404: {
      const char *no = strcmp(code, "RevisionNotFound") == 0 ? "no such revision, branch or tag"
                       : strcmp(code, "EntryNotFound") == 0  ? "no such file"
                       : strcmp(code, "RepoNotFound") == 0   ? "no such repository"
                                                             : "not there";
      return cal_fail(err, CAL_E_NOTFOUND, "%s: %s (404)%s", what, no, words);
    }
    case 429: {
      double pause = cal_hub_hint(reply);
      char left[32];
      if (pause < 0)
        return cal_fail(err, CAL_E_BUSY, "%s: too many requests (429); try again later%s%s", what, key ? "" : ", or with HF_TOKEN", words);
      return cal_fail(err, CAL_E_BUSY, "%s: too many requests (429); the hub asks for a pause of %s%s", what, cal_duration(pause, left),
                      key ? "" : "; with HF_TOKEN it allows more");
    }
    default: return cal_fail(err, CAL_E_NETWORK, "%s: the server answers with status %d%s", what, reply->status, words);
  }
}
