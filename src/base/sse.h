/* SPDX-License-Identifier: MIT */
/*
 * Server-Sent Events, the writing half (WHATWG HTML, 9.2.6, "Interpreting an event stream"). Frames
 * go to a buffer one after another; each is whole, and whatever text is given, it cannot end a
 * field or a frame.
 *
 *   sse_begin(out, id, "lost");  sse_data(out, text, length);  sse_end(out);
 */
#ifndef BASE_SSE_H
#define BASE_SSE_H

#include "base/buffer.h"

/* A frame of its own that readers pass over. */
#define SSE_KEEP_ALIVE ": keep-alive\n\n"

/* "id: …" and "event: …", each unless NULL. Both are single lines: they are cut at the first CR,
 * LF or NUL. Readers take a frame without event for a "message". */
void sse_begin(struct buffer *out, const char *id, const char *event);
/* "data: …", a line of it for each line of the text: CR LF, CR and LF end one. */
void sse_data(struct buffer *out, const char *data, size_t length);
/* Between the two the caller appends data that holds no line end, such as JSON, as it is. */
static inline void sse_data_begin(struct buffer *out)
{
	buffer_append(out, "data: ", 6);
}
static inline void sse_data_end(struct buffer *out)
{
	buffer_append_char(out, '\n');
}
static inline void sse_end(struct buffer *out)
{
	buffer_append_char(out, '\n');
}
/* After how many ms a reader that was disconnected comes again. */
void sse_retry(struct buffer *out, unsigned int milliseconds);

#endif
