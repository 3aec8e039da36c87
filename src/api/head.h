/* SPDX-License-Identifier: MIT */
/* The headers of an answer, for whoever sends it. */
#ifndef API_HEAD_H
#define API_HEAD_H

#include <stdbool.h>

#include "api/answer.h"

/* Calls `add` for each header of the answer, those that every answer has included. */
void head_each(const struct answer *answer, bool compressible, bool compressed,
	       void (*add)(void *context, const char *name, const char *value), void *context);
/* Status line and headers of an answer whose end is that of its connection, with the empty line. */
void head_write(struct buffer *head, const struct answer *answer);

#endif
