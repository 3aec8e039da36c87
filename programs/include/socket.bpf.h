/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The socket behind a descriptor of the current task.
 *
 * Each bpf_probe_read_kernel() costs 10-25 ns and this stands on the way of a system call, so
 * reads are few: the task's tables are walked by BTF pointers where the kernel has them
 * (bpf_get_current_task_btf, 5.11, 3ca1032ab7ab), which the JIT makes plain loads, and of struct
 * socket one piece is copied instead of member by member.
 */
#ifndef SOCKET_BPF_H
#define SOCKET_BPF_H

struct socket_facts {
	__u16 family;
	__u16 protocol; /* enum transport */
	__u8 type;	/* enum socket_type; SOCK_NONE: not a socket */
};

/* The piece of struct socket that holds type, file and sk: all lie within its first bytes in every
 * kernel since 5.3. */
#define SOCKET_PIECE 64

static __always_inline struct file *current_file(__u32 fd)
{
	struct file **files, *file = NULL;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) {
		struct task_struct *task = bpf_get_current_task_btf();
		struct fdtable *table = task->files->fdt;

		if (fd >= table->max_fds)
			return NULL;
		files = table->fd;
	} else {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();
		struct fdtable *table = BPF_CORE_READ(task, files, fdt);

		if (fd >= BPF_CORE_READ(table, max_fds))
			return NULL;
		files = BPF_CORE_READ(table, fd);
	}
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	return file;
}

static __always_inline void socket_of_fd(__u32 fd, struct socket_facts *facts)
{
	struct file *file = current_file(fd);
	__u32 offset_of_file = bpf_core_field_offset(struct socket, file);
	__u32 offset_of_type = bpf_core_field_offset(struct socket, type);
	__u32 offset_of_sock = bpf_core_field_offset(struct socket, sk);
	__u64 piece[SOCKET_PIECE / 8];
	const char *bytes = (const char *)piece;
	struct socket *socket;
	struct sock *sock;

	if (!file)
		return;
	socket = BPF_CORE_READ(file, private_data);
	if (offset_of_file > SOCKET_PIECE - 8 || offset_of_sock > SOCKET_PIECE - 8 ||
	    offset_of_type > SOCKET_PIECE - 8 ||
	    bpf_probe_read_kernel(piece, sizeof(piece), socket))
		return;
	/* Other files have other things there; only a socket points back to its file. */
	if (*(struct file **)(bytes + offset_of_file) != file)
		return;
	sock = *(struct sock **)(bytes + offset_of_sock);
	if (!sock)
		return;
	facts->type = (__u8) * (const __u16 *)(bytes + offset_of_type);
	facts->family = BPF_CORE_READ(sock, __sk_common.skc_family);
	facts->protocol = facts->family == AF_INET || facts->family == AF_INET6
				  ? BPF_CORE_READ(sock, sk_protocol)
				  : TRANSPORT_FAMILY + facts->family;
}

#endif
