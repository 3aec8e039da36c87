/* SPDX-License-Identifier: MIT */
/*
 * Events on standard output, one line each: for people (--print) or as JSON (--print=json). A sink
 * like any other: a thread of its own that follows the store, so that a terminal or pipe that is
 * slow holds up nobody but itself; what it could not keep up with is said on standard error.
 */
#ifndef EXPORT_PRINT_H
#define EXPORT_PRINT_H

#include <stdbool.h>

#include "base/memory.h"
#include "pipeline/pipeline.h"

struct symbols;
struct print;

/* Prints what happens from now on to `fd` (not taken). `closed` is called once, in the printing
 * thread, when nobody reads any more (EPIPE). Returns 0 or -errno. */
int print_start(struct pipeline *pipeline, struct symbols *symbols, bool json, int fd,
		void (*closed)(void *context), void *context, struct print **ret_print);
/* Prints what is in the store still, ends the thread. Accepts NULL. */
void print_stop(struct print *print);
DEFINE_CLEANUP(print, print_stop)

#endif
