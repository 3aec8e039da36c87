/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Every TCP connection at its end: bytes both ways, duration, round-trip time, retransmits, and who
 * ended it.
 *
 * Hook: the BTF raw tracepoint inet_sock_set_state, passed at each change of a socket's state,
 * before the new one is written. A connection's beginning waits in a map; all the rest the socket
 * itself still knows when it becomes TCP_CLOSE.
 *
 * Most of these changes happen while a packet is handled, when the current task is whoever was
 * interrupted. So the header is that of the socket's owner, as far as one was seen: who opens a
 * connection does so in its own name, and so does who closes or shuts down one that was accepted.
 */
#define PROGRAM_OF_PACKETS
#include "program.bpf.h"

PROGRAM("TCP connections that ended: bytes, duration, round-trip time, retransmits, who ended them",
	OFF_BY_DEFAULT);

#define CONNECTIONS 65536

/* include/uapi/asm-generic/errno.h; the same on the architectures that are built for. */
enum {
	EPIPE = 32,
	ECONNABORTED = 103,
	ECONNRESET = 104,
	ETIMEDOUT = 110,
	ECONNREFUSED = 111,
};

/* Not the SDK's filters, which look at the current task. */
const volatile __u32 only_pid PARAMETER("Report only connections of this process id; 0: all")
= 0;
const volatile __s64 only_uid PARAMETER("Report only connections of this user id; -1: all")
= -1;
const volatile char only_command[16] PARAMETER(
	"Report only connections of threads of this name; empty: all")
= "";

enum tcp_direction {
	TCP_DIRECTION_outgoing = 1,
	TCP_DIRECTION_incoming = 2,
} __attribute__((packed));

enum tcp_end {
	ENDED_BY_local,
	ENDED_BY_remote,
	ENDED_BY_local_reset,
	ENDED_BY_remote_reset,
	ENDED_BY_timeout,
	ENDED_BY_refused,
	ENDED_BY_unreachable,
} __attribute__((packed));

struct tcp_life_event {
	struct event_header header;
	__u64 duration_ns ONLY_WHEN(has_beginning, "1") UNIT("ns") DESCRIPTION(
		"From the first SYN sent, or the handshake's end of one that was accepted, to the "
		"end; null where the beginning was not seen");
	__u64 bytes_sent UNIT("bytes")
		DESCRIPTION("Payload that was sent, retransmissions not counted");
	__u64 bytes_received UNIT("bytes") DESCRIPTION("Payload that was received in order");
	__u32 smoothed_rtt_us NULL_IF_ZERO UNIT("us") DESCRIPTION(
		"Round-trip time, smoothed by the kernel; null where none was measured");
	__u32 retransmits UNIT("packets") DESCRIPTION("Segments that were sent again");
	__u8 local_ip[16] FORMAT_IP DESCRIPTION("Address on this side");
	__u8 remote_ip[16] FORMAT_IP DESCRIPTION("Address on the other side");
	__u16 local_port DESCRIPTION("Port on this side");
	__u16 remote_port DESCRIPTION("Port on the other side");
	__u32 network_namespace DESCRIPTION("Inode number of the network namespace");
	enum tcp_direction direction NULL_IF_ZERO
		DESCRIPTION("Who began it; null where the beginning was not seen");
	enum tcp_end ended_by
		DESCRIPTION("Who closed first, or reset it; or why it never came about");
	__u8 has_beginning HIDDEN;
	__u8 has_owner HIDDEN;
	__u32 reserved HIDDEN;
};

STREAM(tcp_life, struct tcp_life_event,
       PRINT_LINE("{local_ip}:{local_port} {direction} {remote_ip}:{remote_port} {command}: "
		  "{bytes_sent} sent, {bytes_received} received, ended by {ended_by}"));

/* What the socket will not tell at its end. */
struct connection {
	__u64 began; /* boot ns; 0: not seen */
	__u64 cgroup_id;
	__u32 pid;
	__u32 tid;
	__u32 uid;
	enum tcp_direction direction;
	__u8 has_owner;
	__u8 reserved[2];
	char command[16];
};

/* By the socket's address. Each entry goes at TCP_CLOSE, which every socket comes to. When the map
 * is full, further connections have no beginning and no owner. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CONNECTIONS);
	__type(key, __u64);
	__type(value, struct connection);
} tcp_life_connections SEC(".maps");

static __always_inline void own(struct connection *connection)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	connection->pid = pid_tgid >> 32;
	connection->tid = (__u32)pid_tgid;
	connection->uid = (__u32)bpf_get_current_uid_gid();
	connection->cgroup_id = bpf_get_current_cgroup_id();
	bpf_get_current_comm(connection->command, sizeof(connection->command));
	connection->has_owner = true;
}

static __always_inline void begin(__u64 key, enum tcp_direction direction)
{
	struct connection connection = { .began = bpf_ktime_get_boot_ns(), .direction = direction };

	if (direction == TCP_DIRECTION_outgoing)
		own(&connection);
	bpf_map_update_elem(&tcp_life_connections, &key, &connection, BPF_ANY);
}

/* close(2) and shutdown(2) send a FIN in the name of who calls them. */
static __always_inline void closes(__u64 key)
{
	struct connection *known = bpf_map_lookup_elem(&tcp_life_connections, &key), unseen = {};

	if (!known) {
		own(&unseen);
		bpf_map_update_elem(&tcp_life_connections, &key, &unseen, BPF_ANY);
	} else if (!known->has_owner) {
		own(known);
	}
}

static __always_inline bool owner_passes(const struct connection *connection)
{
	if (only_pid && only_pid != connection->pid)
		return false;
	if (only_uid >= 0 && (!connection->has_owner || only_uid != connection->uid))
		return false;
	if (only_command[0]) {
		for (int i = 0; i < 16; i++) {
			if (connection->command[i] != only_command[i])
				return false;
			if (!only_command[i])
				break;
		}
	}
	return true;
}

/*
 * The state before the end tells who closed first: FIN_WAIT1, FIN_WAIT2 and CLOSING are behind a
 * FIN of this side, CLOSE_WAIT and LAST_ACK behind one of the other side. Errors are set before the
 * state (tcp_done_with_error(), tcp_reset(), net/ipv4/tcp_input.c), but by close(2) and connect(2)
 * themselves only after it, or never (__tcp_close(), tcp_disconnect(), net/ipv4/tcp.c).
 */
static __always_inline enum tcp_end end_of(int before, int error)
{
	if (before == TCP_SYN_SENT) {
		switch (error) {
		case 0:
			return ENDED_BY_local;
		case ECONNREFUSED:
			return ENDED_BY_refused;
		case ECONNABORTED:
			return ENDED_BY_local_reset;
		case ETIMEDOUT:
			return ENDED_BY_timeout;
		default:
			return ENDED_BY_unreachable;
		}
	}
	switch (error) {
	case 0:
		break;
	case ECONNABORTED:
		return ENDED_BY_local_reset;
	case ECONNRESET:
	case EPIPE:
		return ENDED_BY_remote_reset;
	default:
		/* ETIMEDOUT, or what an ICMP message said meanwhile (tcp_write_err()). */
		return ENDED_BY_timeout;
	}
	if (before == TCP_ESTABLISHED || before == TCP_CLOSE_WAIT)
		return ENDED_BY_local_reset;
	return before == TCP_LAST_ACK ? ENDED_BY_remote : ENDED_BY_local;
}

static __always_inline void fill_owner(struct tcp_life_event *event,
				       const struct connection *connection)
{
	event->header.timestamp = bpf_ktime_get_boot_ns();
	event->header.pid = connection->pid;
	event->header.tid = connection->tid;
	event->header.uid = connection->uid;
	event->header.reserved = 0;
	event->header.cgroup_id = connection->cgroup_id;
	__builtin_memcpy(event->header.command, connection->command, 16);
	event->has_owner = connection->has_owner;
	event->has_beginning = connection->began != 0;
	event->duration_ns = event->header.timestamp - connection->began;
	event->direction = connection->direction;
	event->reserved = 0;
}

static __always_inline void fill_addresses(struct tcp_life_event *event, const struct sock *sock)
{
	const struct sock_common *common = &sock->__sk_common;

	if (common->skc_family == AF_INET6) {
		BPF_CORE_READ_INTO(&event->local_ip, common, skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&event->remote_ip, common, skc_v6_daddr);
	} else {
		ip_from_v4(event->local_ip, common->skc_rcv_saddr);
		ip_from_v4(event->remote_ip, common->skc_daddr);
	}
	event->local_port = bpf_ntohs(BPF_CORE_READ((const struct inet_sock *)sock, inet_sport));
	event->remote_port = bpf_ntohs(common->skc_dport);
	event->network_namespace = BPF_CORE_READ(common, skc_net.net, ns.inum);
}

static __always_inline void fill_traffic(struct tcp_life_event *event, const struct sock *sock)
{
	const struct tcp_sock *tcp = (const struct tcp_sock *)sock;

	event->bytes_sent = BPF_CORE_READ(tcp, bytes_sent) - BPF_CORE_READ(tcp, bytes_retrans);
	event->bytes_received = BPF_CORE_READ(tcp, bytes_received);
	/* tcp_fin() says so, once the FIN has its place in the sequence. */
	if (sock->__sk_common.skc_flags & 1UL << bpf_core_enum_value(enum sock_flags, SOCK_DONE))
		event->bytes_received--;
	event->smoothed_rtt_us = BPF_CORE_READ(tcp, srtt_us) >> 3;
	event->retransmits = BPF_CORE_READ(tcp, total_retrans);
}

static __always_inline void end(__u64 key, const struct sock *sock, int before)
{
	struct connection *known = bpf_map_lookup_elem(&tcp_life_connections, &key);
	struct connection connection = {};
	enum tcp_end ended_by = end_of(before, sock->sk_err);
	struct tcp_life_event *event;

	if (known) {
		connection = *known;
		bpf_map_delete_elem(&tcp_life_connections, &key);
	}
	/* Without an error it is close(2) or connect(2) that resets. */
	if (!connection.has_owner && ended_by == ENDED_BY_local_reset && !sock->sk_err)
		own(&connection);
	if (!owner_passes(&connection)) {
		stream_filter_out(tcp_life);
		return;
	}
	if (!stream_wants(tcp_life))
		return;
	event = stream_reserve(tcp_life, sizeof(*event));
	if (!event)
		return;
	fill_owner(event, &connection);
	fill_addresses(event, sock);
	fill_traffic(event, sock);
	event->ended_by = ended_by;
	stream_submit(tcp_life, event, sizeof(*event));
}

SEC("tp_btf/inet_sock_set_state")
int tcp_life_state(__u64 *context)
{
	const struct sock *sock = (const struct sock *)context[0];
	int before = (int)context[1], after = (int)context[2];
	__u64 key = (__u64)(long)sock;

	/* SCTP, DCCP and MPTCP report their sockets here too. */
	if (sock->sk_protocol != TRANSPORT_TCP)
		return 0;
	switch (after) {
	case TCP_SYN_SENT:
		begin(key, TCP_DIRECTION_outgoing);
		break;
	case TCP_ESTABLISHED:
		/* From SYN_SENT it has begun; so it has where both sides opened it at once. */
		if (before == TCP_SYN_RECV && !bpf_map_lookup_elem(&tcp_life_connections, &key))
			begin(key, TCP_DIRECTION_incoming);
		break;
	case TCP_FIN_WAIT1:
	case TCP_LAST_ACK:
		closes(key);
		break;
	case TCP_CLOSE:
		/* A listener is no connection, nor is a handshake that did not end. */
		if (before == TCP_ESTABLISHED || before == TCP_SYN_SENT ||
		    before == TCP_FIN_WAIT1 || before == TCP_FIN_WAIT2 ||
		    before == TCP_CLOSE_WAIT || before == TCP_LAST_ACK || before == TCP_CLOSING)
			end(key, sock, before);
		else
			bpf_map_delete_elem(&tcp_life_connections, &key);
		break;
	default:
		break;
	}
	return 0;
}
