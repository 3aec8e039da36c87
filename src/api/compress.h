/* SPDX-License-Identifier: MIT */
/* gzip for answers. */
#ifndef API_COMPRESS_H
#define API_COMPRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/* Shorter bodies fit a packet anyway. */
#define COMPRESS_MINIMUM 1024

/* What Accept-Encoding (RFC 9110, 12.5.3; NULL when absent) says of a coding: "gzip", "br". */
bool compress_accepted(const char *coding, const char *accept_encoding);

/* Replaces the body by its gzip form. Returns 0, or -ENOMEM and the body is as it was. */
int compress_body(struct buffer *body);

/* Appends what `size` bytes of gzip stand for, `length` bytes. Returns 0, -ENOMEM, or -EINVAL when
 * they stand for something else. */
int compress_undo(const uint8_t *gzip, size_t size, size_t length, struct buffer *out);

#endif
