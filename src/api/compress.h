/* SPDX-License-Identifier: MIT */
/* gzip for answers. */
#ifndef API_COMPRESS_H
#define API_COMPRESS_H

#include <stdbool.h>

#include "base/buffer.h"

/* Shorter bodies fit a packet anyway. */
#define COMPRESS_MINIMUM 1024

/* What Accept-Encoding (RFC 9110, 12.5.3; NULL when absent) says of gzip. */
bool compress_accepted(const char *accept_encoding);

/* Replaces the body by its gzip form. Returns 0, or -ENOMEM and the body is as it was. */
int compress_body(struct buffer *body);

#endif
