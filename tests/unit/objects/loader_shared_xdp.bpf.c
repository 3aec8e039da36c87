/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What a program at an interface does with the IP list: the example of ip_list.bpf.h, for IPv4
 * without options behind Ethernet. */
#include "ip_list.bpf.h"
#include "program.bpf.h"

PROGRAM("Drops packets of listed addresses where asked to");

enum { PASS = 2, DROP = 1 }; /* enum xdp_action, include/uapi/linux/bpf.h */

struct packet_bounds { /* struct xdp_md, the same file */
	__u32 data;
	__u32 data_end;
};

struct frame {
	__u8 ethernet[14];
	__u8 ip[12];
	__be32 source;
	__be32 destination;
} __attribute__((packed));

SEC("xdp")
int loader_shared_xdp(struct packet_bounds *context)
{
	const struct frame *frame = (const struct frame *)(long)context->data;
	const void *end = (const void *)(long)context->data_end;
	__u8 source[16], destination[16];
	__u32 verdict;

	if ((const void *)(frame + 1) > end)
		return PASS;
	ip_from_v4(source, frame->source);
	ip_from_v4(destination, frame->destination);
	verdict = ip_list_ask(source, destination);
	return verdict & IP_LIST_DROP ? DROP : PASS;
}
