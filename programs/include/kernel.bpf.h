/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The kernel's side of things, kept by hand: integer types, the constants of the bpf(2) interface,
 * and just those members of kernel structs that programs here read. Offsets are relocated at load
 * time by the running kernel's BTF (CO-RE), so order and neighbours do not matter, and no kernel
 * header or BTF is needed to build.
 *
 * Sources: include/uapi/linux/bpf.h, include/linux/{sched,fdtable,fs,net,skbuff,netdevice,tty}.h,
 * include/net/{sock,inet_sock}.h, include/linux/tcp.h, asm/{ptrace,thread_info}.h of each
 * architecture.
 */
#ifndef KERNEL_BPF_H
#define KERNEL_BPF_H

/* Tells libbpf's headers that kernel types are there. */
#define __VMLINUX_H__

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u16 __sum16;
typedef __u32 __wsum;
typedef _Bool bool;

#define true 1
#define false 0
#define NULL ((void *)0)
#define offsetof(type, member) __builtin_offsetof(type, member)

/* enum bpf_map_type, as far as used. */
enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_LRU_PERCPU_HASH = 10,
	BPF_MAP_TYPE_LPM_TRIE = 11,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_EXIST = 2,
	BPF_F_NO_PREALLOC = 1,
};

enum {
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
};

enum {
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
	BPF_RB_AVAIL_DATA = 0,
};

/* include/net/tcp_states.h */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_FIN_WAIT1 = 4,
	TCP_FIN_WAIT2 = 5,
	TCP_CLOSE = 7,
	TCP_CLOSE_WAIT = 8,
	TCP_LAST_ACK = 9,
	TCP_CLOSING = 11,
};

/* include/net/sock.h: bits of a socket's flags. */
enum sock_flags {
	SOCK_DONE = 1,
};

/* enum bpf_func_id, to ask whether the running kernel has a helper. */
enum bpf_func_id {
	BPF_FUNC_get_current_task_btf = 158,
	BPF_FUNC_check_mtu = 163,
};

/*
 * Records of the classic syscall tracepoints (kernel/trace/trace_syscalls.c): a common header of 8
 * bytes, the call's number, then machine words.
 */
#if defined(__TARGET_ARCH_arm)
typedef __u32 kernel_word;
typedef __s32 kernel_signed_word;
#else
typedef __u64 kernel_word;
typedef __s64 kernel_signed_word;
#endif

struct syscall_enter {
	__u64 common;
	kernel_signed_word number;
	kernel_word arguments[6];
};

struct syscall_exit {
	__u64 common;
	kernel_signed_word number;
	kernel_signed_word result;
};

/* What functions on network interfaces get (include/uapi/linux/bpf.h). The kernel rewrites each
 * access: members never move, and only what is read has to be there. */
struct xdp_md {
	__u32 data;
	__u32 data_end;
	__u32 data_meta;
	__u32 ingress_ifindex;
	__u32 rx_queue_index;
	__u32 egress_ifindex;
};

enum xdp_action {
	XDP_ABORTED,
	XDP_DROP,
	XDP_PASS,
	XDP_TX,
	XDP_REDIRECT,
};

struct bpf_sock;

struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol; /* network order */
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto; /* network order */
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 tc_index;
	__u32 cb[5];
	__u32 hash;
	__u32 tc_classid;
	__u32 data;
	__u32 data_end;
	__u32 napi_id;
	__u32 family;
	__u32 remote_ip4;
	__u32 local_ip4;
	__u32 remote_ip6[4];
	__u32 local_ip6[4];
	__u32 remote_port;
	__u32 local_port;
	__u32 data_meta;
	union {
		void *flow_keys;
		__u64 : 64;
	} __attribute__((aligned(8)));
	__u64 tstamp;
	__u32 wire_len;
	__u32 gso_segs;
	union {
		struct bpf_sock *sk;
		__u64 : 64;
	} __attribute__((aligned(8)));
	__u32 gso_size;
};

/* The next one decides; the same number as TCX_NEXT. */
#define TC_ACT_UNSPEC (-1)
#define TC_ACT_SHOT 2

/* Where bpf_skb_load_bytes_relative() counts from. */
enum bpf_hdr_start_off {
	BPF_HDR_START_MAC,
	BPF_HDR_START_NET,
};

/* include/uapi/linux/stat.h */
enum {
	S_IFMT = 0170000,
	S_IFIFO = 0010000,
	S_IFCHR = 0020000,
	S_IFREG = 0100000,
	S_IFSOCK = 0140000,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct super_block {
	__u32 s_dev;
};

struct inode {
	unsigned short i_mode;
	__u32 i_rdev;
	struct super_block *i_sb;
	unsigned long i_ino;
};

struct file {
	struct inode *f_inode;
	void *private_data;
};

struct tty_struct {
	struct tty_struct *link; /* of a pseudo-terminal: the other side */
};

/* private_data of a file that is a terminal */
struct tty_file_private {
	struct tty_struct *tty;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live; /* threads of the process that have not begun to exit */
};

struct thread_info {
	unsigned long flags;
	__u32 status; /* x86 alone */
};

struct task_struct {
	struct thread_info thread_info;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	__u64 start_boottime; /* ns; of an exec by another thread, that of the first one */
	struct signal_struct *signal;
	struct files_struct *files;
	char comm[16];
};

/* What a system call began with: its number, and the first argument as it was then. */
struct pt_regs {
#if defined(__TARGET_ARCH_x86)
	unsigned long orig_ax, bx, di;
#elif defined(__TARGET_ARCH_arm64)
	__u64 orig_x0;
	__s32 syscallno;
#elif defined(__TARGET_ARCH_arm)
	unsigned long uregs[18];
#else /* riscv */
	unsigned long orig_a0, a7;
#endif
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device;

struct netdev_queue {
	struct net_device *dev;
};

struct net_device {
	char name[16];
	unsigned short hard_header_len;
	possible_net_t nd_net;
	struct netdev_queue *_tx;
};

struct xdp_rxq_info {
	struct net_device *dev;
};

struct xdp_buff {
	struct xdp_rxq_info *rxq;
};

struct dst_entry {
	struct net_device *dev;
};

struct in6_addr {
	__u8 bytes[16];
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num; /* the local port */
	unsigned short skc_family;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	unsigned long skc_flags;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol; /* a bit-field before 5.6 */
	__u16 sk_type;
	int sk_err;
};

struct inet_sock {
	__be16 inet_sport; /* stays when a closed socket gives its port back */
};

struct tcp_sock {
	__u64 bytes_sent; /* payload, that of retransmissions included */
	__u64 bytes_retrans;
	__u64 bytes_received; /* a FIN is one of them */
	__u32 total_retrans;
	__u32 srtt_us; /* eighths */
};

struct unix_sock {
	struct sock *peer;
};

struct socket {
	short type;
	struct file *file;
	struct sock *sk;
};

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned long _skb_refdst;
	unsigned int len;
	unsigned int data_len;
	__be16 protocol;
	__u16 network_header;
	unsigned char *head;
	unsigned char *data;
};

#pragma clang attribute pop

#endif
