/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * How often each process opened a TCP connection, counted in the kernel.
 *
 * Hooks: tcp_connect() itself by fentry, else by kprobe; where the kernel has neither, the change
 * of a socket's state to SYN_SENT, which tcp_v4_connect() and tcp_v6_connect() make right before.
 */
#define PROGRAM_WITHOUT_STREAMS
#include "program.bpf.h"

PROGRAM("TCP connections that processes open: tcp_connect() calls, counted by process");

#define PROCESSES 8192

struct process {
	__u32 pid;
};

struct connects {
	char comm[16] METRIC_LABEL;
	__u64 calls;
	__u64 ended_ns METRIC_ENDED;
};

METRIC(tcp_connect_processes, PROCESSES, struct process, struct connects,
       METRIC_NAMED("tcp_connects_by_pid", "gauge")
	       DESCRIPTION("Number of tcp_connect() calls observed per PID"));

static __always_inline void count_connect(void)
{
	struct process process = { .pid = (__u32)(bpf_get_current_pid_tgid() >> 32) };
	struct connects now = {}, *entry;

	if (!filter_passes())
		return;
	process_command(now.comm);
	entry = metric_process(tcp_connect_processes, &process, &now);
	metric_add(tcp_connect_processes, entry, calls, 1);
	/* After an exec it has another name, and is the same process. */
	if (entry)
		__builtin_memcpy(entry->comm, now.comm, sizeof(entry->comm));
}

SEC("?fentry/tcp_connect")
int tcp_connect_fentry(void *context) RANKED(connect, 1)
{
	(void)context;
	count_connect();
	return 0;
}

SEC("?kprobe/tcp_connect")
int tcp_connect_kprobe(void *context) RANKED(connect, 2)
{
	(void)context;
	count_connect();
	return 0;
}

SEC("?tp_btf/inet_sock_set_state")
int tcp_connect_state(__u64 *context) RANKED(connect, 3)
{
	const struct sock *sock = (const struct sock *)context[0];
	int after = (int)context[2];

	/* SCTP, DCCP and MPTCP report their sockets here too; the TCP flows of MPTCP are TCP. */
	if (after == TCP_SYN_SENT && BPF_CORE_READ(sock, sk_protocol) == TRANSPORT_TCP)
		count_connect();
	return 0;
}

static __always_inline void process_ended(__u32 pid)
{
	struct process process = { .pid = pid };

	metric_end(tcp_connect_processes, struct connects, &process);
}

ON_PROCESS_END(process_ended);
