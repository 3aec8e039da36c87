/* SPDX-License-Identifier: MIT */
#include "api/answer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "api/source.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"

static const struct {
	unsigned int status;
	const char *text;
} status_texts[] = {
	{ STATUS_OK, "OK" },
	{ STATUS_NO_CONTENT, "No Content" },
	{ STATUS_SEE_OTHER, "See Other" },
	{ STATUS_NOT_MODIFIED, "Not Modified" },
	{ STATUS_PERMANENT_REDIRECT, "Permanent Redirect" },
	{ STATUS_BAD_REQUEST, "Bad Request" },
	{ STATUS_UNAUTHORIZED, "Unauthorized" },
	{ STATUS_FORBIDDEN, "Forbidden" },
	{ STATUS_NOT_FOUND, "Not Found" },
	{ STATUS_METHOD_NOT_ALLOWED, "Method Not Allowed" },
	{ STATUS_CONTENT_TOO_LARGE, "Content Too Large" },
	{ STATUS_UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type" },
	{ STATUS_TOO_MANY_REQUESTS, "Too Many Requests" },
	{ STATUS_HEADERS_TOO_LARGE, "Request Header Fields Too Large" },
	{ STATUS_INTERNAL_SERVER_ERROR, "Internal Server Error" },
	{ STATUS_SERVICE_UNAVAILABLE, "Service Unavailable" },
};

size_t status_kinds(void)
{
	return ARRAY_SIZE(status_texts);
}

size_t status_kind(unsigned int status)
{
	size_t kind = 0;

	while (kind + 1 < ARRAY_SIZE(status_texts) && status_texts[kind].status != status)
		kind++;
	return kind;
}

unsigned int status_of_kind(size_t kind)
{
	return status_texts[kind].status;
}

const char *status_text(unsigned int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(status_texts); i++) {
		if (status_texts[i].status == status)
			return status_texts[i].text;
	}
	return "Error";
}

void answer_fini(struct answer *answer)
{
	buffer_fini(&answer->body);
	source_discard(answer->source);
	answer->source = NULL;
}

int answer_error(struct answer *answer, unsigned int status, const char *format, ...)
{
	BUFFER message = BUFFER_INIT;
	struct json json;
	va_list arguments;

	va_start(arguments, format);
	buffer_vprintf(&message, format, arguments);
	va_end(arguments);

	/* A failed buffer stays failed until it is given back. */
	answer_fini(answer);
	answer->status = status;
	answer->media_type = MEDIA_JSON;
	answer->header_count = 0;
	answer->as_is = false;
	answer->fixed = NULL;
	answer->cache_control = NULL;
	json_init(&json, &answer->body);
	json_object_begin(&json);
	json_member_string(&json, "error",
			   status == STATUS_BAD_REQUEST && answer->bad_request
				   ? answer->bad_request
				   : status_text(status));
	json_key(&json, "message");
	json_string_n(&json, message.length ? message.data : "", message.length);
	json_object_end(&json);
	return -EINVAL;
}

int answer_out_of_memory(struct answer *answer)
{
	return answer_error(answer, STATUS_INTERNAL_SERVER_ERROR, "out of memory");
}

void answer_header(struct answer *answer, const char *name, const char *format, ...)
{
	va_list arguments;

	if (answer->header_count == ANSWER_HEADERS)
		return;
	answer->headers[answer->header_count].name = name;
	answer->headers[answer->header_count].constant = NULL;
	va_start(arguments, format);
	vsnprintf(answer->headers[answer->header_count].value, sizeof(answer->headers[0].value),
		  format, arguments);
	va_end(arguments);
	answer->header_count++;
}

void answer_header_constant(struct answer *answer, const char *name, const char *value)
{
	if (answer->header_count == ANSWER_HEADERS)
		return;
	answer->headers[answer->header_count].name = name;
	answer->headers[answer->header_count].constant = value;
	answer->header_count++;
}

void answer_text(struct answer *answer, unsigned int status, const char *text)
{
	answer->status = status;
	answer->media_type = MEDIA_TEXT;
	buffer_append_string(&answer->body, text);
}

void answer_query_time(struct json *json)
{
	char text[CLOCK_RFC3339_SIZE];

	clock_format_rfc3339(clock_real_ns(), text);
	json_member_string(json, "query_time", text);
}
