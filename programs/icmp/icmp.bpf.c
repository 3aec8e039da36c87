/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Every ICMP and ICMPv6 packet on the named interfaces.
 *
 * What arrives is seen by XDP, before the kernel makes a socket buffer of it and before any filter
 * can drop it; where XDP cannot be, by tc. XDP sees nothing of what leaves (the kernel's own
 * replies among it), so that is tc's. Packets are only looked at, and each goes on as it came,
 * unless --ip-list-mode=drop asks for those of listed addresses to be dropped on arrival.
 *
 * All other packets pay some two dozen instructions: two loads and two comparisons for IPv4, and
 * the lookup that says that nothing is to be dropped.
 */
#define PROGRAM_OF_PACKETS
#include "program.bpf.h"

#include "icmp_packet.bpf.h"
#include "ip_list.bpf.h"

PROGRAM("ICMP and ICMPv6 packets that arrive at and leave the named interfaces");

#define PULL_BYTES 256 /* of a packet whose headers are not all in one piece */

struct icmp_event {
	struct event_header header;
	__u8 src_ip[16] FORMAT_IP DESCRIPTION("Source address");
	__u8 dst_ip[16] FORMAT_IP DESCRIPTION("Destination address");
	__u8 icmp_type ONLY_WHEN(has_icmp, "1|2") DESCRIPTION(
		"Type of the message, of ICMP or ICMPv6; null where the packet does not "
		"hold it: in a fragment other than the first, or cut");
	__u8 icmp_code ONLY_WHEN(has_icmp, "1|2") DESCRIPTION("Code of the message");
	enum icmp_message icmp_message ONLY_WHEN(has_icmp, "1|2") DESCRIPTION(
		"What the type means, by one name in both families; a type of ICMPv6 without a "
		"name is 256 + its number");
	__u16 icmp_id ONLY_WHEN(has_icmp, "2")
		DESCRIPTION("Identifier of an echo, timestamp or mask message");
	__u16 icmp_seq ONLY_WHEN(has_icmp, "2") DESCRIPTION("Its sequence number");
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
	__u8 has_icmp HIDDEN; /* 2: with an identifier */
	bool watched WATCHED;
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
			    const struct icmp_packet *packet, __u32 verdict)
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
	event->has_icmp = packet->has_icmp + packet->has_id;
	event->watched = verdict & IP_LIST_WATCHED;
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
#define REPORT(frame, packet, verdict, where)                                                      \
	do {                                                                                       \
		struct icmp_event *event;                                                          \
                                                                                                   \
		if ((verdict)&IP_LIST_UNWANTED) {                                                  \
			stream_filter_out(icmp);                                                   \
			break;                                                                     \
		}                                                                                  \
		if (!stream_wants(icmp))                                                           \
			break;                                                                     \
		if ((packet)->has_original || (packet)->mtu) {                                     \
			event = stream_reserve(icmp, sizeof(*event));                              \
			if (!event)                                                                \
				break;                                                             \
			where;                                                                     \
			fill(event, frame, packet, verdict);                                       \
			fill_original(event, packet);                                              \
			stream_submit(icmp, event, sizeof(*event));                                \
		} else {                                                                           \
			event = stream_reserve(icmp, SIZE_WITHOUT_ORIGINAL);                       \
			if (!event)                                                                \
				break;                                                             \
			where;                                                                     \
			fill(event, frame, packet, verdict);                                       \
			stream_submit(icmp, event, SIZE_WITHOUT_ORIGINAL);                         \
		}                                                                                  \
	} while (0)

/* ---- the IP list ---- */

static __noinline __u32 ask(const struct icmp_packet *packet)
{
	return ip_list_ask(packet->source_ip, packet->destination_ip);
}

/* A frame that is no ICMP, or too strange to say, of a listed address. */
static __noinline bool is_of_listed(const unsigned char *data, const unsigned char *end)
{
	struct icmp_frame frame = { .network = sizeof(struct ethernet_header) };
	__u8 source[16], destination[16];

	if (data + sizeof(struct ethernet_header) > end)
		return false;
	frame.type = ((const struct ethernet_header *)data)->type;
	if (icmp_skip_tags(data, end, &frame) != ICMP_FOUND)
		return false;
	if (frame.type == bpf_htons(ETH_P_IP)) {
		const struct ipv4_header *ip = icmp_at(data, end, frame.network, sizeof(*ip));

		if (!ip)
			return false;
		ip_from_v4(source, ip->source);
		ip_from_v4(destination, ip->destination);
	} else if (frame.type == bpf_htons(ETH_P_IPV6)) {
		const struct ipv6_header *ip = icmp_at(data, end, frame.network, sizeof(*ip));

		if (!ip)
			return false;
		__builtin_memcpy(source, ip->source, sizeof(source));
		__builtin_memcpy(destination, ip->destination, sizeof(destination));
	} else {
		return false;
	}
	return ip_list_ask(source, destination) & IP_LIST_DROP;
}

/* On the way of every packet. */
static __always_inline bool is_to_be_dropped(const unsigned char *data, const unsigned char *end)
{
	const struct ip_list_state *state = ip_list_in_use();

	return state && state->mode == IP_LIST_MODE_DROP && is_of_listed(data, end);
}

/* ---- XDP ---- */

/* Returns what becomes of the packet. */
static __always_inline int inspect(struct xdp_md *xdp, __u64 length)
{
	const unsigned char *data = (const unsigned char *)(long)xdp->data;
	const unsigned char *end = (const unsigned char *)(long)xdp->data_end;
	struct icmp_frame frame = { .length = length, .network = sizeof(struct ethernet_header) };
	struct icmp_packet packet = {};
	__u32 verdict;

	if (data + sizeof(struct ethernet_header) > end)
		return XDP_PASS;
	frame.type = ((const struct ethernet_header *)data)->type;
	switch (icmp_read(data, end, &frame, &packet)) {
	case ICMP_FOUND:
		verdict = ask(&packet);
		REPORT(&frame, &packet, verdict, fill_arrived(event, xdp));
		return verdict & IP_LIST_DROP ? XDP_DROP : XDP_PASS;
	case ICMP_OUT_OF_REACH:
		stream_lose(icmp);
		break;
	case ICMP_NONE:
		break;
	}
	return is_to_be_dropped(data, end) ? XDP_DROP : XDP_PASS;
}

static __always_inline int pass_or_drop(const struct xdp_md *xdp)
{
	return is_to_be_dropped((const unsigned char *)(long)xdp->data,
				(const unsigned char *)(long)xdp->data_end)
		       ? XDP_DROP
		       : XDP_PASS;
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
		return pass_or_drop(xdp);
	return inspect_pieces(xdp);
}

SEC("?xdp")
ON_INGRESS(2)
int icmp_xdp(struct xdp_md *xdp)
{
	if (!icmp_may_be((const unsigned char *)(long)xdp->data,
			 (const unsigned char *)(long)xdp->data_end))
		return pass_or_drop(xdp);
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
	__u32 verdict;

	if (skb->data_end - skb->data < wanted)
		bpf_skb_pull_data(skb, wanted);
	data = (const unsigned char *)(long)skb->data;
	end = (const unsigned char *)(long)skb->data_end;
	if (!find_network(skb, data, end, &frame))
		return TC_ACT_UNSPEC;
	switch (icmp_read(data, end, &frame, &packet)) {
	case ICMP_FOUND:
		verdict = ask(&packet);
		REPORT(&frame, &packet, verdict, fill_tc(event, skb, out));
		return verdict & IP_LIST_DROP && !out ? TC_ACT_SHOT : TC_ACT_UNSPEC;
	case ICMP_OUT_OF_REACH:
		stream_lose(icmp);
		break;
	case ICMP_NONE:
		break;
	}
	return !out && is_to_be_dropped(data, end) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
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
	if (may_be_icmp(skb))
		return inspect_arrived(skb);
	return is_to_be_dropped((const unsigned char *)(long)skb->data,
				(const unsigned char *)(long)skb->data_end)
		       ? TC_ACT_SHOT
		       : TC_ACT_UNSPEC;
}

SEC("?tc")
ON_EGRESS(1)
int icmp_tc_out(struct __sk_buff *skb)
{
	return may_be_icmp(skb) ? inspect_leaving(skb) : TC_ACT_UNSPEC;
}
