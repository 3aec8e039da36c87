/* SPDX-License-Identifier: MIT */
/* Lines with placeholders, "{pid} - hello": what a stream's tags "print:" and "print-opening:"
 * hold. A brace that is not closed is text. */
#ifndef SCHEMA_TEMPLATE_H
#define SCHEMA_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

struct template_part {
	const char *text; /* of `length` bytes; a placeholder's name without its braces */
	size_t length;
	bool is_name;
};

/* Takes the next part off `*text`; false at its end. */
bool template_next(const char **text, struct template_part *ret_part);
bool template_part_is(const struct template_part *part, const char *name);

/* The placeholders of an opening line. */
#define TEMPLATE_OWN_PID "own_pid"
#define TEMPLATE_API_PORT "api_port"

#endif
