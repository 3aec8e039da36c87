/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Every ICMP and ICMPv6 packet on the named interfaces.
 *
 * What arrives is seen by XDP, before the kernel makes a socket buffer of it and before any filter
 * can drop it; where XDP cannot be, by tc. XDP sees nothing of what leaves (the kernel's own
 * replies among it), so that is tc's. Packets are only looked at: each goes on as it came.
 *
 * All other packets pay a dozen instructions: two loads and two comparisons for IPv4.
 */
#define PROGRAM_OF_PACKETS
#include "program.bpf.h"

#include "icmp_packet.bpf.h"

PROGRAM("ICMP and ICMPv6 packets that arrive at and leave the named interfaces");

#define PULL_BYTES 256 /* of a packet whose headers are not all in one piece */

struct icmp_event {
	struct event_header header;
	__u8 src_ip[16] FORMAT_IP DESCRIPTION("Source address");
	__u8 dst_ip[16] FORMAT_IP DESCRIPTION("Destination address");
	__u8 icmp_type ONLY_WHEN(has_icmp, "1") DESCRIPTION(
		"Type of the message, of ICMP or ICMPv6; null where the packet does not "
		"hold it: in a fragment other than the first, or cut");
	__u8 icmp_code ONLY_WHEN(has_icmp, "1") DESCRIPTION("Code of the message");
	enum icmp_message icmp_message ONLY_WHEN(has_icmp, "1") DESCRIPTION(
		"What the type means, by one name in both families; a type of ICMPv6 without a "
		"name is 256 + its number");
	__u16 icmp_id ONLY_WHEN(has_id, "1")
		DESCRIPTION("Identifier of an echo, timestamp or mask message");
	__u16 icmp_seq ONLY_WHEN(has_id, "1") DESCRIPTION("Its sequence number");
	__u16 vlan_id ONLY_WHEN(vlan_tags, "1|2|3|4")
		DESCRIPTION("VLAN of the frame, by its outer tag");
	__u16 inner_vlan_id ONLY_WHEN(vlan_tags, "2|3|4") DESCRIPTION("VLAN by the second tag");
	__u32 interface_index DESCRIPTION("Number of the network interface");
	char interface[16] DESCRIPTION("Network interface, by the name that it had");
	__u32 packet_size_bytes UNIT("bytes") DESCRIPTION("Size of the packet by its IP header");
	enum packet_direction direction DESCRIPTION("Whether it arrived or left");
	__u8 ttl DESCRIPTION("Time to live, or hop limit");
	bool malformed DESCRIPTION(
		"The headers contradict each other, or the packet ends before its message does");
	bool more_fragments ONLY_WHEN(is_fragment, "1") DESCRIPTION("Not the last fragment");
	__u16 fragment_offset ONLY_WHEN(is_fragment, "1") UNIT("bytes")
		DESCRIPTION("Place of the fragment in its packet; null where it is whole");
	__u8 has_owner HIDDEN;
	__u8 has_icmp HIDDEN;
	__u8 has_id HIDDEN;
	__u8 has_original HIDDEN;
	__u8 is_fragment HIDDEN;
	__u8 vlan_tags HIDDEN;
	__u8 original_dst_ip[16] FORMAT_IP ONLY_WHEN(has_original, "1")
		DESCRIPTION("Where the packet that an error is about was sent to");
	__u32 mtu NULL_IF_ZERO UNIT("bytes") DESCRIPTION("Largest packet that the next link takes");
	enum transport original_protocol ONLY_WHEN(has_original, "1")
		DESCRIPTION("Its protocol; of IPv6 the first header's");
	__u16 reserved HIDDEN;
};

/* Only errors have more. */
#define SIZE_WITHOUT_ORIGINAL offsetof(struct icmp_event, original_dst_ip)

STREAM(icmp, struct icmp_event);

static __noinline void fill(struct icmp_event *event, const struct icmp_frame *frame,
			    const struct icmp_packet *packet)
{
	__builtin_memcpy(event->src_ip, packet->source_ip, sizeof(event->src_ip));
	__builtin_memcpy(event->dst_ip, packet->destination_ip, sizeof(event->dst_ip));
	event->icmp_type = packet->type;
	event->icmp_code = packet->code;
	event->icmp_message = packet->message;
	event->icmp_id = packet->id;
	event->icmp_seq = packet->sequence;
	event->vlan_id = frame->vlan_id;
	event->inner_vlan_id = frame->inner_vlan_id;
	event->packet_size_bytes = packet->size;
	event->ttl = packet->time_to_live;
	event->malformed = packet->malformed;
	event->more_fragments = packet->more_fragments;
	event->fragment_offset = packet->fragment_offset;
	event->has_icmp = packet->has_icmp;
	event->has_id = packet->has_id;
	event->has_original = packet->has_original;
	event->is_fragment = packet->is_fragment;
	event->vlan_tags = frame->tags;
}

static __always_inline void fill_original(struct icmp_event *event,
					  const struct icmp_packet *packet)
{
	__builtin_memcpy(event->original_dst_ip, packet->original_ip,
			 sizeof(event->original_dst_ip));
	event->mtu = packet->mtu;
	event->original_protocol = packet->original_protocol;
	event->reserved = 0;
}

static __always_inline void fill_arrived(struct icmp_event *event, struct xdp_md *xdp)
{
	packet_header_fill(&event->header);
	event->has_owner = false;
	event->direction = DIRECTION_ingress;
	event->interface_index = xdp->ingress_ifindex;
	interface_of_xdp(event->interface, xdp);
}

static __always_inline void fill_tc(struct icmp_event *event, struct __sk_buff *skb, bool out)
{
	if (out) {
		event->has_owner = packet_header_fill_out(&event->header, skb);
	} else {
		packet_header_fill(&event->header);
		event->has_owner = false;
	}
	event->direction = out ? DIRECTION_egress : DIRECTION_ingress;
	event->interface_index = skb->ifindex;
	interface_of_tc(event->interface, skb);
}

/* `where` fills in what the hook knows. */
#define REPORT(frame, packet, where)                                                               \
	do {                                                                                       \
		struct icmp_event *event;                                                          \
                                                                                                   \
		if (!stream_wants(icmp))                                                           \
			break;                                                                     \
		if ((packet)->has_original || (packet)->mtu) {                                     \
			event = stream_reserve(icmp, sizeof(*event));                              \
			if (!event)                                                                \
				break;                                                             \
			where;                                                                     \
			fill(event, frame, packet);                                                \
			fill_original(event, packet);                                              \
			stream_submit(icmp, event, sizeof(*event));                                \
		} else {                                                                           \
			event = stream_reserve(icmp, SIZE_WITHOUT_ORIGINAL);                       \
			if (!event)                                                                \
				break;                                                             \
			where;                                                                     \
			fill(event, frame, packet);                                                \
			stream_submit(icmp, event, SIZE_WITHOUT_ORIGINAL);                         \
		}                                                                                  \
	} while (0)

/* ---- XDP ---- */

/* Returns what becomes of the packet: the one place where its addresses are known. */
static __always_inline int inspect(struct xdp_md *xdp, __u64 length)
{
	const unsigned char *data = (const unsigned char *)(long)xdp->data;
	const unsigned char *end = (const unsigned char *)(long)xdp->data_end;
	struct icmp_frame frame = { .length = length, .network = sizeof(struct ethernet_header) };
	struct icmp_packet packet = {};

	if (data + sizeof(struct ethernet_header) > end)
		return XDP_PASS;
	frame.type = ((const struct ethernet_header *)data)->type;
	switch (icmp_read(data, end, &frame, &packet)) {
	case ICMP_FOUND:
		REPORT(&frame, &packet, fill_arrived(event, xdp));
		break;
	case ICMP_OUT_OF_REACH:
		stream_lose(icmp);
		break;
	case ICMP_NONE:
		break;
	}
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

/* Kernels from 5.18 on (c2f2cdbeffda): frames that do not fit a page come in pieces, and drivers
 * refuse a program that does not say that it knows. */
SEC("?xdp.frags")
ON_INGRESS(1)
int icmp_xdp_frags(struct xdp_md *xdp)
{
	if (!icmp_may_be((const unsigned char *)(long)xdp->data,
			 (const unsigned char *)(long)xdp->data_end))
		return XDP_PASS;
	return inspect_pieces(xdp);
}

SEC("?xdp")
ON_INGRESS(2)
int icmp_xdp(struct xdp_md *xdp)
{
	if (!icmp_may_be((const unsigned char *)(long)xdp->data,
			 (const unsigned char *)(long)xdp->data_end))
		return XDP_PASS;
	return inspect_whole(xdp);
}

/* ---- tc ---- */

/* A VLAN tag is mostly not in the frame but beside it, on arrival and often on leaving. Tunnels
 * have no Ethernet header. */
static __always_inline bool find_network(struct __sk_buff *skb, const unsigned char *data,
					 const unsigned char *end, struct icmp_frame *frame)
{
	if (skb->vlan_present) {
		frame->tags = 1;
		frame->vlan_id = skb->vlan_tci & VLAN_ID_MASK;
	}
	if (data + sizeof(struct ethernet_header) > end)
		return false;
	frame->type = ((const struct ethernet_header *)data)->type;
	frame->network = sizeof(struct ethernet_header);
	if (frame->type == skb->protocol || interface_has_ethernet(skb))
		return true;
	frame->type = (__be16)skb->protocol;
	frame->network = 0;
	return true;
}

/* Whether the packet is worth a closer look. What is no Ethernet frame of IP may be a tunnel's. */
static __always_inline bool may_be_icmp(struct __sk_buff *skb)
{
	const unsigned char *data = (const unsigned char *)(long)skb->data;
	const unsigned char *end = (const unsigned char *)(long)skb->data_end;
	__be16 type;

	if (icmp_may_be(data, end))
		return true;
	if (data + sizeof(struct ethernet_header) > end)
		return true;
	type = ((const struct ethernet_header *)data)->type;
	return type != skb->protocol &&
	       (skb->protocol == bpf_htons(ETH_P_IP) || skb->protocol == bpf_htons(ETH_P_IPV6));
}

static __always_inline int inspect_tc(struct __sk_buff *skb, bool out)
{
	__u32 wanted = skb->len < PULL_BYTES ? skb->len : PULL_BYTES;
	struct icmp_frame frame = { .length = skb->len };
	struct icmp_packet packet = {};
	const unsigned char *data, *end;

	if (skb->data_end - skb->data < wanted)
		bpf_skb_pull_data(skb, wanted);
	data = (const unsigned char *)(long)skb->data;
	end = (const unsigned char *)(long)skb->data_end;
	if (!find_network(skb, data, end, &frame))
		return TC_ACT_UNSPEC;
	switch (icmp_read(data, end, &frame, &packet)) {
	case ICMP_FOUND:
		REPORT(&frame, &packet, fill_tc(event, skb, out));
		break;
	case ICMP_OUT_OF_REACH:
		stream_lose(icmp);
		break;
	case ICMP_NONE:
		break;
	}
	return TC_ACT_UNSPEC;
}

static __noinline int inspect_arrived(struct __sk_buff *skb)
{
	return inspect_tc(skb, false);
}

static __noinline int inspect_leaving(struct __sk_buff *skb)
{
	return inspect_tc(skb, true);
}

SEC("?tc")
ON_INGRESS(3)
int icmp_tc_in(struct __sk_buff *skb)
{
	return may_be_icmp(skb) ? inspect_arrived(skb) : TC_ACT_UNSPEC;
}

SEC("?tc")
ON_EGRESS(1)
int icmp_tc_out(struct __sk_buff *skb)
{
	return may_be_icmp(skb) ? inspect_leaving(skb) : TC_ACT_UNSPEC;
}
