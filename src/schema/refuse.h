/* SPDX-License-Identifier: MIT */
/* The one line that says why something was refused, on its way up to the caller who logs it. */
#ifndef SCHEMA_REFUSE_H
#define SCHEMA_REFUSE_H

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

struct refusal {
	char *text; /* may be NULL with size 0 */
	size_t size;
};

/* Writes the line; returns -EINVAL, so that it can stand in a return statement. */
__attribute__((format(printf, 2, 3))) static inline int refuse(const struct refusal *refusal,
							       const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(refusal->text, refusal->size, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

#endif
