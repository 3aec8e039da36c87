/* SPDX-License-Identifier: MIT */
/*
 * Events on standard output, one line each: for people (--print) or as JSON (--print=json). A sink
 * like any other: a thread of its own that follows the store, so that a terminal or pipe that is
 * slow holds up nobody but itself; what it could not keep up with is said on standard error.
 *
 * A stream may say how its events read, and what is printed once before them, for people
 * (annotations "print:" and "print-opening:", schema/template.h).
 */
#ifndef EXPORT_PRINT_H
#define EXPORT_PRINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"
#include "pipeline/pipeline.h"

struct symbols;
struct print;

struct print_options {
	struct pipeline *pipeline;
	struct symbols *symbols;
	bool json;
	int fd;		   /* not taken */
	uint32_t own_pid;  /* what openings say */
	uint16_t api_port; /* the same */
	/* Called once, in the printing thread, when nobody reads any more (EPIPE). */
	void (*closed)(void *context);
	void *context;
};

/* Prints what happens from now on. Returns 0 or -errno. */
int print_start(const struct print_options *options, struct print **ret_print);
/* Prints what is in the store still, ends the thread. Accepts NULL. */
void print_stop(struct print *print);
DEFINE_CLEANUP(print, print_stop)

#endif
