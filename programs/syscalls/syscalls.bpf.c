/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * read(2) and write(2) of every process: calls, bytes, errors and latency, counted in the kernel;
 * and, when asked for, one event a call.
 *
 * Hooks: the BTF raw tracepoints of all system calls. The classic ones of single calls cost two
 * thirds more at the calls that are counted; these cost something at every other call too, and so
 * does any tracepoint of system calls: the program is off until asked for. The entry is hooked only
 * while a duration is wanted.
 */
#include "program.bpf.h"

#include "calls.bpf.h"
#include "feedback.bpf.h"
#include "own.bpf.h"
#include "process_list.bpf.h"

PROGRAM("read(2) and write(2), counted by process: calls, bytes, errors, latency; one event a call "
	"on request",
	OFF_BY_DEFAULT);

const volatile bool stream PARAMETER("Report one event a call, besides counting")
= false;
const volatile bool latency
	PARAMETER("Count how long calls take; adds the cost of a hook at their entry")
= false;
const volatile bool variants
	PARAMETER("Also readv, writev, pread64, pwrite64, preadv, pwritev, preadv2 and pwritev2")
= false;

#define PROCESS_CALLS 8192 /* two a process that reads and writes */
#define LATENCY_SLOTS 32   /* the last one: 2.1 s and longer */
#define CALLS_AT_A_TIME 16384

/* ---- counts ---- */

struct process_call {
	__u32 pid;
	enum call syscall;
	__u64 started HIDDEN; /* of the process: numbers come again */
};

struct process_counts {
	char comm[16] METRIC_LABEL;
	__u64 calls DESCRIPTION("Calls that ended");
	__u64 bytes UNIT("bytes") DESCRIPTION("Bytes that calls moved");
	__u64 errors DESCRIPTION("Calls that returned an error");
	__u64 ended_ns METRIC_ENDED;
	__u64 named_ns METRIC_STAMP;
};

METRIC_PER_CPU(syscalls_process, PROCESS_CALLS, struct process_call, struct process_counts,
	       METRIC_TYPE("counter"));

struct call_latency {
	char comm[16] METRIC_LABEL;
	__u64 latency[LATENCY_SLOTS] METRIC_LOG2("ns")
		DESCRIPTION("Time from entry to exit of calls");
	__u64 latency_sum METRIC_SUM_OF(latency);
	__u64 ended_ns METRIC_ENDED;
};

METRIC(syscalls_latency, PROCESS_CALLS, struct process_call, struct call_latency,
       METRIC_TYPE("counter"));

/* ---- events ---- */

struct syscalls_event {
	struct event_header header;
	__u64 duration_ns DESCRIPTION("Time from entry to exit") UNIT("ns");
	__s32 return_code DESCRIPTION("What the call returned: bytes, or the negative error number")
		WITH_ERRNO(error);
	__u32 bytes DESCRIPTION("Bytes moved; 0 of a call that failed") UNIT("bytes");
	__s32 fd DESCRIPTION("File descriptor, as it was given");
	enum call syscall DESCRIPTION("Which call");
};

STREAM(syscalls, struct syscalls_event,
       ONLY_WITH("stream") PRINT_OPENING("Loading eBPF program\n"
					 "Monitoring sys_read and sys_write calls...\n"
					 "Host PID: {own_pid}\n"
					 "Skipping self PID: {own_pid}\n"
					 "API Server starting on localhost:{api_port}")
	       PRINT_LINE("{pid} - hello sys_{syscall} was called"));

/* ---- between entry and exit ---- */

/* Three times as cheap as a hash, where tracing programs may have it: since 5.12, a10787e6d58c. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64); /* boot ns; 0: not between the two */
} syscalls_begun SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CALLS_AT_A_TIME);
	__type(key, __u64); /* pid and tid */
	__type(value, __u64);
} syscalls_begun_old SEC(".maps");

/* check_mtu came with 5.12 too. */
#define HAS_TASK_STORAGE bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_check_mtu)

/* When the entry's hook ran for the first time. What was kept before is of another time: this was
 * switched off meanwhile, and the call that ends now is not the one that began then. */
static volatile __u64 hooked_since;

static __always_inline long call_begin(__u64 now)
{
	__u64 thread = bpf_get_current_pid_tgid();
	__u64 *kept;

	if (!hooked_since)
		hooked_since = now;
	if (!HAS_TASK_STORAGE)
		return bpf_map_update_elem(&syscalls_begun_old, &thread, &now, BPF_ANY);
	kept = bpf_task_storage_get(&syscalls_begun, bpf_get_current_task_btf(), NULL,
				    BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!kept)
		return -1;
	*kept = now;
	return 0;
}

/* When the call that ends began; 0: before this was attached, or nobody could keep it. */
static __always_inline __u64 call_end(void)
{
	__u64 thread = bpf_get_current_pid_tgid();
	const __u64 *kept;
	__u64 since = hooked_since;

	if (HAS_TASK_STORAGE)
		kept = bpf_task_storage_get(&syscalls_begun, bpf_get_current_task_btf(), NULL, 0);
	else
		kept = bpf_map_lookup_elem(&syscalls_begun_old, &thread);
	return kept && since && *kept >= since ? *kept : 0;
}

/* ---- counting ---- */

static __always_inline struct process_counts *new_counts(const struct process_call *key)
{
	struct process_counts initial = { .named_ns = bpf_ktime_get_boot_ns() };

	process_command(initial.comm);
	return metric_entry(syscalls_process, key, &initial);
}

static __always_inline void count_latency(const struct process_call *key, __u64 duration)
{
	struct call_latency *entry = bpf_map_lookup_elem(&syscalls_latency, key);

	if (!entry) {
		struct call_latency initial = {};

		process_command(initial.comm);
		entry = metric_entry(syscalls_latency, key, &initial);
	}
	metric_observe(syscalls_latency, entry, latency, duration);
	metric_add(syscalls_latency, entry, latency_sum, duration);
}

/* A call that has ended. */
struct call_facts {
	enum call call;
	struct syscall_caller caller;
	__s32 fd;
	__s64 result;
	__u64 began, ended; /* boot ns; 0 where nobody asks, or where it is not known */
};

static __always_inline void count(const struct call_facts *facts)
{
	struct process_call key = { .pid = facts->caller.pid,
				    .syscall = facts->call,
				    .started = facts->caller.started };
	struct process_counts *entry = bpf_map_lookup_elem(&syscalls_process, &key);

	if (!entry) {
		/* Asked only here: own processes never get an entry. */
		if (is_own_process())
			return;
		entry = new_counts(&key);
	}
	metric_add(syscalls_process, entry, calls, 1);
	if (facts->result >= 0)
		metric_add(syscalls_process, entry, bytes, (__u64)facts->result);
	else
		metric_add(syscalls_process, entry, errors, 1);
	if (latency && facts->began)
		count_latency(&key, facts->ended - facts->began);
}

/* ---- reporting ---- */

static __always_inline void report(const struct call_facts *facts)
{
	struct syscalls_event *event;

	if (!stream_wants(syscalls))
		return;
	event = stream_reserve(syscalls, sizeof(*event));
	if (!event)
		return;
	event_header_fill(&event->header);
	event->duration_ns = facts->ended - facts->began;
	/* It fits: MAX_RW_COUNT, include/linux/fs.h. */
	event->return_code = (__s32)facts->result;
	event->bytes = facts->result > 0 ? (__u32)facts->result : 0;
	event->fd = facts->fd;
	event->syscall = facts->call;
	stream_submit(syscalls, event, sizeof(*event));
}

static __always_inline bool is_asked_for(enum call call)
{
	return call <= LAST_PLAIN_CALL || variants;
}

/* Output is followed through every call; which ones are reported is another question. */
static __always_inline void follow_or_report(const struct call_facts *facts)
{
	bool moved;

	if (is_own_process())
		return;
	moved = output_moved(facts->caller.pid, (__u32)facts->fd, call_writes(facts->call),
			     facts->result, facts->ended);
	if (!is_asked_for(facts->call) || !facts->began)
		return;
	if (moved || !process_is_wanted(facts->caller.pid))
		stream_filter_out(syscalls);
	else
		report(facts);
}

/* ---- hooks ---- */

SEC("?tp_btf/sys_enter")
int syscalls_enter(__u64 *context) RANKED(enter, 1) ONLY_WITH("latency|stream")
{
	const struct pt_regs *registers = (const struct pt_regs *)context[0];
	__u32 numbered = call_of_number((__s64)context[1], variants || stream);
	struct syscall_caller caller;
	enum call call;
	__u64 now;
	__u32 fd;

	if (!numbered)
		return 0;
	caller = syscall_caller();
	call = call_of(numbered, &caller);
	if (!call)
		return 0;
	now = bpf_ktime_get_boot_ns();
	fd = (__u32)syscall_first_argument(registers, caller.is_compat);
	if (stream && call_writes(call))
		output_before_write(caller.pid, fd, is_own_process(), now);
	/* Without one the end of this call makes no event and has no latency. */
	if (call_begin(now) && stream && is_asked_for(call))
		stream_lose(syscalls);
	return 0;
}

SEC("?tp_btf/sys_exit")
int syscalls_exit(__u64 *context) RANKED(exit, 1)
{
	const struct pt_regs *registers = (const struct pt_regs *)context[0];
	__s64 result = (__s64)context[1];
	__u32 numbered = call_of_number(syscall_number(registers), variants || stream);
	struct call_facts facts = {};

	if (!numbered)
		return 0;
	facts.caller = syscall_caller();
	facts.call = call_of(numbered, &facts.caller);
	if (!facts.call)
		return 0;
	facts.result = result;
	if (latency || stream) {
		facts.began = call_end();
		facts.ended = bpf_ktime_get_boot_ns();
	}
	if (stream) {
		facts.fd = (__s32)syscall_first_argument(registers, facts.caller.is_compat);
		follow_or_report(&facts);
	}
	if (is_asked_for(facts.call) && process_is_wanted(facts.caller.pid) && filter_passes())
		count(&facts);
	return 0;
}

/* ---- names and ends of processes ---- */

static __always_inline void rename_entry(const struct process_call *key, const char name[16])
{
	struct process_counts *counts = bpf_map_lookup_elem(&syscalls_process, key);
	struct call_latency *latencies = bpf_map_lookup_elem(&syscalls_latency, key);

	if (counts) {
		__builtin_memcpy(counts->comm, name, sizeof(counts->comm));
		counts->named_ns = bpf_ktime_get_boot_ns();
	}
	if (latencies)
		__builtin_memcpy(latencies->comm, name, sizeof(latencies->comm));
}

static __always_inline void rename_process(struct process_call key, const char name[16])
{

#pragma clang loop unroll(disable)
	for (__u32 call = CALL_read; call <= LAST_CALL; call++) {
		if (call > LAST_PLAIN_CALL && !variants)
			break;
		key.syscall = (enum call)call;
		rename_entry(&key, name);
	}
}

/* Of exec and of prctl(PR_SET_NAME), before the name is in force. */
SEC("?tp_btf/task_rename")
int syscalls_rename(__u64 *context) RANKED(rename, 1)
{
	struct task_struct *task = (struct task_struct *)context[0];
	struct process_call key = {};
	char name[16] = {};

	/* A process has the name of its first thread. */
	if (BPF_CORE_READ(task, group_leader) != task)
		return 0;
	bpf_probe_read_kernel_str(name, sizeof(name), (const void *)context[1]);
	key.pid = (__u32)BPF_CORE_READ(task, tgid);
	key.started = BPF_CORE_READ(task, start_boottime);
	rename_process(key, name);
	return 0;
}

SEC("?tracepoint/sched/sched_process_exec")
int syscalls_exec(void *context) RANKED(rename, 2)
{
	struct syscall_caller caller = syscall_caller();
	struct process_call key = { .pid = caller.pid, .started = caller.started };
	char name[16] = {};

	(void)context;
	process_command(name);
	rename_process(key, name);
	return 0;
}

static __always_inline void process_ended(__u32 pid)
{
	struct process_call key = { .pid = pid, .started = syscall_caller().started };

#pragma clang loop unroll(disable)
	for (__u32 call = CALL_read; call <= LAST_CALL; call++) {
		if (call > LAST_PLAIN_CALL && !variants)
			break;
		key.syscall = (enum call)call;
		metric_end(syscalls_process, struct process_counts, &key);
		metric_end(syscalls_latency, struct call_latency, &key);
	}
}

ON_PROCESS_END(process_ended);
