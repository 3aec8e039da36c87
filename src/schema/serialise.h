/* SPDX-License-Identifier: MIT */
/*
 * A stream's schema as bytes, so that events can be read long after the program that made them, and
 * the kernel whose enums name their values, are gone.
 */
#ifndef SCHEMA_SERIALISE_H
#define SCHEMA_SERIALISE_H

#include "base/buffer.h"
#include "schema/arena.h"
#include "schema/schema.h"

/* Appends everything that a stream's schema says. Thread-safe. */
void stream_schema_write(const struct stream_schema *schema, struct buffer *out);

/* Back, into the arena. The bytes may be hostile: every size, place and reference is checked, so
 * that what comes out is as sound as what program_schema_read() makes. 0, -EBADMSG, -ENOMEM. */
int stream_schema_parse(struct arena *arena, const void *bytes, size_t size,
			const struct stream_schema **ret_schema);

#endif
