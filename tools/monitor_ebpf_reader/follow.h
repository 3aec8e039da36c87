/* SPDX-License-Identifier: MIT */
/* A reader's place in the map that monitor_ebpf_loader pinned (monitor_events.h). Needs no
 * privilege but to reach the pin. One thread. */
#ifndef MONITOR_FOLLOW_H
#define MONITOR_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct monitor_event;

struct follow {
	const uint8_t *map; /* mapped read-only */
	size_t mapped;
	uint32_t regions, slots;
	uint64_t device, inode; /* of the pin */
	struct follow_region *places;
	struct monitor_event *batch;
	size_t batch_size;
};

/* `from_start`: with what is held already. Returns 0, or -errno with one line in `error`; -ENOENT
 * when nothing is pinned there. */
int follow_open(struct follow *follow, const char *pin, bool from_start, char *error,
		size_t error_size);
void follow_close(struct follow *follow); /* accepts a zeroed one */

/* False when the pin is gone, or is another map's by now. */
bool follow_is_current(const struct follow *follow, const char *pin);

/* The records that came since the last call, in the order of time as far as CPUs agree; valid until
 * the next call. Adds to *missed those that were overwritten before they were read. Returns how
 * many there are; at most some thousands a call. */
size_t follow_read(struct follow *follow, const struct monitor_event **ret_events,
		   uint64_t *missed);

#endif
