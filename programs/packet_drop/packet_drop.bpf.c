/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Every packet that the kernel throws away: why, where in the kernel, and what it was.
 *
 * Hook: the BTF raw tracepoint kfree_skb, which the kernel passes for each skb freed as a drop
 * (consumed ones pass consume_skb). Since 5.17 (c504e5c2f964) it says why; NOT_SPECIFIED then is
 * mostly an ordinary free on a path that has not been taught its reason, and is left out unless
 * asked for. Older kernels say nothing, and the reason is null.
 */
#include "ip_list.bpf.h"
#include "program.bpf.h"

PROGRAM("Packets dropped by the kernel: reason, place, addresses and size");

#define IPV6_EXTENSION_HEADERS 6
#define REFDST_NOREF 1UL /* SKB_DST_NOREF, include/linux/skbuff.h */
#define NO_HEADER 0xffff /* offset of a header that was never set */

/* The reasons that this program knows by name (include/net/dropreason-core.h). */
enum skb_drop_reason {
	SKB_NOT_DROPPED_YET,
	SKB_CONSUMED,
	SKB_DROP_REASON_NOT_SPECIFIED,
	SKB_DROP_REASON_QUEUE_PURGE,
};

const volatile bool include_unspecified
	PARAMETER("Report frees without a reason (NOT_SPECIFIED) too; most are no drops")
= false;

struct packet_drop_event {
	struct event_header header;
	__u64 location FORMAT_SYMBOL DESCRIPTION("Kernel function that freed the packet");
	__u32 drop_reason KERNEL_ENUM(skb_drop_reason, "SKB_DROP_REASON_")
		WITH_CODE(drop_reason_code) NULL_IF_ZERO
		DESCRIPTION("Why, by the running kernel's own name");
	__u32 skb_length UNIT("bytes")
		DESCRIPTION("Bytes in the socket buffer when it was dropped");
	__u32 packet_size_bytes UNIT("bytes") DESCRIPTION(
		"Size of the packet by its IP header; of the socket buffer where there is none");
	__u32 network_namespace NULL_IF_ZERO DESCRIPTION("Inode number of the network namespace");
	char interface[16] NULL_IF_ZERO DESCRIPTION("Network interface the packet was on");
	enum ether_type ether_type NULL_IF_ZERO DESCRIPTION("What the frame carries");
	enum transport protocol DESCRIPTION(
		"Protocol of the packet; of the frame where it is not IP; "
		"of the socket before it is either");
	bool watched WATCHED;
	__u8 reserved HIDDEN;
	__u8 source_ip[16] FORMAT_IP DESCRIPTION("Source address");
	__u8 destination_ip[16] FORMAT_IP DESCRIPTION("Destination address");
	__u16 source_port DESCRIPTION("Source port, where the protocol has ports");
	__u16 destination_port DESCRIPTION("Destination port, where the protocol has ports");
};

/* A record ends where what is known ends. */
#define SIZE_WITHOUT_IP offsetof(struct packet_drop_event, source_ip)
#define SIZE_WITHOUT_PORTS offsetof(struct packet_drop_event, source_port)

STREAM(packet_drop, struct packet_drop_event);

/* What the headers say. */
struct packet {
	__u8 source_ip[16], destination_ip[16];
	__be16 ports[2];
	__u32 size;
	__u16 protocol;
	bool has_ip, has_ports, watched;
};

static __always_inline bool protocol_has_ports(__u16 protocol)
{
	return protocol == TRANSPORT_TCP || protocol == TRANSPORT_UDP ||
	       protocol == TRANSPORT_SCTP || protocol == TRANSPORT_UDPLITE ||
	       protocol == TRANSPORT_DCCP;
}

/*
 * Nothing is read past `end`, where the packet's bytes in the buffer stop: behind it lies what the
 * memory held before.
 */
static __always_inline void read_ports(struct packet *packet, const unsigned char *transport,
				       const unsigned char *end)
{
	packet->has_ports = protocol_has_ports(packet->protocol) &&
			    transport + sizeof(packet->ports) <= end &&
			    !bpf_probe_read_kernel(packet->ports, sizeof(packet->ports), transport);
}

static __always_inline void read_ipv4(struct packet *packet, const unsigned char *header,
				      const unsigned char *end)
{
	struct ipv4_header ip;
	__u32 length;

	if (header + sizeof(ip) > end || bpf_probe_read_kernel(&ip, sizeof(ip), header) ||
	    ip.version_and_length >> 4 != 4)
		return;
	packet->has_ip = true;
	packet->protocol = ip.protocol;
	packet->size = bpf_ntohs(ip.total_length);
	ip_from_v4(packet->source_ip, ip.source);
	ip_from_v4(packet->destination_ip, ip.destination);
	length = (ip.version_and_length & 0x0f) * 4;
	/* Only the first fragment holds the ports (offset: the lower 13 bits). */
	if (length >= sizeof(ip) && !(ip.fragment & bpf_htons(0x1fff)))
		read_ports(packet, header + length, end);
}

static __always_inline void read_ipv6(struct packet *packet, const unsigned char *header,
				      const unsigned char *end)
{
	const unsigned char *next = header + sizeof(struct ipv6_header);
	struct ipv6_header ip;
	__u8 protocol;

	if (header + sizeof(ip) > end || bpf_probe_read_kernel(&ip, sizeof(ip), header) ||
	    (ip.version_and_flow & 0xf0) != 0x60)
		return;
	packet->has_ip = true;
	packet->size = bpf_ntohs(ip.payload_length) + (__u32)sizeof(ip);
	__builtin_memcpy(packet->source_ip, ip.source, sizeof(ip.source));
	__builtin_memcpy(packet->destination_ip, ip.destination, sizeof(ip.destination));
	protocol = ip.next_header;
	for (int i = 0; i < IPV6_EXTENSION_HEADERS; i++) {
		struct ipv6_extension extension;

		if (protocol != NEXT_HOP_BY_HOP && protocol != NEXT_ROUTING &&
		    protocol != NEXT_FRAGMENT && protocol != NEXT_AUTHENTICATION &&
		    protocol != NEXT_DESTINATION)
			break;
		if (next + sizeof(extension) > end ||
		    bpf_probe_read_kernel(&extension, sizeof(extension), next))
			break;
		if (protocol == NEXT_FRAGMENT) {
			next += 8;
			if (extension.fragment & bpf_htons(0xfff8)) {
				packet->protocol = extension.next_header;
				return;
			}
		} else if (protocol == NEXT_AUTHENTICATION) {
			next += (extension.length + 2) * 4;
		} else {
			next += (extension.length + 1) * 8;
		}
		protocol = extension.next_header;
	}
	packet->protocol = protocol;
	read_ports(packet, next, end);
}

/* Of data that was not made a packet yet: a segment that found no route, a Unix datagram. */
static __always_inline __u16 protocol_of_owner(struct sk_buff *skb)
{
	struct sock *sock = skb->sk;
	__u16 family;

	if (!sock)
		return TRANSPORT_LINK;
	family = BPF_CORE_READ(sock, __sk_common.skc_family);
	return family == AF_INET || family == AF_INET6 ? BPF_CORE_READ(sock, sk_protocol)
						       : TRANSPORT_FAMILY + family;
}

static __always_inline void read_packet(struct packet *packet, struct sk_buff *skb)
{
	__u16 offset = skb->network_header;
	const unsigned char *header = offset && offset != NO_HEADER ? skb->head + offset
								    : skb->data;
	const unsigned char *end = skb->data + (skb->len - skb->data_len);
	__u16 type = bpf_ntohs(skb->protocol);

	packet->size = skb->len;
	if (!type)
		packet->protocol = protocol_of_owner(skb);
	else
		packet->protocol = type == ETH_P_ARP ? TRANSPORT_ARP : TRANSPORT_LINK;
	if (type == ETH_P_IP)
		read_ipv4(packet, header, end);
	else if (type == ETH_P_IPV6)
		read_ipv6(packet, header, end);
}

/*
 * Whether it is one: while a packet lies in a socket's queue or tree, the kernel keeps other things
 * in the places of its device and route (struct sk_buff: dev_scratch, rbnode, tcp_tsorted_anchor).
 * A device's queues point back to it.
 */
static __always_inline bool is_device(struct net_device *device)
{
	return device && BPF_CORE_READ(device, _tx, dev) == device;
}

/* The stack forgets the device of a packet that is on its way up to a socket; its route still
 * knows. */
static __always_inline struct net_device *device_of(struct sk_buff *skb)
{
	struct net_device *device = skb->dev;
	struct dst_entry *route;

	if (is_device(device))
		return device;
	route = (struct dst_entry *)(skb->_skb_refdst & ~REFDST_NOREF);
	device = route ? BPF_CORE_READ(route, dev) : NULL;
	return is_device(device) ? device : NULL;
}

static __noinline void fill(struct packet_drop_event *event, struct sk_buff *skb, void *location,
			    const __u32 *reason, const struct packet *packet)
{
	struct net_device *device = device_of(skb);

	event_header_fill(&event->header);
	event->location = (__u64)location;
	event->drop_reason = reason ? *reason : 0;
	event->reserved = 0;
	event->skb_length = skb->len;
	event->packet_size_bytes = packet->size;
	event->network_namespace = 0;
	event->ether_type = bpf_ntohs(skb->protocol);
	event->protocol = packet->protocol;
	event->watched = packet->watched;
	__builtin_memset(event->interface, 0, sizeof(event->interface));
	if (device) {
		bpf_probe_read_kernel_str(event->interface, sizeof(event->interface), device->name);
		event->network_namespace = BPF_CORE_READ(device, nd_net.net, ns.inum);
	} else if (skb->sk) {
		event->network_namespace = BPF_CORE_READ(skb, sk, __sk_common.skc_net.net, ns.inum);
	}
}

static __always_inline void fill_ip(struct packet_drop_event *event, const struct packet *packet)
{
	__builtin_memcpy(event->source_ip, packet->source_ip, sizeof(event->source_ip));
	__builtin_memcpy(event->destination_ip, packet->destination_ip,
			 sizeof(event->destination_ip));
}

static __always_inline int report(struct sk_buff *skb, void *location, const __u32 *reason)
{
	struct packet_drop_event *event;
	struct packet packet = {};
	__u32 verdict;

	if (!stream_wants(packet_drop))
		return 0;
	read_packet(&packet, skb);
	verdict = ip_list_ask(packet.has_ip ? packet.source_ip : NULL,
			      packet.has_ip ? packet.destination_ip : NULL);
	if (verdict & IP_LIST_UNWANTED) {
		stream_filter_out(packet_drop);
		return 0;
	}
	packet.watched = verdict & IP_LIST_WATCHED;
	if (packet.has_ports) {
		event = stream_reserve(packet_drop, sizeof(*event));
		if (!event)
			return 0;
		fill(event, skb, location, reason, &packet);
		fill_ip(event, &packet);
		event->source_port = bpf_ntohs(packet.ports[0]);
		event->destination_port = bpf_ntohs(packet.ports[1]);
		stream_submit(packet_drop, event, sizeof(*event));
	} else if (packet.has_ip) {
		event = stream_reserve(packet_drop, SIZE_WITHOUT_PORTS);
		if (!event)
			return 0;
		fill(event, skb, location, reason, &packet);
		fill_ip(event, &packet);
		stream_submit(packet_drop, event, SIZE_WITHOUT_PORTS);
	} else {
		event = stream_reserve(packet_drop, SIZE_WITHOUT_IP);
		if (!event)
			return 0;
		fill(event, skb, location, reason, &packet);
		stream_submit(packet_drop, event, SIZE_WITHOUT_IP);
	}
	return 0;
}

/* Frees that are no drops. The numbers moved between kernels: they are asked for by name. */
static __always_inline bool is_ordinary(struct sk_buff *skb, __u32 reason)
{
	if (reason == bpf_core_enum_value(enum skb_drop_reason, SKB_NOT_DROPPED_YET))
		return true;
	if (bpf_core_enum_value_exists(enum skb_drop_reason, SKB_CONSUMED) &&
	    reason == bpf_core_enum_value(enum skb_drop_reason, SKB_CONSUMED))
		return true;
	/* A closed TCP socket purges the FIN that nobody reads: each connection ends so, and no
	 * byte is lost. */
	if (bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_QUEUE_PURGE) &&
	    reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_QUEUE_PURGE) &&
	    !skb->len)
		return true;
	return !include_unspecified &&
	       reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_NOT_SPECIFIED);
}

SEC("?tp_btf/kfree_skb")
RANKED(drop, 1)
int packet_drop_with_reason(__u64 *context)
{
	struct sk_buff *skb = (struct sk_buff *)context[0];
	void *location = (void *)context[1];
	__u32 reason = (__u32)context[2];

	if (is_ordinary(skb, reason)) {
		stream_filter_out(packet_drop);
		return 0;
	}
	return report(skb, location, &reason);
}

/* Kernels before 5.17: the tracepoint has no third argument, and the verifier refuses to look for
 * it. */
SEC("?tp_btf/kfree_skb")
RANKED(drop, 2)
int packet_drop_without_reason(__u64 *context)
{
	struct sk_buff *skb = (struct sk_buff *)context[0];
	void *location = (void *)context[1];

	return report(skb, location, NULL);
}
