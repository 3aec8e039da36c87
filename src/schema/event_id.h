/* SPDX-License-Identifier: MIT */
/* The writing half of event ids, without NUL. Internal to this folder; the rest is in
 * schema/encode.h. */
#ifndef SCHEMA_EVENT_ID_H
#define SCHEMA_EVENT_ID_H

#include "schema/encode.h"

/* Writes EVENT_ID_SIZE - 1 bytes; returns the end. */
char *put_event_id(char *at, const struct event_id *id);

#endif
