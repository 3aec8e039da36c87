/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Numbers of the network that never change, as enums whose names reach the JSON, and small helpers
 * for addresses.
 *
 * Sources: include/linux/socket.h (AF_*), include/linux/net.h (enum sock_type),
 * include/uapi/linux/in.h (IPPROTO_*), include/uapi/linux/if_ether.h (ETH_P_*).
 */
#ifndef NETWORK_BPF_H
#define NETWORK_BPF_H

enum address_family {
	AF_UNSPEC = 0,
	AF_UNIX = 1,
	AF_INET = 2,
	AF_AX25 = 3,
	AF_IPX = 4,
	AF_APPLETALK = 5,
	AF_X25 = 9,
	AF_INET6 = 10,
	AF_KEY = 15,
	AF_NETLINK = 16,
	AF_PACKET = 17,
	AF_RDS = 21,
	AF_PPPOX = 24,
	AF_LLC = 26,
	AF_CAN = 29,
	AF_TIPC = 30,
	AF_BLUETOOTH = 31,
	AF_RXRPC = 33,
	AF_PHONET = 35,
	AF_IEEE802154 = 36,
	AF_ALG = 38,
	AF_NFC = 39,
	AF_VSOCK = 40,
	AF_QIPCRTR = 42,
	AF_SMC = 43,
	AF_XDP = 44,
	AF_MCTP = 45,
	AF_INVALID = 0xffff, /* makes the enum as wide as sa_family_t */
} __attribute__((packed));

enum socket_type {
	SOCK_NONE = 0, /* not a socket */
	SOCK_STREAM = 1,
	SOCK_DGRAM = 2,
	SOCK_RAW = 3,
	SOCK_RDM = 4,
	SOCK_SEQPACKET = 5,
	SOCK_DCCP = 6,
	SOCK_PACKET = 10,
} __attribute__((packed));

/*
 * What carries the data: the IP protocol number where the socket or packet is of an IP family;
 * else, past the 16 bits of an IP protocol's 8 (and MPTCP's 262), the family or link protocol.
 */
enum transport {
	TRANSPORT_HOPOPT = 0,
	TRANSPORT_ICMP = 1,
	TRANSPORT_IGMP = 2,
	TRANSPORT_IPIP = 4,
	TRANSPORT_TCP = 6,
	TRANSPORT_EGP = 8,
	TRANSPORT_UDP = 17,
	TRANSPORT_DCCP = 33,
	TRANSPORT_IPV6 = 41,
	TRANSPORT_RSVP = 46,
	TRANSPORT_GRE = 47,
	TRANSPORT_ESP = 50,
	TRANSPORT_AH = 51,
	TRANSPORT_ICMPV6 = 58,
	TRANSPORT_OSPF = 89,
	TRANSPORT_PIM = 103,
	TRANSPORT_VRRP = 112,
	TRANSPORT_L2TP = 115,
	TRANSPORT_SCTP = 132,
	TRANSPORT_UDPLITE = 136,
	TRANSPORT_RAW = 255,
	TRANSPORT_MPTCP = 262,
	TRANSPORT_FAMILY = 0x1000, /* + AF_* */
	TRANSPORT_UNIX = 0x1001,
	TRANSPORT_NETLINK = 0x1010,
	TRANSPORT_PACKET = 0x1011,
	TRANSPORT_BLUETOOTH = 0x101f,
	TRANSPORT_ALG = 0x1026,
	TRANSPORT_VSOCK = 0x1028,
	TRANSPORT_XDP = 0x102c,
	TRANSPORT_ARP = 0x2001,	 /* link protocols */
	TRANSPORT_LINK = 0x2000, /* a frame of another kind; ether_type tells */
} __attribute__((packed));

enum ether_type {
	ETH_P_802_3 = 0x0001, /* the kernel's own numbers for frames without a type field */
	ETH_P_802_2 = 0x0004,
	ETH_P_IP = 0x0800,
	ETH_P_ARP = 0x0806,
	ETH_P_RARP = 0x8035,
	ETH_P_8021Q = 0x8100,
	ETH_P_IPX = 0x8137,
	ETH_P_IPV6 = 0x86dd,
	ETH_P_PAUSE = 0x8808,
	ETH_P_SLOW = 0x8809,
	ETH_P_MPLS_UC = 0x8847,
	ETH_P_MPLS_MC = 0x8848,
	ETH_P_PPP_DISC = 0x8863,
	ETH_P_PPP_SES = 0x8864,
	ETH_P_PAE = 0x888e,
	ETH_P_8021AD = 0x88a8,
	ETH_P_LLDP = 0x88cc,
	ETH_P_MACSEC = 0x88e5,
	ETH_P_1588 = 0x88f7,
	ETH_P_TEB = 0x6558,
	ETH_P_LOOP = 0x0060,
} __attribute__((packed));

/* An IPv4 address in the one form that both families share: ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
static __always_inline void ip_from_v4(__u8 ip[16], __be32 v4)
{
	__builtin_memset(ip, 0, 10);
	ip[10] = 0xff;
	ip[11] = 0xff;
	__builtin_memcpy(ip + 12, &v4, 4);
}

#endif
