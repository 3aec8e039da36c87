/* SPDX-License-Identifier: MIT */
/*
 * One field's value as text, the same for JSON, CSV, filters and people. Internal to this folder.
 * The put_ functions write without NUL and return the end of what they wrote; the caller has made
 * room.
 */
#ifndef SCHEMA_VALUE_H
#define SCHEMA_VALUE_H

#include "schema/schema.h"

struct symbols;

#define SYMBOL_NAME_SIZE 512 /* KSYM_NAME_LEN, include/linux/kallsyms.h, since 6.1 */
#define IP_TEXT_SIZE 46	     /* of the longest IPv6 address */

char *put_hex(char *at, uint64_t value);			   /* "0x1f" */
char *put_hex_bytes(char *at, const uint8_t *bytes, size_t count); /* "00ff" */
/* RFC 5952; IPv4, also mapped into IPv6, as a dotted quad. `size` is 16 or 4. */
char *put_ip(char *at, const uint8_t *bytes, size_t size);
char *put_signed(char *at, int64_t value);

/* STRING and endpoints that are paths have text of their own; all others go through put_value(). */
#define VALUE_IS_TEXT SIZE_MAX
/* The most bytes that put_value() writes for this field; VALUE_IS_TEXT where it cannot be used. */
size_t value_limit(const struct field *field);

/* Writes a value that is not null. A path behind an endpoint is for value_text(). */
char *put_value(char *at, const struct stream_schema *stream, const struct field *field,
		const uint8_t *record, size_t length, struct symbols *symbols);

/* The same of the field's own bytes, for fields that are neither STRING nor endpoint. */
char *put_field(char *at, const struct field *field, const uint8_t *bytes, struct symbols *symbols);

/* The bytes behind a STRING, or the path behind an endpoint that has no address in this record;
 * NULL where put_value() has to be used. */
const char *value_text(const struct stream_schema *stream, const struct field *field,
		       const uint8_t *record, size_t length, size_t *ret_length);

/* Shown as JSON's number, true or false, or array; everything else is a string. */
bool value_is_bare(const struct field *field);

/* The error number behind an errno field's source, of which these are the bytes; 0 where there is
 * none. Error numbers go to MAX_ERRNO, include/linux/err.h. */
static inline unsigned int field_error_number(const struct field *field, const uint8_t *bytes)
{
	uint64_t ordered = field_load_ordered(bytes, field->size, field->is_signed);
	int64_t value = (int64_t)field_from_ordered(ordered, field->is_signed);

	return value < 0 && value >= -4095 ? (unsigned int)-value : 0;
}

#endif
