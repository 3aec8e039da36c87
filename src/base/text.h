/* SPDX-License-Identifier: MIT */
/* Strict reading of small texts, and the glob that filters use. Thread-safe. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole text must be one number; decimal, or hexadecimal after 0x. No space, no '+', and no '-'
 * but for the signed one. Return 0, -EINVAL (not a number) or -ERANGE (outside the limits). */
int text_parse_u64(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_value);
int text_parse_i64(const char *text, int64_t minimum, int64_t maximum, int64_t *ret_value);
/* "true", "false", "1", "0", "yes", "no", "on", "off", in any case. Returns 0 or -EINVAL. */
int text_parse_bool(const char *text, bool *ret_value);
/* Bytes with an optional unit: "65536", "64k", "64KiB", "64M", "1GiB" (powers of 1024, any case).
 * Returns 0, -EINVAL or -ERANGE. */
int text_parse_bytes(const char *text, uint64_t *ret_bytes);

/* '*' stands for any bytes, '?' for one byte, '\' takes the next byte as it is. No recursion: at
 * most pattern_length * length steps. */
bool text_glob_match(const char *pattern, size_t pattern_length, const char *text, size_t length);
/* True when the pattern has a '*' or '?' that is not taken as it is. */
bool text_is_glob(const char *pattern);

/* The length of the UTF-8 sequence at `text` (1..4), or 0 when it is none (RFC 3629: overlong
 * forms, surrogates and values past U+10FFFF are none). */
size_t text_utf8_sequence(const char *text, size_t length);

#endif
