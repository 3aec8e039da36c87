/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Functions for network interfaces. No kernel takes the first: it reads past the packet. */
#define PROGRAM_OF_PACKETS
#include "program.bpf.h"

PROGRAM("Lets every packet pass");

SEC("?xdp")
ON_INGRESS(1)
int loader_xdp_refused(struct xdp_md *packet)
{
	return *(volatile __u8 *)(long)packet->data_end;
}

SEC("?xdp")
ON_INGRESS(2)
int loader_xdp(struct xdp_md *packet)
{
	(void)packet;
	return XDP_PASS;
}

SEC("?xdp")
ON_INGRESS(4)
int loader_xdp_last(struct xdp_md *packet)
{
	(void)packet;
	return XDP_PASS;
}

SEC("?tc")
ON_INGRESS(3)
int loader_tc_in(struct __sk_buff *packet)
{
	(void)packet;
	return TC_ACT_UNSPEC;
}

SEC("tcx/egress")
int loader_tc_out(struct __sk_buff *packet)
{
	(void)packet;
	return TC_ACT_UNSPEC;
}
