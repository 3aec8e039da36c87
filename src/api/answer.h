/* SPDX-License-Identifier: MIT */
/*
 * What a handler gives back. Handlers fill an answer and never see the HTTP library; http.c sends
 * it. One thread, the one that serves the request.
 */
#ifndef API_ANSWER_H
#define API_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

struct json;
struct source;

/* HTTP statuses that this API gives (RFC 9110, RFC 6585). */
enum status {
	STATUS_OK = 200,
	STATUS_NO_CONTENT = 204,
	STATUS_SEE_OTHER = 303,
	STATUS_NOT_MODIFIED = 304,
	STATUS_PERMANENT_REDIRECT = 308,
	STATUS_BAD_REQUEST = 400,
	STATUS_UNAUTHORIZED = 401,
	STATUS_FORBIDDEN = 403,
	STATUS_NOT_FOUND = 404,
	STATUS_METHOD_NOT_ALLOWED = 405,
	STATUS_CONTENT_TOO_LARGE = 413,
	STATUS_UNSUPPORTED_MEDIA_TYPE = 415,
	STATUS_TOO_MANY_REQUESTS = 429,
	STATUS_HEADERS_TOO_LARGE = 431,
	STATUS_INTERNAL_SERVER_ERROR = 500,
	STATUS_SERVICE_UNAVAILABLE = 503,
};

#define MEDIA_JSON "application/json"
#define MEDIA_NDJSON "application/x-ndjson"
#define MEDIA_CSV "text/csv; charset=utf-8"
#define MEDIA_HTML "text/html; charset=utf-8"
#define MEDIA_TEXT "text/plain; charset=utf-8"
#define MEDIA_EVENT_STREAM "text/event-stream"

#define ANSWER_HEADERS 12

struct answer {
	unsigned int status; /* 0: not answered yet */
	const char *media_type;
	const char *bad_request; /* `error` of a 400 where users of a route know it otherwise */
	struct buffer body;
	struct source *source; /* the body comes in pieces (api/source.h); `body` is empty then */
	bool as_is;	       /* never compressed on its way out */
	/* Instead of the body: bytes that stay where they are; goes with as_is. */
	const void *fixed;
	size_t fixed_length;
	const char *cache_control; /* NULL: no-store */
	struct {
		const char *name;
		const char *constant; /* instead of `value`; not copied */
		char value[96];
	} headers[ANSWER_HEADERS]; /* besides those that every answer has */
	size_t header_count;
};

#define ANSWER_INIT                                                                                \
	{                                                                                          \
		.media_type = MEDIA_JSON                                                           \
	}

void answer_fini(struct answer *answer);

/* Statuses have numbers from 0 on, for tables of them. */
size_t status_kinds(void);
size_t status_kind(unsigned int status); /* status_kinds() - 1 for one that is not above */
unsigned int status_of_kind(size_t kind);

/* "Bad Request" for 400. */
const char *status_text(unsigned int status);

/* Replaces whatever the answer held by {"error":"<status text>","message":"…"}. Returns -EINVAL,
 * so that a helper says `return answer_error(…)` and its caller sees that the answer stands. */
int answer_error(struct answer *answer, unsigned int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* 500. */
int answer_out_of_memory(struct answer *answer);

/* Adds a header of its own; the name is not copied. */
void answer_header(struct answer *answer, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for a value of any length that stays where it is. */
void answer_header_constant(struct answer *answer, const char *name, const char *value);

/* The answer is a text as it stands. */
void answer_text(struct answer *answer, unsigned int status, const char *text);

/* "query_time", RFC 3339, now. */
void answer_query_time(struct json *json);

#endif
