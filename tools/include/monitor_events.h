/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * How monitor_ebpf_loader's program hands packets to any number of readers: a memory-mapped array
 * that user space cannot write, a region a CPU. Nothing is consumed: each reader has its own place,
 * and one that is too slow sees by the numbers how much it missed.
 *
 * A region is one struct monitor_region and then `slots` (a power of two) of struct
 * monitor_event, record n in slot n % slots. A record is written while others read: its checksum
 * covers its number, so one that is half written, or seen in the wrong order on another CPU, is
 * known for that.
 *
 * Included by the eBPF program after "program.bpf.h", by others after <linux/types.h>.
 */
#ifndef MONITOR_EVENTS_H
#define MONITOR_EVENTS_H

#define MONITOR_PIN "/sys/fs/bpf/monitor_events"
#define MONITOR_MAP_NAME "monitor_events"
#define MONITOR_MAGIC 0x31764d4250426567ULL /* changes with what stands here */
#define MONITOR_ENTRY_SIZE 128

struct monitor_region {
	__u64 magic;
	__u32 regions; /* in the map */
	__u32 slots;   /* in each */
	__u64 written; /* records that were begun, ever: the next one's number */
	__u8 reserved[MONITOR_ENTRY_SIZE - 24];
};

#define MONITOR_HAS_ICMP 1 /* type and code; not in later fragments, nor where the packet is cut */
#define MONITOR_HAS_ID 2   /* id and sequence */
#define MONITOR_EGRESS 4
#define MONITOR_MALFORMED 8

struct monitor_event {
	__u64 checksum; /* over all that follows */
	__u64 number;	/* in its region, from 0 */
	__u64 boot_ns;
	__u8 source_ip[16], destination_ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	char interface[16];
	__u32 interface_index;
	__u32 size; /* bytes, by the IP header */
	__u8 type, code;
	__u8 time_to_live;
	__u8 flags;
	__u16 id, sequence;
	__u16 vlan_id; /* 0: none */
	__u8 reserved[MONITOR_ENTRY_SIZE - 90];
};
_Static_assert(sizeof(struct monitor_region) == MONITOR_ENTRY_SIZE, "an entry of the map");
_Static_assert(sizeof(struct monitor_event) == MONITOR_ENTRY_SIZE, "an entry of the map");

/* Of a record whose checksum is not looked at. Each bit of each word reaches the upper half. */
static inline __attribute__((always_inline)) __u64 monitor_checksum(
	const struct monitor_event *event)
{
	const __u64 *words = (const __u64 *)event;
	__u64 sum = MONITOR_MAGIC;

	for (unsigned int i = 1; i < MONITOR_ENTRY_SIZE / 8; i++) {
		sum = (sum ^ words[i]) * 0x9e3779b97f4a7c15ULL;
		sum ^= sum >> 29;
	}
	return sum;
}

#endif
