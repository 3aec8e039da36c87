/* SPDX-License-Identifier: MIT */
/*
 * Sealing: rows to columns. One pass over the rows for each column, since the reader thread does
 * this between two batches: what it costs is CPU taken from draining the rings.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/block.h"
#include "store/dictionary.h"

struct block_builder {
	uint32_t capacity;
	uint64_t *values; /* of one integer column, ordered form */
	struct dictionary dictionary;
};

/* What is being built. */
struct build {
	struct block_builder *builder;
	const struct stream_schema *schema;
	const struct rows *rows;
	uint32_t shortest; /* record: no field that ends before has nulls */
	struct block *block;
	struct column *column; /* the next one to fill */
	uint32_t used;	       /* bytes of the block */
};

static size_t page_round(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) / page * page;
}

static uint32_t align8(uint32_t bytes)
{
	return (bytes + 7) & ~7u;
}

static uint32_t field_bytes(const struct field *field)
{
	return (uint32_t)field->size * field->count;
}

static size_t column_count(const struct stream_schema *schema)
{
	size_t count = 1;

	for (size_t i = 0; i < schema->field_count; i++)
		count += schema->fields[i].derivation == FIELD_STORED;
	return count;
}

/* A column takes at most its values, the slack behind them and two alignments. */
#define COLUMN_SLACK 32u

size_t block_bound(const struct stream_schema *schema, uint32_t rows)
{
	size_t bytes = sizeof(struct block) + COLUMN_SLACK + rows * sizeof(uint16_t);

	bytes += column_count(schema) * sizeof(struct column);
	for (size_t i = 0; i < schema->field_count; i++) {
		if (schema->fields[i].derivation == FIELD_STORED)
			bytes += (size_t)rows * field_bytes(&schema->fields[i]) + COLUMN_SLACK;
	}
	return page_round(bytes);
}

size_t block_builder_bytes(uint32_t capacity)
{
	return sizeof(struct block_builder) + capacity * sizeof(uint64_t) +
	       dictionary_bytes(capacity);
}

struct block_builder *block_builder_new(uint32_t capacity)
{
	CLEANUP(block_builder) struct block_builder *builder = calloc(1, sizeof(*builder));

	if (!builder)
		return NULL;
	builder->capacity = capacity;
	builder->values = calloc(capacity, sizeof(*builder->values));
	if (!builder->values || dictionary_init(&builder->dictionary, capacity) < 0)
		return NULL;
	return TAKE(builder);
}

void block_builder_free(struct block_builder *builder)
{
	if (!builder)
		return;
	dictionary_fini(&builder->dictionary);
	free(builder->values);
	free(builder);
}

/* ---- integers ---- */

/* Loads one integer field of every row, ordered, and finds the smallest and the largest. A loop for
 * each width, so that none of it is decided again for each row. */
#define GATHER(type, flip)                                                                         \
	for (uint32_t i = 0; i < count; i++, at += stride) {                                       \
		type v;                                                                            \
		memcpy(&v, at, sizeof(v));                                                         \
		const uint64_t value = (uint64_t)v ^ (flip);                                       \
		minimum = value < minimum ? value : minimum;                                       \
		maximum = value > maximum ? value : maximum;                                       \
		values[i] = value;                                                                 \
	}

static void gather(const struct rows *rows, const struct field *field, uint64_t *restrict values,
		   struct column *c)
{
	const uint8_t *at = rows->data + field->offset;
	const size_t stride = rows->stride;
	const uint32_t count = rows->count;
	const uint64_t top = 1ULL << 63;
	uint64_t minimum = UINT64_MAX, maximum = 0;

	switch (field->size << 1 | field->is_signed) {
	case 1 << 1:
		GATHER(uint8_t, 0);
		break;
	case 1 << 1 | 1:
		GATHER(int8_t, top);
		break;
	case 2 << 1:
		GATHER(uint16_t, 0);
		break;
	case 2 << 1 | 1:
		GATHER(int16_t, top);
		break;
	case 4 << 1:
		GATHER(uint32_t, 0);
		break;
	case 4 << 1 | 1:
		GATHER(int32_t, top);
		break;
	case 8 << 1:
		GATHER(uint64_t, 0);
		break;
	default:
		GATHER(uint64_t, top);
		break;
	}
	c->base = minimum;
	c->maximum = maximum;
}

/* The same without the rows that have no value: they get the smallest one, so that they cost no
 * width. Without any value the range is empty. */
static void leave_out_nulls(const struct build *build, uint32_t need, uint64_t *values,
			    struct column *c)
{
	const uint16_t *lengths = build->rows->lengths;
	const uint32_t count = build->rows->count;
	uint64_t minimum = UINT64_MAX, maximum = 0;
	bool any = false;

	if (build->shortest >= need)
		return;
	for (uint32_t i = 0; i < count; i++) {
		if (lengths[i] < need)
			continue;
		any = true;
		minimum = values[i] < minimum ? values[i] : minimum;
		maximum = values[i] > maximum ? values[i] : maximum;
	}
	if (!any)
		minimum = 1;
	for (uint32_t i = 0; i < count; i++)
		values[i] = lengths[i] < need ? minimum : values[i];
	c->base = minimum;
	c->maximum = maximum;
}

static uint8_t width_of(uint64_t span)
{
	uint8_t width = 0;

	for (; span; span >>= 8)
		width++;
	return width == 7 ? 8 : width;
}

#define PACK(type)                                                                                 \
	do {                                                                                       \
		type *restrict out_ = (type *)(void *)out;                                         \
		for (uint32_t i = 0; i < count; i++)                                               \
			out_[i] = (type)(values[i] - base);                                        \
	} while (0)

static void pack(const uint64_t *restrict values, uint32_t count, uint64_t base, uint8_t width,
		 uint8_t *restrict out)
{
	switch (width) {
	case 0:
		break;
	case 1:
		PACK(uint8_t);
		break;
	case 2:
		PACK(uint16_t);
		break;
	case 4:
		PACK(uint32_t);
		break;
	case 8:
		PACK(uint64_t);
		break;
	default:
		/* Each write spills zeros over the next row, which is written after it. */
		for (uint32_t i = 0; i < count; i++) {
			uint64_t offset = values[i] - base;

			memcpy(out + (size_t)i * width, &offset, sizeof(offset));
		}
		break;
	}
}

/* Where the next bytes of the block go. */
static uint8_t *reserve(struct build *build, uint32_t bytes, uint32_t *ret_offset)
{
	*ret_offset = build->used;
	build->used = align8(build->used + bytes);
	return (uint8_t *)build->block + *ret_offset;
}

static void emit_frame(struct build *build, struct column *c)
{
	const uint32_t count = build->rows->count;
	uint8_t *out;

	c->encoding = COLUMN_INTEGER;
	c->width = c->maximum > c->base ? width_of(c->maximum - c->base) : 0;
	out = reserve(build, count * c->width + (c->width ? 8 : 0), &c->data);
	pack(build->builder->values, count, c->base, c->width, out);
}

/* ---- dictionaries ---- */

static void emit_codes(struct build *build, struct column *c)
{
	const struct dictionary *dictionary = &build->builder->dictionary;
	const uint32_t count = build->rows->count;
	uint8_t *out;

	c->encoding = COLUMN_DICTIONARY;
	c->entries = dictionary->entries;
	c->width = dictionary_width(dictionary->entries);
	out = reserve(build, count * c->width + (c->width ? 8 : 0), &c->data);
	if (c->width == 1) {
		for (uint32_t i = 0; i < count; i++)
			out[i] = (uint8_t)dictionary->codes[i];
	} else if (c->width == 2) {
		memcpy(out, dictionary->codes, count * sizeof(uint16_t));
	}
}

static bool worth_it(const struct dictionary *dictionary, uint32_t rows, uint32_t value_size,
		     uint32_t otherwise)
{
	return (uint64_t)rows * dictionary_width(dictionary->entries) +
		       (uint64_t)dictionary->entries * value_size <
	       (uint64_t)rows * otherwise;
}

static bool emit_integer_dictionary(struct build *build, const struct field *field,
				    struct column *c)
{
	struct dictionary *dictionary = &build->builder->dictionary;
	const uint64_t *values = build->builder->values;
	const uint32_t count = build->rows->count;
	const uint8_t width = width_of(c->maximum - c->base);
	uint8_t *table;

	if (!dictionary_promises(dictionary, values, count) ||
	    !dictionary_of_integers(dictionary, values, count, width == 2 ? 256 : count / 4) ||
	    !worth_it(dictionary, count, field->size, width))
		return false;
	c->value_size = field->size;
	emit_codes(build, c);
	table = reserve(build, c->entries * c->value_size, &c->table);
	for (uint32_t i = 0; i < c->entries; i++, table += field->size) {
		uint64_t value = field_from_ordered(dictionary->keys[i].a, field->is_signed);

		memcpy(table, &value, field->size);
	}
	return true;
}

static void emit_integer(struct build *build, const struct field *field)
{
	struct column *c = build->column++;

	gather(build->rows, field, build->builder->values, c);
	leave_out_nulls(build, (uint32_t)field->offset + field->size, build->builder->values, c);
	/* Times hardly repeat, and queries want their order. */
	if (field->index != HEADER_TIMESTAMP && c->maximum > c->base &&
	    c->maximum - c->base > UINT8_MAX && emit_integer_dictionary(build, field, c))
		return;
	emit_frame(build, c);
}

static void emit_lengths(struct build *build)
{
	struct column *c = build->column++;

	c->base = build->shortest;
	for (uint32_t i = 0; i < build->rows->count; i++) {
		const uint64_t length = build->rows->lengths[i];

		build->builder->values[i] = length;
		c->maximum = length > c->maximum ? length : c->maximum;
	}
	emit_frame(build, c);
}

/* ---- text, addresses, lists ---- */

static void emit_plain(struct build *build, const struct dictionary_source *source,
		       struct column *c)
{
	uint8_t *out = reserve(build, source->rows * source->size + 8, &c->data);

	c->encoding = COLUMN_BYTES;
	for (uint32_t i = 0; i < source->rows; i++, out += source->size) {
		/* Fresh pages are zero, so what is not copied is. */
		if (source->lengths[i] >= source->need)
			memcpy(out, dictionary_value(source, i),
			       dictionary_value_length(source, i));
	}
}

static void emit_bytes(struct build *build, const struct field *field)
{
	struct dictionary *dictionary = &build->builder->dictionary;
	struct column *c = build->column++;
	const struct dictionary_source source = {
		.data = build->rows->data + field->offset,
		.lengths = build->rows->lengths,
		.stride = build->rows->stride,
		.rows = build->rows->count,
		.size = field_bytes(field),
		.need = field->offset + field_bytes(field),
		.text = field->kind == FIELD_STRING,
	};
	uint8_t *table;

	c->value_size = (uint16_t)source.size;
	if (!dictionary_of_bytes(dictionary, &source) ||
	    !worth_it(dictionary, source.rows, source.size, source.size)) {
		emit_plain(build, &source, c);
		return;
	}
	emit_codes(build, c);
	table = reserve(build, c->entries * c->value_size, &c->table);
	for (uint32_t i = 0; i < c->entries; i++, table += c->value_size) {
		uint32_t row = dictionary->first[i];

		memcpy(table, dictionary_value(&source, row),
		       dictionary_value_length(&source, row));
	}
}

/* ---- the whole ---- */

static uint32_t shortest_record(const struct rows *rows)
{
	uint16_t shortest = UINT16_MAX;

	for (uint32_t i = 0; i < rows->count; i++)
		shortest = rows->lengths[i] < shortest ? rows->lengths[i] : shortest;
	return shortest;
}

struct block *block_build(struct block_builder *builder, const struct stream_schema *schema,
			  const struct rows *rows, const struct block_place *place,
			  size_t *ret_mapped)
{
	const size_t bound = block_bound(schema, rows->count);
	const size_t columns = column_count(schema);
	struct build build = { .builder = builder, .schema = schema, .rows = rows };
	size_t mapped;

	if (!rows->count || rows->count > builder->capacity || columns > UINT16_MAX)
		return NULL;
	/* Untouched pages cost nothing, so the bound is mapped, and the rest given back. */
	build.block = mmap(NULL, bound, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (build.block == MAP_FAILED)
		return NULL;
	*build.block = (struct block){
		.magic = BLOCK_MAGIC,
		.rows = rows->count,
		.columns = (uint16_t)columns,
		.first_index = place->first_index,
		.oldest = place->oldest,
		.newest = place->newest,
		.disorder = place->disorder,
	};
	build.column = build.block->column;
	build.used = align8((uint32_t)(sizeof(struct block) + columns * sizeof(struct column)));
	build.shortest = shortest_record(rows);
	for (size_t i = 0; i < schema->field_count; i++) {
		const struct field *field = &schema->fields[i];

		if (field->derivation != FIELD_STORED)
			continue;
		if (field_is_integer_like(field) && field->count == 1)
			emit_integer(&build, field);
		else
			emit_bytes(&build, field);
	}
	emit_lengths(&build);

	build.block->bytes = build.used;
	mapped = page_round(build.used);
	if (mapped < bound)
		munmap((uint8_t *)build.block + mapped, bound - mapped);
	*ret_mapped = mapped;
	return build.block;
}
