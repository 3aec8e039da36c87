/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Finds ICMP and ICMPv6 in a packet and reads what it says. For any program that gets packets, of
 * XDP or tc; includes nothing and reports nothing. After "program.bpf.h":
 *
 *	if (!icmp_may_be(data, end))
 *		return …;                          a dozen instructions for everything else
 *	switch (icmp_read(data, end, &frame, &packet)) …
 *
 * Sources: RFC 792, 950, 1191, 4443, 4861, 8335; IANA's registries of ICMP and ICMPv6 parameters.
 */
#ifndef ICMP_PACKET_BPF_H
#define ICMP_PACKET_BPF_H

#define ICMP_MAX_TAGS 4	       /* VLAN tags in a frame */
#define ICMP_MAX_EXTENSIONS 8  /* IPv6 extension headers */
#define ICMP_MAX_OFFSET 0x3fff /* of anything that is read */

/* What all messages begin with; after it an error has the beginning of the packet that it is
 * about. */
struct icmp_header {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be16 rest[2]; /* identifier and sequence number, or what the type makes of them */
};
#define ICMP_TYPE_SIZE 2 /* type and code */

/* What a message is, in either family. Where ICMPv6 has no like in ICMP it is 256 + its type. */
enum icmp_message {
	ICMP_ECHO_REPLY = 0,
	ICMP_DESTINATION_UNREACHABLE = 3,
	ICMP_SOURCE_QUENCH = 4,
	ICMP_REDIRECT = 5,
	ICMP_ECHO_REQUEST = 8,
	ICMP_ROUTER_ADVERTISEMENT = 9,
	ICMP_ROUTER_SOLICITATION = 10,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETER_PROBLEM = 12,
	ICMP_TIMESTAMP_REQUEST = 13,
	ICMP_TIMESTAMP_REPLY = 14,
	ICMP_INFORMATION_REQUEST = 15,
	ICMP_INFORMATION_REPLY = 16,
	ICMP_ADDRESS_MASK_REQUEST = 17,
	ICMP_ADDRESS_MASK_REPLY = 18,
	ICMP_TRACEROUTE = 30,
	ICMP_EXTENDED_ECHO_REQUEST = 42,
	ICMP_EXTENDED_ECHO_REPLY = 43,
	ICMP_PACKET_TOO_BIG = 258,
	ICMP_LISTENER_QUERY = 386,
	ICMP_LISTENER_REPORT = 387,
	ICMP_LISTENER_DONE = 388,
	ICMP_NEIGHBOR_SOLICITATION = 391,
	ICMP_NEIGHBOR_ADVERTISEMENT = 392,
	ICMP_ROUTER_RENUMBERING = 394,
	ICMP_NODE_INFORMATION_QUERY = 395,
	ICMP_NODE_INFORMATION_RESPONSE = 396,
	ICMP_LISTENER_REPORT_V2 = 399,
	ICMP_MOBILE_PREFIX_SOLICITATION = 402,
	ICMP_MOBILE_PREFIX_ADVERTISEMENT = 403,
	ICMP_MULTICAST_ROUTER_ADVERTISEMENT = 407,
	ICMP_MULTICAST_ROUTER_SOLICITATION = 408,
	ICMP_MULTICAST_ROUTER_TERMINATION = 409,
} __attribute__((packed));

enum {
	ICMP_FRAGMENTATION_NEEDED = 4, /* code of DESTINATION_UNREACHABLE, RFC 1191 */
};

/* Where the packet lies in the frame. */
struct icmp_frame {
	__u64 length;  /* all of it, also what cannot be read directly */
	__u64 network; /* offset of the IP header, or of VLAN tags before it */
	__be16 type;   /* of what begins there */
	/* Tags that were taken off already; then those found are added. */
	__u8 tags;
	__u16 vlan_id, inner_vlan_id;
};

struct icmp_packet {
	__u8 source_ip[16], destination_ip[16];
	__u32 size; /* by the IP header */
	__u8 time_to_live;
	bool malformed; /* the headers contradict each other, or end too early */
	bool is_fragment, more_fragments;
	__u16 fragment_offset; /* bytes */
	/* Not in a fragment other than the first, nor where the packet ends before it. */
	bool has_icmp;
	__u8 type, code;
	__u16 message; /* enum icmp_message */
	bool has_id;
	__u16 id, sequence;
	__u32 mtu; /* of an error that tells it; else 0 */
	bool has_original;
	__u8 original_protocol; /* IP protocol number */
	__u8 original_ip[16];	/* destination of the packet that an error is about */
};

enum icmp_found {
	ICMP_NONE,
	ICMP_FOUND,
	/* It may be one: what would say so lies beyond the bytes that can be read directly, or
	 * behind too many headers. */
	ICMP_OUT_OF_REACH,
};

/* Whether ICMPv6 may come next after an IPv6 header: it does, or an extension header. */
static __always_inline bool icmp_may_follow(__u8 next)
{
	const __u64 some = 1ULL << TRANSPORT_ICMPV6 | 1ULL << NEXT_HOP_BY_HOP |
			   1ULL << NEXT_ROUTING | 1ULL << NEXT_FRAGMENT |
			   1ULL << NEXT_AUTHENTICATION | 1ULL << NEXT_DESTINATION;

	return next < 64 ? some >> next & 1 : next >= NEXT_MOBILITY && next <= NEXT_SHIM6;
}

/* Whether an Ethernet frame is worth a closer look: on the way of every packet. */
static __always_inline bool icmp_may_be(const unsigned char *data, const unsigned char *end)
{
	__be16 type;

	if (data + sizeof(struct ethernet_header) + sizeof(struct ipv4_header) > end)
		return true;
	type = ((const struct ethernet_header *)data)->type;
	if (type == bpf_htons(ETH_P_8021Q)) {
		data += sizeof(struct vlan_header);
		if (data + sizeof(struct ethernet_header) + sizeof(struct ipv4_header) > end)
			return true;
		type = ((const struct ethernet_header *)data)->type;
	}
	if (type == bpf_htons(ETH_P_IP))
		return data[23] == TRANSPORT_ICMP;
	if (type == bpf_htons(ETH_P_IPV6))
		return icmp_may_follow(data[20]);
	return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD);
}

/* `size` bytes at `offset`, or NULL. */
static __always_inline const void *icmp_at(const unsigned char *data, const unsigned char *end,
					   __u64 offset, __u64 size)
{
	if (offset > ICMP_MAX_OFFSET || data + offset + size > end)
		return NULL;
	return data + offset;
}

/* Past all VLAN tags. ICMP_NONE when the frame ends in one. */
static __always_inline enum icmp_found icmp_skip_tags(const unsigned char *data,
						      const unsigned char *end,
						      struct icmp_frame *frame)
{
	for (int i = 0; i <= ICMP_MAX_TAGS; i++) {
		const struct vlan_header *tag;
		__u16 id;

		if (frame->type != bpf_htons(ETH_P_8021Q) && frame->type != bpf_htons(ETH_P_8021AD))
			return ICMP_FOUND;
		if (frame->tags == ICMP_MAX_TAGS)
			return ICMP_OUT_OF_REACH;
		tag = icmp_at(data, end, frame->network, sizeof(*tag));
		if (!tag)
			return ICMP_NONE;
		id = bpf_ntohs(tag->control) & VLAN_ID_MASK;
		if (frame->tags == 0)
			frame->vlan_id = id;
		else if (frame->tags == 1)
			frame->inner_vlan_id = id;
		frame->tags++;
		frame->type = tag->type;
		frame->network += sizeof(*tag);
	}
	return ICMP_OUT_OF_REACH;
}

/*
 * What is known of a type. Tables instead of conditions: the verifier follows each way through a
 * condition on its own, and there would be more than a million.
 */
enum {
	ICMP_HAS_ID = 1,
	ICMP_HAS_SHORT_SEQUENCE = 2, /* of one byte, RFC 8335, 2 */
	ICMP_HAS_ORIGINAL = 4,	     /* the beginning of the packet that it is about */
	ICMP_HAS_MTU = 8,	     /* RFC 4443, 3.2 */
};

struct icmp_kind {
	__s16 shift; /* from the type to its enum icmp_message */
	__u16 has;
};

static const struct icmp_kind icmp_kinds[256] = {
	[ICMP_ECHO_REPLY] = { .has = ICMP_HAS_ID },
	[ICMP_DESTINATION_UNREACHABLE] = { .has = ICMP_HAS_ORIGINAL },
	[ICMP_SOURCE_QUENCH] = { .has = ICMP_HAS_ORIGINAL },
	[ICMP_REDIRECT] = { .has = ICMP_HAS_ORIGINAL },
	[ICMP_ECHO_REQUEST] = { .has = ICMP_HAS_ID },
	[ICMP_TIME_EXCEEDED] = { .has = ICMP_HAS_ORIGINAL },
	[ICMP_PARAMETER_PROBLEM] = { .has = ICMP_HAS_ORIGINAL },
	[ICMP_TIMESTAMP_REQUEST] = { .has = ICMP_HAS_ID },
	[ICMP_TIMESTAMP_REPLY] = { .has = ICMP_HAS_ID },
	[ICMP_INFORMATION_REQUEST] = { .has = ICMP_HAS_ID },
	[ICMP_INFORMATION_REPLY] = { .has = ICMP_HAS_ID },
	[ICMP_ADDRESS_MASK_REQUEST] = { .has = ICMP_HAS_ID },
	[ICMP_ADDRESS_MASK_REPLY] = { .has = ICMP_HAS_ID },
	[ICMP_EXTENDED_ECHO_REQUEST] = { .has = ICMP_HAS_ID | ICMP_HAS_SHORT_SEQUENCE },
	[ICMP_EXTENDED_ECHO_REPLY] = { .has = ICMP_HAS_ID | ICMP_HAS_SHORT_SEQUENCE },
};

/* A type of ICMPv6 that means what one of ICMP does. */
#define ICMP_LIKE(type, message) .shift = (message)-256 - (type)

static const struct icmp_kind icmp_kinds_v6[256] = {
	[1] = { ICMP_LIKE(1, ICMP_DESTINATION_UNREACHABLE), .has = ICMP_HAS_ORIGINAL },
	[2] = { .has = ICMP_HAS_ORIGINAL | ICMP_HAS_MTU },
	[3] = { ICMP_LIKE(3, ICMP_TIME_EXCEEDED), .has = ICMP_HAS_ORIGINAL },
	[4] = { ICMP_LIKE(4, ICMP_PARAMETER_PROBLEM), .has = ICMP_HAS_ORIGINAL },
	[128] = { ICMP_LIKE(128, ICMP_ECHO_REQUEST), .has = ICMP_HAS_ID },
	[129] = { ICMP_LIKE(129, ICMP_ECHO_REPLY), .has = ICMP_HAS_ID },
	[133] = { ICMP_LIKE(133, ICMP_ROUTER_SOLICITATION) },
	[134] = { ICMP_LIKE(134, ICMP_ROUTER_ADVERTISEMENT) },
	[137] = { ICMP_LIKE(137, ICMP_REDIRECT) },
	[160] = { ICMP_LIKE(160, ICMP_EXTENDED_ECHO_REQUEST),
		  .has = ICMP_HAS_ID | ICMP_HAS_SHORT_SEQUENCE },
	[161] = { ICMP_LIKE(161, ICMP_EXTENDED_ECHO_REPLY),
		  .has = ICMP_HAS_ID | ICMP_HAS_SHORT_SEQUENCE },
};

/* Headers that may come before the message in IPv6 (RFC 8200, 4; RFC 4302; RFC 6275; RFC 7401; RFC
 * 5533), each ((length & mask) + more) << shift bytes long. `is` is all ones. */
struct icmp_extension {
	__u16 is, is_fragment;
	__u8 mask, more, shift, reserved;
};

#define ICMP_EXTENSION                                                                             \
	{                                                                                          \
		.is = 0xffff, .mask = 0xff, .more = 1, .shift = 3                                  \
	}

static const struct icmp_extension icmp_extensions[256] = {
	[NEXT_HOP_BY_HOP] = ICMP_EXTENSION,
	[NEXT_ROUTING] = ICMP_EXTENSION,
	[NEXT_FRAGMENT] = { .is = 0xffff, .is_fragment = 0xffff, .more = 1, .shift = 3 },
	[NEXT_AUTHENTICATION] = { .is = 0xffff, .mask = 0xff, .more = 2, .shift = 2 },
	[NEXT_DESTINATION] = ICMP_EXTENSION,
	[NEXT_MOBILITY] = ICMP_EXTENSION,
	[NEXT_HIP] = ICMP_EXTENSION,
	[NEXT_SHIM6] = ICMP_EXTENSION,
};

static __always_inline void icmp_read_original(const unsigned char *data, const unsigned char *end,
					       __u64 offset, __u64 limit, bool v6,
					       struct icmp_packet *packet)
{
	if (v6) {
		const struct ipv6_header *ip = icmp_at(data, end, offset, sizeof(*ip));

		if (!ip || offset + sizeof(*ip) > limit)
			return;
		__builtin_memcpy(packet->original_ip, ip->destination, 16);
		packet->original_protocol = ip->next_header;
	} else {
		const struct ipv4_header *ip = icmp_at(data, end, offset, sizeof(*ip));

		if (!ip || offset + sizeof(*ip) > limit)
			return;
		ip_from_v4(packet->original_ip, ip->destination);
		packet->original_protocol = ip->protocol;
	}
	packet->has_original = true;
}

/* The message at `offset` of a packet that ends at `limit`. */
static __always_inline enum icmp_found icmp_read_message(const unsigned char *data,
							 const unsigned char *end, __u64 offset,
							 __u64 limit, bool v6,
							 struct icmp_packet *packet)
{
	const struct icmp_header *icmp;
	const struct icmp_kind *kind;

	if (offset + ICMP_TYPE_SIZE > limit) {
		packet->malformed = true;
		return ICMP_FOUND;
	}
	icmp = icmp_at(data, end, offset, ICMP_TYPE_SIZE);
	if (!icmp)
		return ICMP_OUT_OF_REACH;
	packet->has_icmp = true;
	packet->type = icmp->type;
	packet->code = icmp->code;
	kind = v6 ? &icmp_kinds_v6[icmp->type] : &icmp_kinds[icmp->type];
	packet->message = (__u16)((v6 ? 256 : 0) + icmp->type + kind->shift);
	if (offset + sizeof(*icmp) > limit) {
		packet->malformed = true;
		return ICMP_FOUND;
	}
	icmp = icmp_at(data, end, offset, sizeof(*icmp));
	if (!icmp)
		return ICMP_OUT_OF_REACH;
	packet->has_id = kind->has & ICMP_HAS_ID;
	packet->id = bpf_ntohs(icmp->rest[0]);
	packet->sequence = bpf_ntohs(icmp->rest[1]);
	if (kind->has & ICMP_HAS_SHORT_SEQUENCE)
		packet->sequence >>= 8;
	if (kind->has & ICMP_HAS_MTU)
		packet->mtu = (__u32)packet->id << 16 | packet->sequence;
	else if (!v6 && packet->type == ICMP_DESTINATION_UNREACHABLE &&
		 packet->code == ICMP_FRAGMENTATION_NEEDED)
		packet->mtu = packet->sequence;
	if (kind->has & ICMP_HAS_ORIGINAL)
		icmp_read_original(data, end, offset + sizeof(*icmp), limit, v6, packet);
	return ICMP_FOUND;
}

/* Where the packet ends in the frame: it may say less than there is (padding), and more (cut). */
static __always_inline __u64 icmp_limit(const struct icmp_frame *frame, struct icmp_packet *packet)
{
	__u64 limit = frame->network + packet->size;

	if (limit <= frame->length)
		return limit;
	packet->malformed = true;
	return frame->length;
}

static __always_inline enum icmp_found icmp_read_v4(const unsigned char *data,
						    const unsigned char *end,
						    const struct icmp_frame *frame,
						    struct icmp_packet *packet)
{
	const struct ipv4_header *ip = icmp_at(data, end, frame->network, sizeof(*ip));
	__u64 length, limit;
	__u16 fragment;

	if (!ip)
		return frame->network + sizeof(*ip) <= frame->length ? ICMP_OUT_OF_REACH
								     : ICMP_NONE;
	if (ip->protocol != TRANSPORT_ICMP || ip->version_and_length >> 4 != 4)
		return ICMP_NONE;
	ip_from_v4(packet->source_ip, ip->source);
	ip_from_v4(packet->destination_ip, ip->destination);
	packet->time_to_live = ip->time_to_live;
	packet->size = bpf_ntohs(ip->total_length);
	fragment = bpf_ntohs(ip->fragment);
	packet->fragment_offset = (fragment & IPV4_FRAGMENT_OFFSET) * 8;
	packet->more_fragments = fragment & IPV4_MORE_FRAGMENTS;
	packet->is_fragment = packet->fragment_offset || packet->more_fragments;
	length = (ip->version_and_length & 0x0f) * 4;
	limit = icmp_limit(frame, packet);
	if (length < sizeof(*ip) || frame->network + length > limit) {
		packet->malformed = true;
		return ICMP_FOUND;
	}
	if (packet->fragment_offset)
		return ICMP_FOUND;
	return icmp_read_message(data, end, frame->network + length, limit, false, packet);
}

/* Goes from header to header; *offset is then where the message begins. */
static __always_inline enum icmp_found icmp_skip_extensions(const unsigned char *data,
							    const unsigned char *end, __u8 protocol,
							    __u64 limit, __u64 *offset,
							    struct icmp_packet *packet)
{
	for (int i = 0; i < ICMP_MAX_EXTENSIONS; i++) {
		const struct icmp_extension *kind = &icmp_extensions[protocol];
		const struct ipv6_extension *extension;
		__u16 fragment;

		if (protocol == TRANSPORT_ICMPV6)
			return ICMP_FOUND;
		/* Past the first fragment nothing says what other headers would have followed. */
		if (!kind->is || packet->fragment_offset)
			return ICMP_NONE;
		if (*offset + sizeof(*extension) > limit)
			return ICMP_NONE;
		extension = icmp_at(data, end, *offset, sizeof(*extension));
		if (!extension)
			return ICMP_OUT_OF_REACH;
		fragment = bpf_ntohs(extension->fragment) & kind->is_fragment;
		packet->fragment_offset |= fragment & IPV6_FRAGMENT_OFFSET;
		packet->more_fragments |= fragment & IPV6_MORE_FRAGMENTS;
		packet->is_fragment |= kind->is_fragment & 1;
		*offset += (__u64)((extension->length & kind->mask) + kind->more) << kind->shift;
		protocol = extension->next_header;
	}
	return protocol == TRANSPORT_ICMPV6 ? ICMP_FOUND : ICMP_OUT_OF_REACH;
}

static __always_inline enum icmp_found icmp_read_v6(const unsigned char *data,
						    const unsigned char *end,
						    const struct icmp_frame *frame,
						    struct icmp_packet *packet)
{
	const struct ipv6_header *ip = icmp_at(data, end, frame->network, sizeof(*ip));
	__u64 offset = frame->network + sizeof(*ip), limit;
	enum icmp_found found;

	if (!ip)
		return offset <= frame->length ? ICMP_OUT_OF_REACH : ICMP_NONE;
	if ((ip->version_and_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return ICMP_NONE;
	packet->size = bpf_ntohs(ip->payload_length) + (__u32)sizeof(*ip);
	limit = icmp_limit(frame, packet);
	packet->time_to_live = ip->hop_limit;
	__builtin_memcpy(packet->source_ip, ip->source, 16);
	__builtin_memcpy(packet->destination_ip, ip->destination, 16);
	found = icmp_skip_extensions(data, end, ip->next_header, limit, &offset, packet);
	if (found != ICMP_FOUND || packet->fragment_offset)
		return found;
	return icmp_read_message(data, end, offset, limit, true, packet);
}

/* `packet` is all zero before. One copy for all functions of a program. */
static __noinline enum icmp_found icmp_read(const unsigned char *data, const unsigned char *end,
					    struct icmp_frame *frame, struct icmp_packet *packet)
{
	enum icmp_found found = icmp_skip_tags(data, end, frame);

	if (found != ICMP_FOUND)
		return found;
	if (frame->type == bpf_htons(ETH_P_IP))
		return icmp_read_v4(data, end, frame, packet);
	if (frame->type == bpf_htons(ETH_P_IPV6))
		return icmp_read_v6(data, end, frame, packet);
	return ICMP_NONE;
}

#endif
