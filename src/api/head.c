/* SPDX-License-Identifier: MIT */
#include "api/head.h"

#include <microhttpd.h>
#include <time.h>

#include "base/clock.h"

void head_each(const struct answer *answer, bool compressible, bool compressed,
	       void (*add)(void *context, const char *name, const char *value), void *context)
{
	/* Without a body there is no type. */
	if (answer->status != STATUS_NO_CONTENT && answer->status / 100 != 3)
		add(context, MHD_HTTP_HEADER_CONTENT_TYPE, answer->media_type);
	add(context, "X-Content-Type-Options", "nosniff");
	add(context, MHD_HTTP_HEADER_CACHE_CONTROL,
	    answer->cache_control ? answer->cache_control : "no-store");
	for (size_t i = 0; i < answer->header_count; i++)
		add(context, answer->headers[i].name,
		    answer->headers[i].constant ? answer->headers[i].constant
						: answer->headers[i].value);
	if (compressible)
		add(context, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
	if (compressed)
		add(context, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
}

static void add_to_head(void *context, const char *name, const char *value)
{
	buffer_printf(context, "%s: %s\r\n", name, value);
}

void head_write(struct buffer *head, const struct answer *answer)
{
	const time_t now = (time_t)(clock_real_ns() / NS_PER_SECOND);
	struct tm parts;
	char date[64];

	gmtime_r(&now, &parts);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
	buffer_printf(head, "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\n", answer->status,
		      status_text(answer->status), date);
	head_each(answer, false, false, add_to_head, head);
	buffer_append_string(head, "\r\n");
}
