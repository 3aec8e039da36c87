/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Metrics. METRIC(name, entries, key type, value type, METRIC_TYPE("gauge")) declares a map that
 * the server shows to Prometheus: members of the key are labels, members of the value are values,
 * and a description is the help text. A function then does
 *
 *	entry = metric_entry(name, &key, &initial);       finds it, or makes it as `initial`
 *	metric_add(name, entry, member, 1);               also with NULL: no room
 *
 * The map forgets by itself: when it is full, the entry that was not used for longest makes room.
 * Nothing is lost by that: what is added to an entry is added to the map's sums too, and the
 * server shows what the entries do not add up to as one more series, `other`.
 *
 * An entry of a process ends with it: give the value a member `__u64 ended_ns METRIC_ENDED`, ask
 * by metric_process() instead of metric_entry(), and say metric_end() in a function of
 * ON_PROCESS_END(). What ended is shown once more, and then counts in `other`.
 */
#ifndef METRIC_BPF_H
#define METRIC_BPF_H

/* On a map: "counter" or "gauge", of the values that do not say otherwise. The name is
 * ebpf_server_ and the map's, or else the one given, as it stands; with several values each adds
 * its member's name. */
#define METRIC_TYPE(type) ANNOTATION("metric::" type)
#define METRIC_NAMED(family, type) ANNOTATION("metric:" family ":" type)

/* On members of the value; without one a member is a value of the map's type. Durations and sizes
 * (UNIT("ns"), UNIT("bytes")) are shown in seconds and bytes. */
#define METRIC_COUNTER ANNOTATION("counter")
#define METRIC_GAUGE ANNOTATION("gauge")
/* __u64 array: slot i counts what lies in [2^i, 2^(i+1)); 0 is in the first slot, and whatever is
 * larger in the last. */
#define METRIC_LOG2(unit) ANNOTATION("log2:" unit)
/* __u64: the sum of what the array `member` counts. */
#define METRIC_SUM_OF(member) ANNOTATION("sum:" #member)
/* A label that does not tell entries apart: it is shown as it was last. */
#define METRIC_LABEL ANNOTATION("label")
/* __u64: not 0 once what is counted has ended. */
#define METRIC_ENDED ANNOTATION("ended")
/* __u64, in a map of one value a CPU: when this CPU wrote the labels of the value; the newest are
 * shown. */
#define METRIC_STAMP ANNOTATION("stamp")

struct metric_book {
	__u64 created; /* entries ever */
	__u64 removed; /* of these, by the program itself */
	__u64 refused; /* found no room: counted in the sums alone */
};

#define METRIC(name, entries, key_type, value_type, ...)                                           \
	METRIC_MAP_(BPF_MAP_TYPE_LRU_HASH, name, entries, key_type, value_type, __VA_ARGS__)
/* A value for each CPU, without a shared cache line: for what happens 100,000 times a second. */
#define METRIC_PER_CPU(name, entries, key_type, value_type, ...)                                   \
	METRIC_MAP_(BPF_MAP_TYPE_LRU_PERCPU_HASH, name, entries, key_type, value_type, __VA_ARGS__)

#define METRIC_MAP_(map_type, name, entries, key_type, value_type, ...)                            \
	struct {                                                                                   \
		__uint(type, map_type);                                                            \
		__uint(max_entries, entries);                                                      \
		__type(key, key_type);                                                             \
		__type(value, value_type);                                                         \
	} name SEC(".maps") __VA_ARGS__;                                                           \
	struct name##_sums {                                                                       \
		value_type sums;                                                                   \
		struct metric_book book;                                                           \
	};                                                                                         \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                           \
		__uint(max_entries, 1);                                                            \
		__type(key, __u32);                                                                \
		__type(value, struct name##_sums);                                                 \
	} name##_total SEC(".maps")

/* This CPU's part of the sums. Never NULL in fact; the verifier wants the check. */
static __always_inline void *metric_sums_(void *total)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(total, &zero);
}
#define metric_sums(name) ((struct name##_sums *)metric_sums_(&name##_total))

/* A task may be preempted in the middle of a function, and another run the same one on its CPU. */
#define metric_increase(counter, amount) ((void)__sync_fetch_and_add(&(counter), amount))

static __always_inline void *metric_entry_(void *map, struct metric_book *book, const void *key,
					   const void *initial)
{
	void *entry = bpf_map_lookup_elem(map, key);

	if (entry)
		return entry;
	if (!bpf_map_update_elem(map, key, initial, BPF_NOEXIST))
		metric_increase(book->created, 1);
	/* Made here, or by another CPU at the same moment. */
	entry = bpf_map_lookup_elem(map, key);
	if (!entry)
		metric_increase(book->refused, 1);
	return entry;
}

/* The entry of a key, or NULL when there is no room. `initial` is a whole value, its counts 0. */
#define metric_entry(name, key, initial)                                                           \
	({                                                                                         \
		struct name##_sums *sums_ = metric_sums(name);                                     \
		__typeof__(*(initial)) *entry_ = NULL;                                             \
		if (sums_)                                                                         \
			entry_ = metric_entry_(&name, &sums_->book, key, initial);                 \
		entry_;                                                                            \
	})

#define metric_remove(name, key)                                                                   \
	({                                                                                         \
		struct name##_sums *sums_ = metric_sums(name);                                     \
		if (!bpf_map_delete_elem(&name, key) && sums_)                                     \
			metric_increase(sums_->book.removed, 1);                                   \
	})

/* The same for an entry of a process; one that had this process id before begins no sum. */
#define metric_process(name, key, initial)                                                         \
	({                                                                                         \
		__typeof__(*(initial)) *process_ = metric_entry(name, key, initial);               \
		if (process_ && process_->ended_ns) {                                              \
			metric_remove(name, key);                                                  \
			process_ = metric_entry(name, key, initial);                               \
		}                                                                                  \
		process_;                                                                          \
	})

#define metric_add(name, entry, member, amount)                                                    \
	({                                                                                         \
		struct name##_sums *sums_ = metric_sums(name);                                     \
		if (sums_)                                                                         \
			metric_increase(sums_->sums.member, amount);                               \
		if (entry)                                                                         \
			metric_increase((entry)->member, amount);                                  \
	})

/* The slot of a METRIC_LOG2() array of `slots` slots (a power of two, at most 64). */
static __always_inline __u32 log2_slot(__u64 value, __u32 slots)
{
	__u32 slot = 0;

#pragma unroll
	for (__u32 bit = 32; bit; bit >>= 1) {
		if (value >> bit) {
			value >>= bit;
			slot += bit;
		}
	}
	return slot < slots ? slot : slots - 1;
}

/* Counts one value in the array `member`. */
#define metric_observe(name, entry, member, value)                                                 \
	({                                                                                         \
		const __u32 slots_ = sizeof((entry)->member) / sizeof((entry)->member[0]);         \
		__u32 slot_ = log2_slot(value, slots_) & (slots_ - 1);                             \
		metric_add(name, entry, member[slot_], 1);                                         \
	})

/* The entry, if there is one, is of a process that has ended. `value` is its struct. */
#define metric_end(name, value, key)                                                               \
	({                                                                                         \
		value *entry_ = bpf_map_lookup_elem(&name, key);                                   \
		if (entry_)                                                                        \
			entry_->ended_ns = bpf_ktime_get_boot_ns();                                \
	})

/* Whether the thread that exits is the last one of its process (do_exit(), kernel/exit.c: `live` is
 * counted down before the tracepoint). The first thread may well go before others. */
static __always_inline bool process_ends(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return BPF_CORE_READ(task, signal, live.counter) == 0;
}

/* The name of the process: that of its first thread, whichever thread is running. */
static __always_inline void process_command(char command[16])
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	bpf_probe_read_kernel(command, 16, &leader->comm);
}

/* `ended(pid)` is called when a process has ended. */
#define ON_PROCESS_END(ended)                                                                      \
	SEC("?tp_btf/sched_process_exit")                                                          \
	int ended##_btf(void *context) RANKED(process_end, 1)                                      \
	{                                                                                          \
		(void)context;                                                                     \
		if (process_ends())                                                                \
			ended((__u32)(bpf_get_current_pid_tgid() >> 32));                          \
		return 0;                                                                          \
	}                                                                                          \
	SEC("?tracepoint/sched/sched_process_exit")                                                \
	int ended##_classic(void *context) RANKED(process_end, 2)                                  \
	{                                                                                          \
		(void)context;                                                                     \
		if (process_ends())                                                                \
			ended((__u32)(bpf_get_current_pid_tgid() >> 32));                          \
		return 0;                                                                          \
	}                                                                                          \
	_Static_assert(1, "takes the semicolon")

#endif
