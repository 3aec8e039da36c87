/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * ICMP and ICMPv6 on named interfaces for many readers at once (monitor_events.h): the program
 * `icmp` with another way out. A ring buffer has one reader, which takes what it reads.
 *
 * A region belongs to one CPU, and these hooks run with softirqs off, so nobody else writes there
 * meanwhile.
 */
#define PROGRAM_WITHOUT_STREAMS
#define PROGRAM_OF_PACKETS
#include "program.bpf.h"

#include "icmp_packet.bpf.h"
#include "monitor_events.h"

PROGRAM("ICMP packets for monitor_ebpf_reader");

#define PULL_BYTES 256 /* of a packet whose headers are not all in one piece */
#define BPF_F_MMAPABLE (1U << 10)

struct monitor_entry {
	__u64 words[MONITOR_ENTRY_SIZE / 8];
};

/* Set by the loader: by the machine's CPUs. */
const volatile __u32 monitor_slots = 1024;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct monitor_entry);
} monitor_events SEC(".maps");

static __always_inline void publish(struct monitor_event *event)
{
	__u32 first = bpf_get_smp_processor_id() * (monitor_slots + 1), place;
	struct monitor_region *region = bpf_map_lookup_elem(&monitor_events, &first);
	struct monitor_event *slot;

	if (!region)
		return;
	event->number = region->written;
	region->written = event->number + 1;
	place = first + 1 + ((__u32)event->number & (monitor_slots - 1));
	slot = bpf_map_lookup_elem(&monitor_events, &place);
	if (!slot)
		return;
	event->checksum = monitor_checksum(event);
	*slot = *event;
}

static __always_inline void fill(struct monitor_event *event, const struct icmp_frame *frame,
				 const struct icmp_packet *packet)
{
	event->boot_ns = bpf_ktime_get_boot_ns();
	__builtin_memcpy(event->source_ip, packet->source_ip, sizeof(event->source_ip));
	__builtin_memcpy(event->destination_ip, packet->destination_ip,
			 sizeof(event->destination_ip));
	event->size = packet->size;
	event->type = packet->type;
	event->code = packet->code;
	event->time_to_live = packet->time_to_live;
	event->id = packet->id;
	event->sequence = packet->sequence;
	event->vlan_id = frame->vlan_id;
	if (packet->has_icmp)
		event->flags |= MONITOR_HAS_ICMP;
	if (packet->has_id)
		event->flags |= MONITOR_HAS_ID;
	if (packet->malformed)
		event->flags |= MONITOR_MALFORMED;
}

/* ---- arriving: XDP ---- */

static __always_inline int inspect(struct xdp_md *xdp, __u64 length)
{
	const unsigned char *data = (const unsigned char *)(long)xdp->data;
	const unsigned char *end = (const unsigned char *)(long)xdp->data_end;
	struct icmp_frame frame = { .length = length, .network = sizeof(struct ethernet_header) };
	struct icmp_packet packet = {};
	struct monitor_event event = {};

	if (data + sizeof(struct ethernet_header) > end)
		return XDP_PASS;
	frame.type = ((const struct ethernet_header *)data)->type;
	/* What cannot be reached may be something else. */
	if (icmp_read(data, end, &frame, &packet) != ICMP_FOUND)
		return XDP_PASS;
	fill(&event, &frame, &packet);
	event.interface_index = xdp->ingress_ifindex;
	interface_of_xdp(event.interface, xdp);
	publish(&event);
	return XDP_PASS;
}

static __noinline int inspect_pieces(struct xdp_md *xdp)
{
	return inspect(xdp, bpf_xdp_get_buff_len(xdp));
}

static __noinline int inspect_whole(struct xdp_md *xdp)
{
	return inspect(xdp, xdp->data_end - xdp->data);
}

/* Kernels from 5.18 on (c2f2cdbeffda): frames that do not fit a page come in pieces. */
SEC("?xdp.frags")
int monitor_xdp_frags(struct xdp_md *xdp)
{
	if (!icmp_may_be((const unsigned char *)(long)xdp->data,
			 (const unsigned char *)(long)xdp->data_end))
		return XDP_PASS;
	return inspect_pieces(xdp);
}

SEC("?xdp")
int monitor_xdp(struct xdp_md *xdp)
{
	if (!icmp_may_be((const unsigned char *)(long)xdp->data,
			 (const unsigned char *)(long)xdp->data_end))
		return XDP_PASS;
	return inspect_whole(xdp);
}

/* ---- leaving: tc ---- */

SEC("tc")
int monitor_tc(struct __sk_buff *skb)
{
	struct icmp_frame frame = { .length = skb->len, .network = sizeof(struct ethernet_header) };
	__u32 wanted = skb->len < PULL_BYTES ? skb->len : PULL_BYTES;
	struct icmp_packet packet = {};
	struct monitor_event event = {};
	const unsigned char *data, *end;

	if (!icmp_may_be((const unsigned char *)(long)skb->data,
			 (const unsigned char *)(long)skb->data_end))
		return TC_ACT_UNSPEC;
	if (skb->data_end - skb->data < wanted)
		bpf_skb_pull_data(skb, wanted);
	data = (const unsigned char *)(long)skb->data;
	end = (const unsigned char *)(long)skb->data_end;
	if (data + sizeof(struct ethernet_header) > end)
		return TC_ACT_UNSPEC;
	if (skb->vlan_present) {
		frame.tags = 1;
		frame.vlan_id = skb->vlan_tci & VLAN_ID_MASK;
	}
	frame.type = ((const struct ethernet_header *)data)->type;
	if (icmp_read(data, end, &frame, &packet) != ICMP_FOUND)
		return TC_ACT_UNSPEC;
	fill(&event, &frame, &packet);
	event.flags |= MONITOR_EGRESS;
	event.interface_index = skb->ifindex;
	interface_of_tc(event.interface, skb);
	publish(&event);
	return TC_ACT_UNSPEC;
}
