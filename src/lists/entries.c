/* SPDX-License-Identifier: MIT */
#include "lists/entries.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

/* The key of SHARED_IPS as the kernel has it, and the value. */
#define IP_SIZE 16
#define IP_AT 4
#define GIVEN_AT (IP_AT + IP_SIZE)
#define GIVEN_AS_NUMBER 1
#define IPV4_BITS 96 /* of the prefix ::ffff:0:0 */

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

/* ---- addresses ---- */

static void put_prefix(uint8_t *entry, uint32_t prefix)
{
	memcpy(entry, &prefix, sizeof(prefix));
	for (uint32_t bit = prefix; bit < 8 * IP_SIZE; bit++)
		entry[IP_AT + bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static uint32_t prefix_of(const uint8_t *entry)
{
	uint32_t prefix;

	memcpy(&prefix, entry, sizeof(prefix));
	return prefix;
}

void ip_entry_from_number(uint32_t number, uint8_t entry[ENTRY_SIZE_MAX])
{
	uint32_t address = htonl(number);

	memcpy(entry + IP_AT, mapped_prefix, sizeof(mapped_prefix));
	memcpy(entry + IP_AT + sizeof(mapped_prefix), &address, sizeof(address));
	put_prefix(entry, 8 * IP_SIZE);
	entry[GIVEN_AT] = GIVEN_AS_NUMBER;
}

int ip_entry_parse(const char *text, uint8_t entry[ENTRY_SIZE_MAX])
{
	char address[INET6_ADDRSTRLEN + 1];
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	bool is_ipv4;
	uint64_t prefix;

	if (length >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, length);
	address[length] = '\0';
	is_ipv4 = inet_pton(AF_INET, address, entry + IP_AT + sizeof(mapped_prefix)) == 1;
	if (is_ipv4)
		memcpy(entry + IP_AT, mapped_prefix, sizeof(mapped_prefix));
	else if (inet_pton(AF_INET6, address, entry + IP_AT) != 1)
		return -EINVAL;
	prefix = is_ipv4 ? 32 : 128;
	/* Decimal, and without zeros before it. */
	if (slash &&
	    (text_parse_u64(slash + 1, 0, prefix, &prefix) < 0 || (slash[1] == '0' && slash[2])))
		return -EINVAL;
	put_prefix(entry, (uint32_t)prefix + (is_ipv4 ? IPV4_BITS : 0));
	entry[GIVEN_AT] = 0;
	return 0;
}

bool ip_entry_number(const uint8_t *entry, uint32_t *ret_number)
{
	uint32_t address;

	if (entry[GIVEN_AT] != GIVEN_AS_NUMBER)
		return false;
	memcpy(&address, entry + IP_AT + sizeof(mapped_prefix), sizeof(address));
	*ret_number = ntohl(address);
	return true;
}

void ip_entry_text(const uint8_t *entry, char text[IP_ENTRY_TEXT_SIZE])
{
	const uint8_t *ip = entry + IP_AT;
	uint32_t prefix = prefix_of(entry), whole = 8 * IP_SIZE;
	char address[INET6_ADDRSTRLEN] = "";

	if (prefix >= IPV4_BITS && !memcmp(ip, mapped_prefix, sizeof(mapped_prefix))) {
		inet_ntop(AF_INET, ip + sizeof(mapped_prefix), address, sizeof(address));
		prefix -= IPV4_BITS;
		whole -= IPV4_BITS;
	} else {
		inet_ntop(AF_INET6, ip, address, sizeof(address));
	}
	if (prefix == whole)
		snprintf(text, IP_ENTRY_TEXT_SIZE, "%s", address);
	else
		snprintf(text, IP_ENTRY_TEXT_SIZE, "%s/%u", address, prefix & 0xff);
}

/* ---- processes ---- */

int process_entry_make(int64_t pid, uint8_t entry[ENTRY_SIZE_MAX])
{
	uint32_t key = (uint32_t)pid;

	if (pid < 1 || pid > PROCESS_ID_MAX)
		return -ERANGE;
	memcpy(entry, &key, sizeof(key));
	entry[sizeof(key)] = 1;
	return 0;
}

uint32_t process_entry_pid(const uint8_t *entry)
{
	uint32_t pid;

	memcpy(&pid, entry, sizeof(pid));
	return pid;
}

/* ---- sets ---- */

#define FIRST_CAPACITY 64u
/* FNV-1a. Whoever could make keys collide may fill the list anyway, and it is bounded. */
#define HASH_BASIS 2166136261u
#define HASH_PRIME 16777619u

static uint32_t hash(const struct entry_set *set, const uint8_t *entry)
{
	uint32_t value = HASH_BASIS;

	for (uint32_t i = 0; i < shared_list_kinds[set->list].key_size; i++)
		value = (value ^ entry[i]) * HASH_PRIME;
	return value ^ value >> 15;
}

void entry_set_fini(struct entry_set *set)
{
	free(TAKE(set->entries));
	free(TAKE(set->slots));
	set->count = set->capacity = set->slot_count = 0;
}

int entry_set_copy(struct entry_set *to, const struct entry_set *from)
{
	size_t size = shared_list_entry_size(from->list);

	to->list = from->list;
	if (!from->count)
		return 0;
	to->entries = malloc(from->capacity * size);
	to->slots = malloc(from->slot_count * sizeof(*to->slots));
	if (!to->entries || !to->slots) {
		entry_set_fini(to);
		return -ENOMEM;
	}
	memcpy(to->entries, from->entries, from->count * size);
	memcpy(to->slots, from->slots, from->slot_count * sizeof(*to->slots));
	to->count = from->count;
	to->capacity = from->capacity;
	to->slot_count = from->slot_count;
	return 0;
}

/* The slot of an entry's key: it holds the entry's number plus one, or 0. */
static uint32_t *find_slot(const struct entry_set *set, const uint8_t *entry)
{
	uint32_t at = hash(set, entry);

	for (;; at++) {
		uint32_t *slot = &set->slots[at & (set->slot_count - 1)];

		if (!*slot || !memcmp(entry_set_at(set, *slot - 1), entry,
				      shared_list_kinds[set->list].key_size))
			return slot;
	}
}

/* At most half of the slots are taken. */
static int grow(struct entry_set *set)
{
	uint32_t capacity = set->capacity ? 2 * set->capacity : FIRST_CAPACITY;
	FREE uint32_t *slots = calloc(2 * (size_t)capacity, sizeof(*slots));
	uint8_t *entries = NULL;

	if (slots)
		entries = reallocarray(set->entries, capacity, shared_list_entry_size(set->list));
	if (!entries)
		return -ENOMEM;
	set->entries = entries;
	set->capacity = capacity;
	free(set->slots);
	set->slots = TAKE(slots);
	set->slot_count = 2 * capacity;
	for (uint32_t i = 0; i < set->count; i++)
		*find_slot(set, entry_set_at(set, i)) = i + 1;
	return 0;
}

int entry_set_add(struct entry_set *set, const uint8_t *entry)
{
	size_t size = shared_list_entry_size(set->list);
	uint32_t *slot;
	int r;

	if (set->count && *find_slot(set, entry))
		return 0;
	if (set->count == shared_list_kinds[set->list].limit)
		return -ENOSPC;
	r = set->count == set->capacity ? grow(set) : 0;
	if (r < 0)
		return r;
	slot = find_slot(set, entry);
	memcpy(set->entries + set->count * size, entry, size);
	*slot = ++set->count;
	return 1;
}
