/* SPDX-License-Identifier: MIT */
#include "base/sse.h"

static void put_field(struct buffer *out, const char *name, const char *value, size_t length)
{
	buffer_append_string(out, name);
	buffer_append(out, value, length);
	buffer_append_char(out, '\n');
}

void sse_begin(struct buffer *out, const char *id, const char *event)
{
	if (id)
		put_field(out, "id: ", id, strcspn(id, "\r\n"));
	if (event)
		put_field(out, "event: ", event, strcspn(event, "\r\n"));
}

static size_t line_length(const char *data, size_t length)
{
	size_t i = 0;

	while (i < length && data[i] != '\r' && data[i] != '\n')
		i++;
	return i;
}

void sse_data(struct buffer *out, const char *data, size_t length)
{
	for (;;) {
		const size_t line = line_length(data, length);

		put_field(out, "data: ", data, line);
		if (line == length)
			return;
		data += line;
		length -= line;
		if (length > 1 && data[0] == '\r' && data[1] == '\n') {
			data++;
			length--;
		}
		data++;
		length--;
	}
}

void sse_retry(struct buffer *out, unsigned int milliseconds)
{
	buffer_printf(out, "retry: %u\n\n", milliseconds);
}
