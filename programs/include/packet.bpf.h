/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Headers of packets, as they stand on the wire. */
#ifndef PACKET_BPF_H
#define PACKET_BPF_H

/* IEEE 802.3, 3.1.1. */
struct ethernet_header {
	__u8 destination[6];
	__u8 source[6];
	__be16 type;
};

/* IEEE 802.1Q, 9.6: what follows the type 0x8100 or 0x88a8. */
struct vlan_header {
	__be16 control; /* priority, drop eligible, and the id in the lower 12 bits */
	__be16 type;
};
#define VLAN_ID_MASK 0x0fff

/* RFC 791, 3.1. */
struct ipv4_header {
	__u8 version_and_length;
	__u8 type_of_service;
	__be16 total_length;
	__be16 identification;
	__be16 fragment;
	__u8 time_to_live;
	__u8 protocol;
	__sum16 checksum;
	__be32 source;
	__be32 destination;
};

/* RFC 8200, 3. */
struct ipv6_header {
	__be32 version_and_flow;
	__be16 payload_length;
	__u8 next_header;
	__u8 hop_limit;
	__u8 source[16];
	__u8 destination[16];
};

/* Hop-by-hop, routing, destination options, fragment (RFC 8200, 4) and authentication (RFC 4302)
 * headers begin alike. */
struct ipv6_extension {
	__u8 next_header;
	__u8 length;
	__be16 fragment;
};

enum {
	NEXT_HOP_BY_HOP = 0,
	NEXT_ROUTING = 43,
	NEXT_FRAGMENT = 44,
	NEXT_AUTHENTICATION = 51,
	NEXT_NONE = 59,
	NEXT_DESTINATION = 60,
	NEXT_MOBILITY = 135,
	NEXT_HIP = 139,
	NEXT_SHIM6 = 140,
};

/* Of struct ipv4_header: the lower 13 bits of `fragment` count 8 bytes each. */
#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff
/* Of struct ipv6_extension, of the fragment header: the upper 13 bits. */
#define IPV6_FRAGMENT_OFFSET 0xfff8
#define IPV6_MORE_FRAGMENTS 1

#endif
