/* SPDX-License-Identifier: MIT */
/*
 * The lists that people keep through the API, as both processes know them: what stands in their
 * maps, and how the server hands a list to the loader.
 *
 * A list is two shared maps (programs/include/ip_list.bpf.h, process_list.bpf.h): the entries, and
 * NAME_state, an array of one { u32 count, u32 option }, which programs look at first. The server
 * cannot write to either. It hands the whole list over as an image: a memfd, sealed against any
 * change, that holds entry after entry (the bytes of the key, then those of the value, without
 * padding) in the order in which they were given. The loader puts it in force or leaves everything
 * as it was, and keeps the image: a server that is started again begins with it.
 */
#ifndef LOADER_SHARED_LIST_H
#define LOADER_SHARED_LIST_H

#include <stddef.h>
#include <stdint.h>

enum shared_list {
	SHARED_IPS,	  /* key: u32 prefix, u8 ip[16]; value: 1 when given as an integer */
	SHARED_PROCESSES, /* key: u32 pid; value: 1 */
	SHARED_LISTS,
};

#define SHARED_IPS_MAX 65536u
#define SHARED_PROCESSES_MAX 10240u

#define SHARED_LIST_KEY_MAX 20

struct shared_list_kind {
	const char *map; /* also the list's name */
	uint32_t key_size, value_size;
	uint32_t limit; /* entries */
};
extern const struct shared_list_kind shared_list_kinds[SHARED_LISTS];

/* Bytes of an entry of an image. */
static inline size_t shared_list_entry_size(enum shared_list list)
{
	return shared_list_kinds[list].key_size + shared_list_kinds[list].value_size;
}

/* A list as it is in force. */
struct shared_list_image {
	int fd; /* -1: the list is empty */
	uint32_t count;
	uint32_t option; /* of SHARED_PROCESSES: 1 when all are wanted; of SHARED_IPS: the mode */
};

/* Makes an image of `count` entries. Returns its descriptor, or -errno. */
int shared_list_image_make(enum shared_list list, const uint8_t *entries, uint32_t count);
/* Reads an image of somebody who is not trusted. Returns 0 and the entries (freed by the caller),
 * -EINVAL for what is none, -E2BIG for more entries than the list may have, or -errno. */
int shared_list_image_read(enum shared_list list, int fd, uint32_t count, uint8_t **ret_entries);

#endif
