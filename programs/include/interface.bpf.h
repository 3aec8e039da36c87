/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * For functions on network interfaces (ON_INGRESS, ON_EGRESS). A program with such functions says
 *
 *	#define PROGRAM_OF_PACKETS
 *	#include "program.bpf.h"
 *
 * A packet that arrives is nobody's yet: the task that the kernel happens to interrupt has nothing
 * to do with it. One that leaves may be sent in the name of its sender, or later by anybody. So
 * pid, tid and command are null, and there are no parameters that filter by them. Who owns the
 * socket that sends is known: the event struct has a member
 *
 *	__u8 has_owner HIDDEN;
 *
 * and where packet_header_fill_out() sets that, uid and cgroup_id are the socket's.
 */
#ifndef INTERFACE_BPF_H
#define INTERFACE_BPF_H

/* Names of the kernel's enum, for an event's member of type enum packet_direction. */
enum packet_direction {
	DIRECTION_ingress = 1,
	DIRECTION_egress = 2,
} __attribute__((packed));

static __always_inline void packet_header_fill(struct event_header *header)
{
	__builtin_memset(header, 0, sizeof(*header));
	header->timestamp = bpf_ktime_get_boot_ns();
}

/* Of a packet that leaves. Returns whether a socket of this machine sent it. */
static __always_inline bool packet_header_fill_out(struct event_header *header,
						   struct __sk_buff *packet)
{
	packet_header_fill(header);
	if (!packet->sk)
		return false;
	header->uid = bpf_get_socket_uid(packet);
	header->cgroup_id = bpf_skb_cgroup_id(packet);
	return true;
}

/* The name that the interface has at this moment. The context that a function gets is the kernel's
 * own struct in fact, which its helpers may read. */
static __always_inline void interface_of_xdp(char name[16], struct xdp_md *packet)
{
	struct net_device *device = BPF_CORE_READ((struct xdp_buff *)packet, rxq, dev);

	__builtin_memset(name, 0, 16);
	bpf_probe_read_kernel_str(name, 16, device->name);
}

/* Of a tunnel's packets the first byte is the IP header's. (XDP functions are not attached to such
 * interfaces.) */
static __always_inline bool interface_has_ethernet(struct __sk_buff *packet)
{
	return BPF_CORE_READ((struct sk_buff *)packet, dev, hard_header_len) != 0;
}

static __always_inline void interface_of_tc(char name[16], struct __sk_buff *packet)
{
	struct net_device *device = BPF_CORE_READ((struct sk_buff *)packet, dev);

	__builtin_memset(name, 0, 16);
	bpf_probe_read_kernel_str(name, 16, device->name);
}

#endif
