/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Every kind of metric. bpf_prog_test_run() counts: arguments[0] pid, [1] operation, [2] duration
 * in ns, [3] bytes. */
#include "program.bpf.h"

PROGRAM("Every kind of metric");

enum metric_operation { OPERATION_READ = 0, OPERATION_WRITE = 1, OPERATION_SEEK = 2 };

struct call_key {
	__u32 pid;
	enum metric_operation operation;
};

/* One value a CPU: two counters, a histogram with its sum, a label of the value. */
struct measured {
	char comm[16] METRIC_LABEL;
	__u64 written_ns METRIC_STAMP;
	__u64 calls DESCRIPTION("Calls made");
	__u64 volume UNIT("bytes");
	__u64 duration[32] METRIC_LOG2("ns") DESCRIPTION("How long calls took");
	__u64 duration_sum METRIC_SUM_OF(duration);
	__s64 balance METRIC_GAUGE;
	__u64 ended_ns METRIC_ENDED;
};

METRIC_PER_CPU(tally, 64, struct call_key, struct measured,
	       METRIC_TYPE("counter") DESCRIPTION("Of calls"));

struct place {
	enum metric_operation operation;
};

struct count {
	__u64 total;
};

/* An array: each operation has its place. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, struct place);
	__type(value, struct count);
} tally_places SEC(".maps") METRIC_NAMED("demo_places_total", "counter")
	DESCRIPTION("Calls by operation");

/* One entry: no label. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct count);
} tally_all SEC(".maps") METRIC_NAMED("demo_all", "gauge");

SEC("raw_tp/sys_enter")
int measure(__u64 *arguments)
{
	struct call_key key = { .pid = (__u32)arguments[0],
				.operation = (enum metric_operation)arguments[1] };
	__u64 duration = arguments[2], bytes = arguments[3];
	struct place place = { .operation = key.operation };
	struct measured now = {}, *entry;
	struct count *count;
	__u32 zero = 0;

	now.written_ns = bpf_ktime_get_boot_ns();
	__builtin_memcpy(now.comm, "demo", 5);
	entry = metric_process(tally, &key, &now);
	metric_add(tally, entry, calls, 1);
	metric_add(tally, entry, volume, bytes);
	metric_add(tally, entry, duration_sum, duration);
	metric_add(tally, entry, balance, (__s64)-2);
	metric_observe(tally, entry, duration, duration);
	if (entry) {
		entry->written_ns = now.written_ns;
		__builtin_memcpy(entry->comm, now.comm, sizeof(now.comm));
	}
	count = bpf_map_lookup_elem(&tally_places, &place);
	if (count)
		metric_increase(count->total, 1);
	count = bpf_map_lookup_elem(&tally_all, &zero);
	if (count)
		metric_increase(count->total, 1);
	return 0;
}

/* arguments[0] pid, [1] operation */
SEC("raw_tp/sys_exit")
int end(__u64 *arguments)
{
	struct call_key key = { .pid = (__u32)arguments[0],
				.operation = (enum metric_operation)arguments[1] };

	metric_end(tally, struct measured, &key);
	return 0;
}
