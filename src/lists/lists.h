/* SPDX-License-Identifier: MIT */
/*
 * The lists that people keep through the API: addresses that are watched, processes that are asked
 * for. Three places hold a list, and they agree: this memory, a file in the data directory, and
 * through the loader the kernel's maps. A change is made in all of them or in none.
 */
#ifndef LISTS_LISTS_H
#define LISTS_LISTS_H

#include "base/memory.h"
#include "lists/entries.h"

struct control;
struct lists;

struct lists_options {
	int socket;   /* to the loader; not taken */
	int data_dir; /* -1: none; not taken */
	/* SHARED_LISTS of them: what an earlier server left in force. Not taken. */
	const struct shared_list_image *in_force;
};

/* Reads each list: from its file; where there is none that is good, as it is in force. Then tells
 * the loader, without waiting: to be called before anything else speaks to it. NULL when out of
 * memory; whatever else fails is a line in the log. */
struct lists *lists_new(const struct lists_options *options);
/* Whom changes are asked of from now on. Before, they are refused. */
void lists_connect(struct lists *lists, struct control *control);
void lists_free(struct lists *lists);
DEFINE_CLEANUP(lists, lists_free)

/*
 * ---- any thread ----
 *
 * Changes answer when they are in force. They return 0, or with one line in `error` and nothing
 * changed: -ENOSPC (there is no room), -EBUSY (another change takes long), -ETIMEDOUT, -EPIPE (the
 * loader), -errno.
 */

/* Adds those that are not there yet: all, or none. */
int lists_add(struct lists *lists, enum shared_list list, const uint8_t *entries, uint32_t count,
	      uint32_t *ret_total, char *error, size_t error_size);
int lists_clear(struct lists *lists, enum shared_list list, char *error, size_t error_size);
/* Of SHARED_PROCESSES: whether all processes are wanted, whatever the list says. */
int lists_set_print_all(struct lists *lists, bool print_all, char *error, size_t error_size);

/* A list as it is now, entries in the order in which they came: a copy, for entry_set_fini(). 0 or
 * -ENOMEM. */
int lists_read(struct lists *lists, enum shared_list list, struct entry_set *ret_set,
	       uint32_t *ret_option);
uint32_t lists_count(struct lists *lists, enum shared_list list);

#endif
