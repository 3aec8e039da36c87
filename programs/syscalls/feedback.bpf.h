/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What the server prints is read by somebody, whose calls would be printed, and so on for ever. So
 * its output is followed, as far as it goes:
 *
 *   - the server's standard output (a pipe, a terminal, a file, a connection that ends on this
 *     machine) carries output; whatever else it writes is not written because of an event;
 *   - a process that reads from what carries output is of its audience: cat, grep, a terminal
 *     emulator, sshd, tail -f;
 *   - what a process of the audience writes to carries output in turn.
 *
 * Calls that move output make no events; they are counted as filtered. Both marks fade when nothing
 * confirms them for ten seconds, so that whoever is no longer in the way is seen again. A circle
 * that lasts goes through the server's own writes, and each of those confirms the next mark: when
 * the server has written nothing for ten seconds, nothing is asked at all.
 *
 * A terminal is followed from its slave side to its master; what goes the other way is typed.
 */
#ifndef FEEDBACK_BPF_H
#define FEEDBACK_BPF_H

#include "program.bpf.h"

#define STANDARD_OUTPUT 1
#define OUTPUT_FADES_NS 10000000000ULL
#define OUTPUT_CARRIERS 1024
#define OUTPUT_AUDIENCE 1024

/*
 * A pipe or file by its inode; a pseudo-terminal by its slave's address in the kernel, a Unix
 * connection by the address of the socket that is read from; a TCP connection by both ends, as the
 * writer has them. What comes to the same place later bears the mark until it fades.
 */
struct carrier {
	__u64 number;
	__u64 device; /* of an inode, or one of those below */
};
#define TERMINAL (1ULL << 32)
#define UNIX_CONNECTION (2ULL << 32)
#define TCP_CONNECTION (3ULL << 32) /* and the ports */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OUTPUT_CARRIERS);
	__type(key, struct carrier);
	__type(value, __u64); /* when it was confirmed, boot ns */
} syscalls_carriers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OUTPUT_AUDIENCE);
	__type(key, __u32);   /* process id */
	__type(value, __u64); /* the same */
} syscalls_audience SEC(".maps");

/* When the server printed last on what can be followed, boot ns. */
static volatile __u64 output_written;

static __always_inline bool is_fresh(__u64 then, __u64 now)
{
	return now - then < OUTPUT_FADES_NS;
}

/* A pseudo-terminal's slave that is written to, or its master read from. */
static __always_inline bool find_terminal(struct file *file, __u32 device, bool written,
					  struct carrier *carrier)
{
	/* Documentation/admin-guide/devices.txt: 136-143 are slaves; 5,0 is /dev/tty, whichever
	 * that is; 5,2 is /dev/ptmx, each opening of which is a master. */
	const __u32 major = device >> 20, minor = device & 0xfffff;
	const bool is_master = major == 5 && minor == 2;
	const bool is_slave = (major >= 136 && major <= 143) || (major == 5 && minor == 0);
	struct tty_file_private *private;
	struct tty_struct *tty, *other;

	if (!(written ? is_slave : is_master))
		return false;
	private = BPF_CORE_READ(file, private_data);
	tty = BPF_CORE_READ(private, tty);
	other = BPF_CORE_READ(tty, link);
	if (!other)
		return false; /* a console: nobody reads from that */
	carrier->number = (__u64)(written ? tty : other);
	carrier->device = TERMINAL;
	return true;
}

/* The last 32 bits of an address: the ports and whether anybody reads there say the rest. */
static __always_inline __u32 end_of_address(struct sock *sock, __u32 offset)
{
	__u32 words[4] = {};

	bpf_probe_read_kernel(words, sizeof(words), (const char *)sock + offset);
	return words[3];
}

static __always_inline bool find_connection(struct sock *sock, __u16 family, bool written,
					    struct carrier *carrier)
{
	__u64 local = 0, remote = 0, local_port, remote_port;

	if (family == AF_INET) {
		local = BPF_CORE_READ(sock, __sk_common.skc_rcv_saddr);
		remote = BPF_CORE_READ(sock, __sk_common.skc_daddr);
	} else if (bpf_core_field_exists(struct sock_common, skc_v6_daddr)) {
		const __u32 common = bpf_core_field_offset(struct sock, __sk_common);

		local = end_of_address(sock, common + bpf_core_field_offset(struct sock_common,
									    skc_v6_rcv_saddr));
		remote = end_of_address(sock, common + bpf_core_field_offset(struct sock_common,
									     skc_v6_daddr));
	}
	local_port = BPF_CORE_READ(sock, __sk_common.skc_num);
	remote_port = bpf_ntohs(BPF_CORE_READ(sock, __sk_common.skc_dport));
	if (!remote_port)
		return false;
	carrier->number = written ? local << 32 | remote : remote << 32 | local;
	carrier->device = TCP_CONNECTION | (written ? local_port << 16 | remote_port
						    : remote_port << 16 | local_port);
	return true;
}

static __always_inline bool find_socket(struct file *file, bool written, struct carrier *carrier)
{
	struct socket *socket = BPF_CORE_READ(file, private_data);
	struct sock *sock = BPF_CORE_READ(socket, sk);
	__u16 family = BPF_CORE_READ(sock, __sk_common.skc_family);

	if (family == AF_UNIX && bpf_core_type_exists(struct unix_sock)) {
		if (written)
			sock = BPF_CORE_READ((struct unix_sock *)sock, peer);
		carrier->number = (__u64)sock;
		carrier->device = UNIX_CONNECTION;
		return sock != NULL;
	}
	if ((family != AF_INET && family != AF_INET6) || BPF_CORE_READ(socket, type) != SOCK_STREAM)
		return false;
	return find_connection(sock, family, written, carrier);
}

/* What the current process writes to, or reads from, by `fd`; false for what nobody follows. */
static __always_inline bool find_carrier(__u32 fd, bool written, struct carrier *carrier)
{
	struct file *file = current_file(fd);
	struct inode *inode;

	if (!file)
		return false;
	inode = BPF_CORE_READ(file, f_inode);
	switch (BPF_CORE_READ(inode, i_mode) & S_IFMT) {
	case S_IFIFO:
	case S_IFREG:
		carrier->number = BPF_CORE_READ(inode, i_ino);
		carrier->device = BPF_CORE_READ(inode, i_sb, s_dev);
		return true;
	case S_IFCHR:
		return find_terminal(file, BPF_CORE_READ(inode, i_rdev), written, carrier);
	case S_IFSOCK:
		return find_socket(file, written, carrier);
	default:
		return false;
	}
}

static __always_inline bool is_audience(__u32 pid, __u64 now)
{
	const __u64 *confirmed = bpf_map_lookup_elem(&syscalls_audience, &pid);

	return confirmed && is_fresh(*confirmed, now);
}

/* Before a write: whoever reads what it writes may be quicker than its end. */
static __always_inline void output_before_write(__u32 pid, __u32 fd, bool own, __u64 now)
{
	struct carrier carrier = {};

	if (own ? fd != STANDARD_OUTPUT : !is_fresh(output_written, now) || !is_audience(pid, now))
		return;
	if (!find_carrier(fd, true, &carrier))
		return;
	bpf_map_update_elem(&syscalls_carriers, &carrier, &now, BPF_ANY);
	if (own)
		output_written = now;
}

/* After a call: whether it moved output, and makes no event. */
static __always_inline bool output_moved(__u32 pid, __u32 fd, bool written, __s64 result, __u64 now)
{
	struct carrier carrier = {};
	const __u64 *confirmed;

	if (!is_fresh(output_written, now))
		return false;
	if (!written && find_carrier(fd, false, &carrier)) {
		confirmed = bpf_map_lookup_elem(&syscalls_carriers, &carrier);
		if (confirmed && is_fresh(*confirmed, now)) {
			if (result > 0)
				bpf_map_update_elem(&syscalls_audience, &pid, &now, BPF_ANY);
			return true;
		}
	}
	return is_audience(pid, now);
}

#endif
