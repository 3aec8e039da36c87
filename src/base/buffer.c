/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include <stdio.h>
#include <stdlib.h>

#define FIRST_CAPACITY 256
/* vsnprintf() is first tried with this much room: most texts fit, and need no second pass. */
#define PRINTF_GUESS 160

void buffer_fail(struct buffer *buffer)
{
	buffer_fini(buffer);
	buffer->failed = true;
}

char *buffer_grow(struct buffer *buffer, size_t extra)
{
	size_t needed, capacity;
	char *data;

	if (buffer->failed)
		return NULL;
	/* Objects end at PTRDIFF_MAX; so doubling and the byte for NUL cannot overflow. */
	if (extra >= PTRDIFF_MAX - buffer->length) {
		buffer_fail(buffer);
		return NULL;
	}
	needed = buffer->length + extra + 1;
	capacity = buffer->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : buffer->capacity * 2;
	if (capacity < needed)
		capacity = needed;
	data = realloc(buffer->data, capacity);
	if (!data) {
		buffer_fail(buffer);
		return NULL;
	}
	buffer->data = data;
	buffer->capacity = capacity;
	return data + buffer->length;
}

void buffer_vprintf(struct buffer *buffer, const char *format, va_list arguments)
{
	va_list again;
	char *at = buffer_reserve(buffer, PRINTF_GUESS);
	int length;

	if (!at)
		return;
	va_copy(again, arguments);
	length = vsnprintf(at, PRINTF_GUESS + 1, format, arguments);
	if (length > PRINTF_GUESS) {
		at = buffer_reserve(buffer, (size_t)length);
		if (at)
			vsnprintf(at, (size_t)length + 1, format, again);
	}
	va_end(again);
	if (length < 0)
		buffer_fail(buffer);
	else if (at)
		buffer->length += (size_t)length;
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	buffer_vprintf(buffer, format, arguments);
	va_end(arguments);
}

void buffer_clear(struct buffer *buffer)
{
	buffer->length = 0;
	buffer->failed = false;
}

void buffer_fini(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer)BUFFER_INIT;
}

char *buffer_take_string(struct buffer *buffer)
{
	char *at = buffer_reserve(buffer, 0);
	char *data;

	if (!at)
		return NULL;
	*at = '\0';
	data = buffer->data;
	*buffer = (struct buffer)BUFFER_INIT;
	return data;
}
