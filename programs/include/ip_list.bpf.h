/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The list of addresses that people keep through the API (POST /add_ips): one map that all programs
 * share, looked up by longest prefix. A program that has addresses asks once for each event:
 *
 *	__u32 verdict = ip_list_ask(source_ip, destination_ip);     one of them may be NULL, or both
 *
 *	if (verdict & IP_LIST_UNWANTED) {                           --ip-list-mode=only
 *		stream_filter_out(name);
 *		return XDP_PASS;
 *	}
 *	…
 *	event->watched = verdict & IP_LIST_WATCHED;                 a member `bool watched WATCHED`
 *	…
 *	return verdict & IP_LIST_DROP ? XDP_DROP : XDP_PASS;        --ip-list-mode=drop
 *
 * Only programs at interfaces can drop; to all others drop is the same as tag.
 *
 * An empty list is no list, whatever the mode: nothing is watched, unwanted or dropped, and all
 * that it costs is one lookup in an array and a compare.
 */
#ifndef IP_LIST_BPF_H
#define IP_LIST_BPF_H

#include "program.bpf.h"

#define IP_LIST_ENTRIES 65536

enum ip_list_mode {
	IP_LIST_MODE_TAG,
	IP_LIST_MODE_ONLY,
	IP_LIST_MODE_DROP,
};

/* IPv4 stands as ::ffff:a.b.c.d, so that a prefix of n bits there has 96 + n here. */
struct ip_list_key {
	__u32 prefix;
	__u8 ip[16];
};

struct ip_list_state {
	__u32 count; /* entries */
	__u32 mode;  /* enum ip_list_mode */
};

/* The value is for user space alone: how the entry was given. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, IP_LIST_ENTRIES);
	__type(key, struct ip_list_key);
	__type(value, __u8);
} ip_list SEC(".maps") SHARED;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ip_list_state);
} ip_list_state SEC(".maps") SHARED;

/* For the member of an event. */
#define WATCHED DESCRIPTION("An address of it is on the IP list")

enum ip_list_verdict {
	IP_LIST_WATCHED = 1,  /* an address is listed */
	IP_LIST_UNWANTED = 2, /* only events with listed addresses are asked for */
	IP_LIST_DROP = 4,     /* the packet is to be dropped */
};

/* The state, or NULL when the list is empty. */
static __always_inline const struct ip_list_state *ip_list_in_use(void)
{
	__u32 zero = 0;
	const struct ip_list_state *state = bpf_map_lookup_elem(&ip_list_state, &zero);

	return state && state->count ? state : NULL;
}

/* Only worth asking when the list is in use. */
static __always_inline bool ip_list_holds(const __u8 ip[16])
{
	struct ip_list_key key = { .prefix = 128 };

	__builtin_memcpy(key.ip, ip, sizeof(key.ip));
	return bpf_map_lookup_elem(&ip_list, &key) != NULL;
}

/* Whether an address is on the list. */
static __always_inline bool ip_is_listed(const __u8 ip[16])
{
	return ip_list_in_use() && ip_list_holds(ip);
}

/* An OR of enum ip_list_verdict for an event with up to two addresses. */
static __always_inline __u32 ip_list_ask(const __u8 *ip, const __u8 *other)
{
	const struct ip_list_state *state = ip_list_in_use();

	if (!state)
		return 0;
	if ((ip && ip_list_holds(ip)) || (other && ip_list_holds(other)))
		return state->mode == IP_LIST_MODE_DROP ? IP_LIST_WATCHED | IP_LIST_DROP
							: IP_LIST_WATCHED;
	return state->mode == IP_LIST_MODE_ONLY ? IP_LIST_UNWANTED : 0;
}

#endif
