/* SPDX-License-Identifier: MIT */
#include "metrics/snapshot.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define BATCH 256u
/* A hash's bucket comes whole or not at all, and has no limit of its own. */
#define BATCH_LIMIT (1u << 20)
#define ENOTSUPP_KERNEL 524

void snapshot_fini(struct snapshot *snapshot)
{
	free(snapshot->keys);
	free(snapshot->values);
	free(snapshot->before);
	free(snapshot->after);
	*snapshot = (struct snapshot){ .map = NULL };
}

/* ---- values ---- */

static size_t cpu_stride(size_t value_size)
{
	return (value_size + 7) & ~(size_t)7; /* bpf(2): values of CPUs are rounded up to 8 bytes */
}

static void add_word(uint8_t *value, const uint8_t *more, size_t offset)
{
	uint64_t word = metric_word(value, offset) + metric_word(more, offset);

	memcpy(value + offset, &word, sizeof(word));
}

/* Every count of a value, histograms and their sums included. */
static void add_counts(const struct metric_map *map, uint8_t *value, const uint8_t *more)
{
	for (size_t i = 0; i < map->family_count; i++) {
		const struct metric_family *family = &map->families[i];

		for (size_t slot = 0; slot < family->slots; slot++)
			add_word(value, more, family->offset + slot * sizeof(uint64_t));
		if (family->sum != FIELD_NONE)
			add_word(value, more, family->sum);
	}
}

/* Labels are those of the CPU that wrote last; it has ended when one CPU says so. */
static void merge_cpus(const struct metric_map *map, uint8_t *value, const uint8_t *values,
		       unsigned int cpus)
{
	const size_t stride = cpu_stride(map->value_size);
	unsigned int newest = 0;
	uint64_t ended = 0;

	for (unsigned int cpu = 0; cpu < cpus; cpu++) {
		const uint8_t *own = values + cpu * stride;

		if (map->stamp != FIELD_NONE &&
		    metric_word(own, map->stamp) >
			    metric_word(values + newest * stride, map->stamp))
			newest = cpu;
		if (map->ended != FIELD_NONE && metric_word(own, map->ended) > ended)
			ended = metric_word(own, map->ended);
	}
	memcpy(value, values + newest * stride, map->value_size);
	for (unsigned int cpu = 0; cpu < cpus; cpu++)
		if (cpu != newest)
			add_counts(map, value, values + cpu * stride);
	if (map->ended != FIELD_NONE)
		memcpy(value + map->ended, &ended, sizeof(ended));
}

static int make_room(struct snapshot *snapshot)
{
	const struct metric_map *map = snapshot->map;
	size_t capacity = snapshot->capacity ? snapshot->capacity * 2 : BATCH;
	uint8_t *keys, *values;

	if (snapshot->count < snapshot->capacity)
		return 0;
	keys = reallocarray(snapshot->keys, capacity, map->key_size);
	if (!keys)
		return -ENOMEM;
	snapshot->keys = keys;
	values = reallocarray(snapshot->values, capacity, map->value_size);
	if (!values)
		return -ENOMEM;
	snapshot->values = values;
	snapshot->capacity = capacity;
	return 0;
}

int snapshot_add(struct snapshot *snapshot, const uint8_t *key, const uint8_t *values,
		 unsigned int cpus)
{
	const struct metric_map *map = snapshot->map;
	int r = make_room(snapshot);

	if (r)
		return r;
	memcpy(snapshot->keys + snapshot->count * map->key_size, key, map->key_size);
	merge_cpus(map, snapshot->values + snapshot->count * map->value_size, values, cpus);
	snapshot->count++;
	return 0;
}

/* ---- maps ---- */

struct map_reader {
	struct snapshot *snapshot;
	int fd;
	unsigned int cpus;   /* values of an entry */
	size_t value_stride; /* bytes of an entry's values */
	uint32_t batch;
	uint8_t *keys, *values; /* of a batch */
};

static int allocate_batch(struct map_reader *reader, uint32_t batch)
{
	free(reader->keys);
	free(reader->values);
	reader->batch = batch;
	reader->keys = calloc(batch, reader->snapshot->map->key_size);
	reader->values = calloc(batch, reader->value_stride);
	return reader->keys && reader->values ? 0 : -ENOMEM;
}

static int take_batch(struct map_reader *reader, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		int r = snapshot_add(reader->snapshot,
				     reader->keys + i * reader->snapshot->map->key_size,
				     reader->values + i * reader->value_stride, reader->cpus);

		if (r)
			return r;
	}
	return 0;
}

/* -EOPNOTSUPP: not for this map, or not by this kernel. */
static int read_batches(struct map_reader *reader)
{
	size_t place_size = reader->snapshot->map->key_size;
	FREE uint8_t *place = NULL;
	bool begun = false;
	int r;

	/* Where to go on: a number for hashes, a key for arrays. */
	place = calloc(2, place_size < sizeof(uint32_t) ? sizeof(uint32_t) : place_size);
	if (!place)
		return -ENOMEM;
	for (;;) {
		uint32_t count = reader->batch;

		r = bpf_map_lookup_batch(reader->fd, begun ? place : NULL, place, reader->keys,
					 reader->values, &count, NULL);
		if (r < 0 && errno == ENOSPC && reader->batch < BATCH_LIMIT) {
			r = allocate_batch(reader, reader->batch * 4);
			if (r)
				return r;
			continue;
		}
		if (r < 0 && errno != ENOENT) {
			if (!begun && (errno == EINVAL || errno == ENOTSUPP_KERNEL ||
				       errno == EOPNOTSUPP || errno == EPERM))
				return -EOPNOTSUPP;
			return -errno;
		}
		begun = r == 0;
		r = take_batch(reader, count);
		if (r || !begun)
			return r;
	}
}

static int compare_keys(const void *a, const void *b, void *context)
{
	const struct snapshot *snapshot = context;

	return memcmp(snapshot_key(snapshot, *(const size_t *)a),
		      snapshot_key(snapshot, *(const size_t *)b), snapshot->map->key_size);
}

/* Of entries that were met twice the later one stays. */
static int remove_doubles(struct snapshot *snapshot)
{
	FREE size_t *order = calloc(snapshot->count + 1, sizeof(*order));
	SNAPSHOT unique = { .map = snapshot->map };

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->count; i++)
		order[i] = i;
	qsort_r(order, snapshot->count, sizeof(*order), compare_keys, snapshot);
	for (size_t i = 0; i < snapshot->count; i++) {
		size_t last = order[i];
		int r;

		while (i + 1 < snapshot->count &&
		       !compare_keys(&order[i], &order[i + 1], snapshot)) {
			i++;
			last = order[i] > last ? order[i] : last;
		}
		r = snapshot_add(&unique, snapshot_key(snapshot, last),
				 snapshot_value(snapshot, last), 1);
		if (r)
			return r;
	}
	free(snapshot->keys);
	free(snapshot->values);
	snapshot->keys = TAKE(unique.keys);
	snapshot->values = TAKE(unique.values);
	snapshot->count = unique.count;
	snapshot->capacity = unique.capacity;
	return 0;
}

/* When the key asked with is gone meanwhile, the kernel begins again: entries come twice, and the
 * walk must have an end. */
static int read_keys(struct map_reader *reader)
{
	const struct metric_map *map = reader->snapshot->map;
	FREE uint8_t *key = calloc(1, map->key_size);
	bool begun = false;

	if (!key)
		return -ENOMEM;
	for (uint64_t steps = 0; steps < 2ULL * map->max_entries + BATCH; steps++) {
		int r;

		if (bpf_map_get_next_key(reader->fd, begun ? key : NULL, reader->keys) < 0) {
			if (errno == ENOENT)
				break;
			return -errno;
		}
		begun = true;
		memcpy(key, reader->keys, map->key_size);
		if (bpf_map_lookup_elem(reader->fd, key, reader->values) < 0) {
			if (errno == ENOENT)
				continue;
			return -errno;
		}
		r = take_batch(reader, 1);
		if (r)
			return r;
	}
	return remove_doubles(reader->snapshot);
}

static struct map_reader map_reader_of(struct snapshot *snapshot, int fd,
				       unsigned int possible_cpus)
{
	const struct metric_map *map = snapshot->map;

	return (struct map_reader){
		.snapshot = snapshot,
		.fd = fd,
		.cpus = map->per_cpu ? possible_cpus : 1,
		.value_stride = map->per_cpu ? cpu_stride(map->value_size) * possible_cpus
					     : map->value_size,
	};
}

static int read_entries(struct snapshot *snapshot, int fd, unsigned int possible_cpus)
{
	struct map_reader reader = map_reader_of(snapshot, fd, possible_cpus);
	int r = allocate_batch(&reader, BATCH);

	if (!r)
		r = read_batches(&reader);
	free(reader.keys);
	free(reader.values);
	return r == -EOPNOTSUPP ? snapshot_read_keys(snapshot, fd, possible_cpus) : r;
}

int snapshot_read_keys(struct snapshot *snapshot, int fd, unsigned int possible_cpus)
{
	struct map_reader reader = map_reader_of(snapshot, fd, possible_cpus);
	int r = allocate_batch(&reader, 1);

	if (!r)
		r = read_keys(&reader);
	free(reader.keys);
	free(reader.values);
	return r;
}

/* ---- sums ---- */

static size_t total_size(const struct metric_map *map)
{
	return cpu_stride(map->value_size) + sizeof(struct metric_book);
}

static int read_total(const struct metric_map *map, int fd, unsigned int cpus, uint8_t **ret_sums,
		      struct metric_book *book)
{
	const size_t stride = total_size(map);
	FREE uint8_t *values = calloc(cpus, stride);
	FREE uint8_t *sums = calloc(1, cpu_stride(map->value_size));
	uint32_t zero = 0;

	if (!values || !sums)
		return -ENOMEM;
	if (bpf_map_lookup_elem(fd, &zero, values) < 0)
		return -errno;
	*book = (struct metric_book){ 0 };
	for (unsigned int cpu = 0; cpu < cpus; cpu++) {
		const uint8_t *own = values + cpu * stride;
		struct metric_book part;

		add_counts(map, sums, own);
		memcpy(&part, own + cpu_stride(map->value_size), sizeof(part));
		book->created += part.created;
		book->removed += part.removed;
		book->refused += part.refused;
	}
	*ret_sums = TAKE(sums);
	return 0;
}

/* The maps come from the loader, the descriptors that they are read by from the object file. */
static int check_map(int fd, uint32_t key_size, size_t value_size, bool per_cpu)
{
	struct bpf_map_info info = { .id = 0 };
	uint32_t size = sizeof(info);
	bool is_per_cpu;

	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return -errno;
	is_per_cpu = info.type == BPF_MAP_TYPE_PERCPU_ARRAY ||
		     info.type == BPF_MAP_TYPE_PERCPU_HASH ||
		     info.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
	return info.key_size == key_size && info.value_size == value_size && is_per_cpu == per_cpu
		       ? 0
		       : -EINVAL;
}

int snapshot_read(struct snapshot *snapshot, const struct metric_map *map, int fd, int total_fd,
		  unsigned int possible_cpus)
{
	int r = check_map(fd, map->key_size, map->value_size, map->per_cpu);

	snapshot->map = map;
	if (!r && total_fd >= 0) {
		r = check_map(total_fd, sizeof(uint32_t), total_size(map), true);
		if (!r)
			r = read_total(map, total_fd, possible_cpus, &snapshot->before,
				       &snapshot->book);
	}
	if (!r)
		r = read_entries(snapshot, fd, possible_cpus);
	if (!r && total_fd >= 0)
		r = read_total(map, total_fd, possible_cpus, &snapshot->after, &snapshot->book);
	return r;
}
