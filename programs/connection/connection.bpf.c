/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Every connect(2): who, to where, over what, how it ended and how long it took.
 *
 * Hooks: the classic tracepoints of this one system call. A raw sys_enter program would tax every
 * call of the machine; fexit is cheaper but not everywhere. The address is copied at entry, so
 * that another thread cannot change it while connect() runs; where its page was not in memory
 * then, it is read again at exit, when the kernel itself has touched it.
 */
#include "ip_list.bpf.h"
#include "program.bpf.h"

PROGRAM("Connection attempts: every connect(2) with its destination, result and duration");

#define ATTEMPTS 16384	  /* threads that can be inside connect(2) at a time */
#define ADDRESS_LIMIT 128 /* struct sockaddr_storage; longer ones the kernel refuses unread */
#define EFAULT 14	  /* include/uapi/asm-generic/errno-base.h */
#define PATH_SIZE 108	  /* sun_path of struct sockaddr_un */

struct connection_event {
	struct event_header header;
	__u64 duration_ns DESCRIPTION("Time from entry to exit of connect(2)") UNIT("ns");
	__s32 return_code DESCRIPTION("What connect(2) returned: 0, or the negative error number")
		WITH_ERRNO(error);
	enum transport protocol NULL_IF_ZERO DESCRIPTION("Protocol of the socket itself");
	enum address_family address_family FORMAT_NUMBER DESCRIPTION(
		"Family of the address (AF_*); of the socket where the address cannot be read");
	enum socket_type socket_type NULL_IF_ZERO
		DESCRIPTION("Type of the socket; null when the descriptor is no socket");
	bool watched WATCHED;
	__u16 destination_port DESCRIPTION("Port asked for")
		ONLY_WHEN(address_family, "AF_INET|AF_INET6");
	__u32 reserved_before_ip HIDDEN;
	__u8 destination_ip[16] FORMAT_IP DESCRIPTION(
		"Address asked for; IPv4-mapped ones are shown as IPv4")
		ONLY_WHEN(address_family, "AF_INET|AF_INET6")
			WITH_ENDPOINT(destination, destination_port, destination_path);
	char destination_path[PATH_SIZE] DESCRIPTION(
		"Path of a Unix socket; an abstract name begins with @, its NULs are shown as @")
		ONLY_WHEN(address_family, "AF_UNIX");
	__u32 reserved_end HIDDEN;
};

/* A record ends where what is known ends. */
#define SIZE_WITHOUT_ADDRESS offsetof(struct connection_event, destination_port)
#define SIZE_WITH_IP offsetof(struct connection_event, destination_path)

STREAM(connection, struct connection_event);

/* A connect(2) between entry and exit. */
struct attempt {
	__u64 started; /* boot ns */
	__u64 address;
	__u8 ip[16];
	__u16 port;
	__u16 protocol;
	__u16 family;
	__u8 socket_type;
	__u8 address_length; /* 0: none that the kernel would read */
	__u8 address_read;   /* ip and port, or the family alone, are those of the entry */
	__u8 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ATTEMPTS);
	__type(key, __u64); /* pid and tid */
	__type(value, struct attempt);
} connection_attempts SEC(".maps");

/* struct sockaddr_in and sockaddr_in6 (include/uapi/linux/in.h, in6.h) as far as both go. */
struct address {
	__u16 family;
	__be16 port;
	__be32 v4_or_flow;
	__u8 v6[16];
};

/* Family, IP and port, as far as the length goes. */
static __always_inline void read_address(struct attempt *attempt)
{
	struct address address = {};
	void *from = (void *)attempt->address;
	__u32 length = attempt->address_length;
	long failed;

	/* Constant sizes: a variable one costs the verifier its bounds. */
	if (length >= sizeof(address))
		failed = bpf_probe_read_user(&address, sizeof(address), from);
	else if (length >= offsetof(struct address, v6))
		failed = bpf_probe_read_user(&address, offsetof(struct address, v6), from);
	else if (length >= sizeof(address.family))
		failed = bpf_probe_read_user(&address, sizeof(address.family), from);
	else
		return;
	if (failed)
		return;
	attempt->address_read = 1;
	attempt->family = address.family;
	attempt->port = bpf_ntohs(address.port);
	if (address.family == AF_INET)
		ip_from_v4(attempt->ip, address.v4_or_flow);
	else
		__builtin_memcpy(attempt->ip, address.v6, sizeof(attempt->ip));
}

SEC("tracepoint/syscalls/sys_enter_connect")
int connection_enter(struct syscall_enter *context)
{
	__u32 fd = (__u32)context->arguments[0];
	kernel_word user_address = context->arguments[1];
	__u32 length = (__u32)context->arguments[2];
	__u64 thread = bpf_get_current_pid_tgid();
	struct socket_facts socket = {};
	struct attempt attempt = {};

	if (!stream_wants(connection))
		return 0;
	attempt.address = user_address;
	attempt.address_length = length <= ADDRESS_LIMIT ? (__u8)length : 0;
	socket_of_fd(fd, &socket);
	attempt.family = socket.family;
	attempt.protocol = socket.protocol;
	attempt.socket_type = socket.type;
	read_address(&attempt);
	attempt.started = bpf_ktime_get_boot_ns();
	if (bpf_map_update_elem(&connection_attempts, &thread, &attempt, BPF_ANY))
		stream_lose(connection);
	return 0;
}

static __always_inline void fill(struct connection_event *event, const struct attempt *attempt,
				 kernel_signed_word result, bool watched)
{
	event_header_fill(&event->header);
	event->duration_ns = event->header.timestamp - attempt->started;
	event->return_code = (__s32)result;
	event->protocol = attempt->protocol;
	event->address_family = attempt->family;
	event->socket_type = attempt->socket_type;
	event->watched = watched;
}

static __always_inline bool has_ip(const struct attempt *attempt)
{
	return attempt->address_read &&
	       ((attempt->family == AF_INET && attempt->address_length >= 8) ||
		(attempt->family == AF_INET6 && attempt->address_length >= 24));
}

static __always_inline void fill_ip(struct connection_event *event, const struct attempt *attempt)
{
	event->destination_port = attempt->port;
	event->reserved_before_ip = 0;
	__builtin_memcpy(event->destination_ip, attempt->ip, sizeof(event->destination_ip));
}

/* The path of a Unix address is read at exit: it is long, and most connects have none to carry
 * along. */
static __always_inline void fill_path(struct connection_event *event, const struct attempt *attempt)
{
	const char *from = (const char *)attempt->address + sizeof(__u16);
	__u32 length = attempt->address_length - (__u32)sizeof(__u16);
	char *path = event->destination_path;

	__builtin_memset(path, 0, PATH_SIZE + sizeof(event->reserved_end));
	if (length > PATH_SIZE)
		length = PATH_SIZE;
	if (length == 0)
		return;
	/* A path ends at its NUL or where the length says; reserved_end has room for the NUL after
	 * 108. */
	if (bpf_probe_read_user_str(path, length + 1, from) > 1) {
		path[length] = 0;
		return;
	}
	/* Abstract (unix(7)): all bytes of the name count, NULs too. */
	if (bpf_probe_read_user(path, length, from))
		return;
	for (__u32 i = 0; i < PATH_SIZE; i++) {
		if (i >= length)
			break;
		if (!path[i])
			path[i] = '@';
	}
}

SEC("tracepoint/syscalls/sys_exit_connect")
int connection_exit(struct syscall_exit *context)
{
	kernel_signed_word result = context->result;
	__u64 thread = bpf_get_current_pid_tgid();
	struct connection_event *event;
	struct attempt *found, attempt;
	__u32 verdict;

	/* None: filtered or lost at entry and counted there, or begun before this program was
	 * attached. */
	found = bpf_map_lookup_elem(&connection_attempts, &thread);
	if (!found)
		return 0;
	attempt = *found;
	bpf_map_delete_elem(&connection_attempts, &thread);
	if (!attempt.address_read)
		read_address(&attempt);
	/* Of an address that ends where memory does, the kernel took nothing. */
	if (result == -EFAULT)
		attempt.address_read = 0;
	verdict = ip_list_ask(has_ip(&attempt) ? attempt.ip : NULL, NULL);
	if (verdict & IP_LIST_UNWANTED) {
		stream_filter_out(connection);
		return 0;
	}

	if (attempt.address_read && attempt.family == AF_UNIX &&
	    attempt.address_length > offsetof(struct address, port)) {
		event = stream_reserve(connection, sizeof(*event));
		if (!event)
			return 0;
		fill(event, &attempt, result, verdict & IP_LIST_WATCHED);
		fill_ip(event, &attempt);
		fill_path(event, &attempt);
		stream_submit(connection, event, sizeof(*event));
	} else if (has_ip(&attempt)) {
		event = stream_reserve(connection, SIZE_WITH_IP);
		if (!event)
			return 0;
		fill(event, &attempt, result, verdict & IP_LIST_WATCHED);
		fill_ip(event, &attempt);
		stream_submit(connection, event, SIZE_WITH_IP);
	} else {
		event = stream_reserve(connection, SIZE_WITHOUT_ADDRESS);
		if (!event)
			return 0;
		fill(event, &attempt, result, verdict & IP_LIST_WATCHED);
		stream_submit(connection, event, SIZE_WITHOUT_ADDRESS);
	}
	return 0;
}
