/* SPDX-License-Identifier: MIT */
/*
 * A byte buffer that grows. Appending never fails visibly: when memory runs out the buffer turns
 * `failed`, drops what it holds, and ignores what follows; the owner checks once at the end.
 * Not thread-safe; one owner.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/digits.h"

struct buffer {
	char *data; /* not NUL-terminated, but for buffer_take_string() */
	size_t length;
	size_t capacity; /* 0, or more than length: there is always room for a NUL */
	bool failed;
};

/* clang-format off */
#define BUFFER_INIT { .data = NULL }
/* clang-format on */

/* The slow half of buffer_reserve(). */
char *buffer_grow(struct buffer *buffer, size_t extra);

/* Makes room for `extra` more bytes and returns where they go, or NULL (and the buffer is failed).
 * The caller writes at most `extra` bytes there and then adds what it wrote to `length`. */
static inline char *buffer_reserve(struct buffer *buffer, size_t extra)
{
	if (__builtin_expect(buffer->capacity - buffer->length > extra, 1))
		return buffer->data + buffer->length;
	return buffer_grow(buffer, extra);
}

static inline void buffer_append(struct buffer *buffer, const void *data, size_t length)
{
	char *at;

	if (!length)
		return;
	at = buffer_reserve(buffer, length);
	if (!at)
		return;
	memcpy(at, data, length);
	buffer->length += length;
}

static inline void buffer_append_string(struct buffer *buffer, const char *string)
{
	buffer_append(buffer, string, strlen(string));
}

static inline void buffer_append_char(struct buffer *buffer, char c)
{
	char *at = buffer_reserve(buffer, 1);

	if (!at)
		return;
	*at = c;
	buffer->length++;
}

static inline void buffer_append_u64(struct buffer *buffer, uint64_t value)
{
	char *at = buffer_reserve(buffer, DIGITS_U64_MAX);

	if (!at)
		return;
	buffer->length += digits_put_u64(at, value);
}

static inline void buffer_append_i64(struct buffer *buffer, int64_t value)
{
	if (value < 0) {
		buffer_append_char(buffer, '-');
		buffer_append_u64(buffer, 0 - (uint64_t)value);
		return;
	}
	buffer_append_u64(buffer, (uint64_t)value);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void buffer_vprintf(struct buffer *buffer, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

/* What could not be made whole is not to be used: the buffer turns failed, as without memory. */
void buffer_fail(struct buffer *buffer);
void buffer_clear(struct buffer *buffer); /* keeps the memory; a failed buffer works again */
void buffer_fini(struct buffer *buffer);  /* frees it; the buffer may be used again */

/* Ends the text with NUL (not counted in length) and hands the memory to the caller, who frees it.
 * NULL when the buffer failed. The buffer is empty afterwards and may be used again. */
char *buffer_take_string(struct buffer *buffer);

#define BUFFER __attribute__((cleanup(buffer_fini))) struct buffer

#endif
