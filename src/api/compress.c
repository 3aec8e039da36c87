/* SPDX-License-Identifier: MIT */
#include "api/compress.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

/* Events repeat themselves so much that the fastest level gets most of what can be got. */
#define LEVEL 1
/* Window bits, plus what makes zlib write gzip's header. */
#define GZIP_WINDOW (15 + 16)
#define MEMORY_LEVEL 8

/* One "coding;q=0.5" of the list refuses when its weight is zero, however it is written. */
static bool weight_is_zero(const char *parameters, size_t length)
{
	const char *end = parameters + length;

	while (parameters < end && strchr("; \t", *parameters))
		parameters++;
	if (end - parameters < 3 || (parameters[0] | 32) != 'q' || parameters[1] != '=')
		return false;
	for (parameters += 2; parameters < end && !strchr(" \t", *parameters); parameters++) {
		if (*parameters != '0' && *parameters != '.')
			return false;
	}
	return true;
}

/* Whether a name of the list is the coding's; gzip has an old one too (RFC 9110, 8.4.1.3). */
static bool is_coding(const char *coding, const char *name, size_t length)
{
	if (length == strlen(coding) + 2 && !strncasecmp(name, "x-", 2))
		return !strcmp(coding, "gzip") && !strncasecmp(name + 2, coding, length - 2);
	return length == strlen(coding) && !strncasecmp(name, coding, length);
}

bool compress_accepted(const char *coding, const char *list)
{
	bool any = false;

	while (list && *list) {
		size_t length, name;

		list += strspn(list, ", \t");
		length = strcspn(list, ",");
		name = strcspn(list, ",; \t");
		if (is_coding(coding, list, name))
			return !weight_is_zero(list + name, length - name);
		if (name == 1 && *list == '*')
			any = !weight_is_zero(list + name, length - name);
		list += length;
	}
	return any;
}

int compress_body(struct buffer *body)
{
	struct buffer packed = BUFFER_INIT;
	z_stream stream = { .zalloc = NULL };
	char *out;
	uLong bound;
	int r;

	if (body->length > UINT_MAX / 2)
		return -ENOMEM;
	if (deflateInit2(&stream, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	bound = deflateBound(&stream, (uLong)body->length);
	out = buffer_reserve(&packed, bound);
	if (!out) {
		deflateEnd(&stream);
		return -ENOMEM;
	}
	stream.next_in = (Bytef *)body->data;
	stream.avail_in = (uInt)body->length;
	stream.next_out = (Bytef *)out;
	stream.avail_out = (uInt)bound;
	r = deflate(&stream, Z_FINISH);
	packed.length = stream.total_out;
	deflateEnd(&stream);
	if (r != Z_STREAM_END) {
		buffer_fini(&packed);
		return -ENOMEM;
	}
	buffer_fini(body);
	*body = packed;
	return 0;
}

int compress_undo(const uint8_t *gzip, size_t size, size_t length, struct buffer *out)
{
	z_stream stream = { .next_in = (Bytef *)(uintptr_t)gzip };
	char *room = buffer_reserve(out, length);
	int r;

	if (!room || size > UINT_MAX || length > UINT_MAX)
		return -ENOMEM;
	if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
		return -ENOMEM;
	stream.avail_in = (uInt)size;
	stream.next_out = (Bytef *)room;
	stream.avail_out = (uInt)length;
	r = inflate(&stream, Z_FINISH);
	inflateEnd(&stream);
	if (r != Z_STREAM_END || stream.total_out != length)
		return -EINVAL;
	out->length += length;
	return 0;
}
