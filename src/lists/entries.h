/* SPDX-License-Identifier: MIT */
/*
 * Entries of lists, as their images hold them (loader/shared_list.h), and sets of them: no key
 * twice, in the order in which they came.
 */
#ifndef LISTS_ENTRIES_H
#define LISTS_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "loader/shared_list.h"

#define ENTRY_SIZE_MAX (SHARED_LIST_KEY_MAX + 1)

/* The largest process id of any kernel (PID_MAX_LIMIT, include/linux/threads.h). */
#define PROCESS_ID_MAX 4194304

/* The IPv4 address of this number: 1 is 0.0.0.1. */
void ip_entry_from_number(uint32_t number, uint8_t entry[ENTRY_SIZE_MAX]);
/* "10.0.0.1", "10.0.0.0/8", "2001:db8::1", "::ffff:10.0.0.1" (the same as 10.0.0.1), with or
 * without a prefix length. Bits after the prefix are cleared: 10.1.2.3/8 is 10.0.0.0/8. 0 or
 * -EINVAL. */
int ip_entry_parse(const char *text, uint8_t entry[ENTRY_SIZE_MAX]);
/* Whether it was given as a number, and then that number. */
bool ip_entry_number(const uint8_t *entry, uint32_t *ret_number);
/* As text, in the shortest form (RFC 5952), a whole address without its prefix length. */
#define IP_ENTRY_TEXT_SIZE 56
void ip_entry_text(const uint8_t *entry, char text[IP_ENTRY_TEXT_SIZE]);

/* 0, or -ERANGE for what can be no process id. */
int process_entry_make(int64_t pid, uint8_t entry[ENTRY_SIZE_MAX]);
uint32_t process_entry_pid(const uint8_t *entry);

/* ---- sets; not thread-safe ---- */

struct entry_set {
	enum shared_list list;
	uint8_t *entries; /* `count` of them, shared_list_entry_size() apart */
	uint32_t count, capacity;
	uint32_t *slots; /* a hash table: number of the entry, plus one */
	uint32_t slot_count;
};

#define ENTRY_SET __attribute__((cleanup(entry_set_fini))) struct entry_set

/* An empty set needs nothing but `list`. */
void entry_set_fini(struct entry_set *set);
/* `to` is empty. 0 or -ENOMEM. */
int entry_set_copy(struct entry_set *to, const struct entry_set *from);
/* 1 when it was added, 0 when its key is there already; -ENOSPC when the set is full, -ENOMEM. */
int entry_set_add(struct entry_set *set, const uint8_t *entry);
static inline const uint8_t *entry_set_at(const struct entry_set *set, uint32_t i)
{
	return set->entries + i * shared_list_entry_size(set->list);
}

#endif
