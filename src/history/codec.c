/* SPDX-License-Identifier: MIT */
#include "history/codec.h"

#include <errno.h>
#include <zlib.h>

/* Behind each column's data 8 bytes can be read. */
#define SLACK 8u

static uint32_t align8(uint32_t bytes)
{
	return (bytes + 7) & ~7u;
}

static size_t descriptors_size(size_t columns)
{
	return sizeof(struct block) + columns * sizeof(struct column);
}

static uint32_t table_size(const struct column *column)
{
	return column->encoding == COLUMN_DICTIONARY ? column->entries * column->value_size : 0;
}

/* Bytes of the rows' values, without what stands behind them. */
static uint32_t data_size(const struct column *column, uint32_t rows)
{
	return rows * (column->encoding == COLUMN_BYTES ? column->value_size : column->width);
}

/* With what stands behind them. */
static uint32_t padded_size(const struct column *column, uint32_t rows)
{
	const uint32_t size = data_size(column, rows);

	return size ? align8(size + SLACK) : 0;
}

/* ---- to disk ---- */

/* Appends zeros up to a multiple of 8. */
static void pad(struct buffer *out)
{
	static const char zeros[8];

	buffer_append(out, zeros, (8 - out->length % 8) % 8);
}

static void encode_table(const struct block *block, const struct column *from, struct column *to,
			 struct buffer *head)
{
	to->table = 0;
	if (!table_size(from))
		return;
	to->table = (uint32_t)head->length;
	buffer_append(head, (const uint8_t *)block + from->table, table_size(from));
	pad(head);
}

static void encode_data(const struct block *block, const struct column *from, struct column *to,
			struct buffer *body)
{
	static const char zeros[SLACK];
	const uint32_t size = data_size(from, block->rows);

	to->data = 0;
	if (!size)
		return;
	to->data = (uint32_t)body->length;
	buffer_append(body, (const uint8_t *)block + from->data, size);
	buffer_append(body, zeros, SLACK);
	pad(body);
}

static void count_codes(const uint8_t *data, uint32_t width, uint32_t rows, uint16_t *counts)
{
	uint16_t code;

	if (!width) {
		counts[0] = (uint16_t)rows;
	} else if (width == 1) {
		for (uint32_t i = 0; i < rows; i++)
			counts[data[i]]++;
	} else {
		for (uint32_t i = 0; i < rows; i++) {
			memcpy(&code, data + (size_t)i * sizeof(code), sizeof(code));
			counts[code]++;
		}
	}
}

static void encode_counts(const struct block *block, struct buffer *head)
{
	for (size_t i = 0; i < HEADER_FIELDS; i++) {
		const struct column *column = &block->column[i];
		const size_t size = block_count_entries(block, i) * sizeof(uint16_t);
		uint16_t *counts;

		if (!size)
			continue;
		counts = (uint16_t *)(void *)buffer_reserve(head, size);
		if (!counts)
			return;
		memset(counts, 0, size);
		count_codes((const uint8_t *)block + column->data, column->width, block->rows,
			    counts);
		head->length += size;
	}
	pad(head);
}

int codec_encode(const struct block *block, struct buffer *head, struct buffer *body)
{
	const size_t descriptors = descriptors_size(block->columns);
	struct block *copy;

	buffer_clear(head);
	buffer_clear(body);
	/* Buffers move when they grow: places, not pointers, are kept. */
	buffer_append(head, block, descriptors);
	for (size_t i = 0; i < block->columns; i++) {
		struct column column = block->column[i];

		encode_table(block, &block->column[i], &column, head);
		encode_data(block, &block->column[i], &column, body);
		if (!head->failed)
			memcpy(head->data + descriptors_size(i), &column, sizeof(column));
	}
	encode_counts(block, head);
	if (head->failed || body->failed)
		return -ENOMEM;
	copy = (struct block *)(void *)head->data;
	copy->bytes = (uint32_t)head->length;
	return 0;
}

static uint32_t sum(const struct codec_place *place, uint64_t part, const void *bytes, size_t size)
{
	uLong value = crc32_z(0, (const Bytef *)place, sizeof(*place));

	value = crc32_z(value, (const Bytef *)&part, sizeof(part));
	return (uint32_t)(size ? crc32_z(value, bytes, size) : value);
}

void codec_sign(const struct codec_place *place, struct codec_parts *parts)
{
	parts->head_sum = sum(place, 0, parts->head, parts->head_size);
	parts->body_sum = sum(place, 1, parts->body, parts->body_size);
}

/* ---- from disk: what readers of blocks take for granted ---- */

static bool is_sound_integer(const struct column *column)
{
	const uint64_t span = column->width < 8 ? (1ULL << (8 * column->width)) - 1 : UINT64_MAX;

	if (column->width > 8 || column->width == 7)
		return false;
	/* Every row null: an empty range, and no bytes. */
	if (column->base > column->maximum)
		return !column->width;
	return column->maximum - column->base <= span;
}

static bool is_sound_dictionary(const struct column *column, uint32_t value_size, uint32_t rows)
{
	if (column->value_size != value_size || column->entries > rows)
		return false;
	switch (column->width) {
	case 0:
		return column->entries <= 1;
	case 1:
		return column->entries > 1 && column->entries <= 256;
	case 2:
		return column->entries > 256;
	default:
		return false;
	}
}

/* `field`: NULL for the length of records. */
static bool is_sound_column(const struct column *column, const struct field *field, uint32_t rows)
{
	const bool integer = !field || (field_is_integer_like(field) && field->count == 1);

	switch (column->encoding) {
	case COLUMN_INTEGER:
		return integer && is_sound_integer(column);
	case COLUMN_DICTIONARY:
		return field && field->index != HEADER_TIMESTAMP &&
		       is_sound_dictionary(column, (uint32_t)field->size * field->count, rows);
	case COLUMN_BYTES:
		return !integer && column->value_size == field->size * field->count;
	default:
		return false;
	}
}

static bool lies_within(uint32_t place, uint32_t size, size_t begin, size_t end)
{
	return !size || (place % 8 == 0 && place >= begin && place <= end && size <= end - place);
}

/* The field of each stored column; NULL for the last. */
static size_t list_fields(const struct stream_schema *schema, const struct field **fields)
{
	size_t count = 0;

	for (size_t i = 0; i < schema->field_count; i++) {
		if (schema->fields[i].derivation == FIELD_STORED)
			fields[count++] = &schema->fields[i];
	}
	fields[count++] = NULL;
	return count;
}

static bool is_sound_header(const struct block *head, const struct codec_place *place,
			    const struct codec_parts *parts, size_t columns)
{
	return head->magic == BLOCK_MAGIC && head->bytes == parts->head_size &&
	       head->columns == columns && head->rows && head->rows <= BLOCK_MAX_ROWS &&
	       head->rows == place->rows && head->first_index == place->first_index &&
	       head->oldest == place->oldest && head->newest == place->newest &&
	       head->disorder == place->disorder && head->oldest <= head->newest;
}

/* The length that no record exceeds, and that none is below. */
static bool is_sound_length(const struct column *column, const struct stream_schema *schema)
{
	return column->base >= schema->minimum_size && column->base <= column->maximum &&
	       column->maximum <= schema->record_size;
}

/* A dictionary without entries says that no record is long enough. */
static bool is_sound_absence(const struct block *head, const struct column *column,
			     const struct field *field)
{
	const uint32_t need = (uint32_t)field->offset + (uint32_t)field->size * field->count;

	return column->entries || column->encoding != COLUMN_DICTIONARY ||
	       head->column[head->columns - 1].maximum < need;
}

static bool is_sound_head(const struct stream_schema *schema, const struct codec_place *place,
			  const struct codec_parts *parts)
{
	const struct block *head = parts->head;
	const struct field *fields[SCHEMA_MAX_FIELDS + 1];
	const size_t columns = list_fields(schema, fields);
	size_t counts = 0;

	if (parts->head_size < descriptors_size(columns) || parts->head_size % 8 ||
	    !is_sound_header(head, place, parts, columns) ||
	    !is_sound_length(&head->column[columns - 1], schema) ||
	    head->column[HEADER_TIMESTAMP].base != head->oldest ||
	    head->column[HEADER_TIMESTAMP].maximum != head->newest)
		return false;
	for (size_t i = 0; i < columns; i++) {
		const struct column *column = &head->column[i];

		if (!is_sound_column(column, fields[i], head->rows) ||
		    (fields[i] && !is_sound_absence(head, column, fields[i])) ||
		    !lies_within(column->table, table_size(column), descriptors_size(columns),
				 parts->head_size) ||
		    !lies_within(column->data, padded_size(column, head->rows), 0,
				 parts->body_size))
			return false;
		if (i < HEADER_FIELDS)
			counts += block_count_entries(head, i);
	}
	/* The counts stand last. */
	return align8((uint32_t)(counts * sizeof(uint16_t))) <=
	       parts->head_size - descriptors_size(columns);
}

/* Each code names an entry. */
static bool are_sound_codes(const struct column *column, const uint8_t *data, uint32_t rows)
{
	uint32_t most = 0;
	uint16_t code;

	if (column->width == 1) {
		for (uint32_t i = 0; i < rows; i++)
			most = data[i] > most ? data[i] : most;
	} else if (column->width == 2) {
		for (uint32_t i = 0; i < rows; i++) {
			memcpy(&code, data + (size_t)i * sizeof(code), sizeof(code));
			most = code > most ? code : most;
		}
	}
	return !column->width || most < column->entries;
}

/* Values reach no further than the column says: lengths of records are used as such. */
static bool are_sound_values(const struct block *block, const struct column *column)
{
	if (!column->width)
		return true;
	for (uint32_t i = 0; i < block->rows; i++) {
		const uint64_t value = block_integer(block, column, i);

		if (value < column->base || value > column->maximum)
			return false;
	}
	return true;
}

static bool is_sound_body(const struct block *block)
{
	for (size_t i = 0; i < block->columns; i++) {
		const struct column *column = &block->column[i];

		if (column->encoding == COLUMN_DICTIONARY &&
		    !are_sound_codes(column, (const uint8_t *)block + column->data, block->rows))
			return false;
	}
	return are_sound_values(block, &block->column[HEADER_TIMESTAMP]) &&
	       are_sound_values(block, &block->column[block->columns - 1]);
}

int codec_decode_head(const struct stream_schema *schema, const struct codec_place *place,
		      const struct codec_parts *parts, struct block **ret_head)
{
	FREE struct block *head = NULL;

	if (parts->head_size < sizeof(struct block) || parts->head_size > UINT32_MAX / 4 ||
	    parts->body_size > UINT32_MAX / 4 ||
	    sum(place, 0, parts->head, parts->head_size) != parts->head_sum)
		return -EBADMSG;
	/* SQLite's memory need not be aligned. */
	head = malloc(parts->head_size);
	if (!head)
		return -ENOMEM;
	memcpy(head, parts->head, parts->head_size);
	if (!is_sound_head(schema, place,
			   &(struct codec_parts){ .head = head,
						  .head_size = parts->head_size,
						  .body_size = parts->body_size }))
		return -EBADMSG;
	*ret_head = TAKE(head);
	return 0;
}

int codec_decode(const struct stream_schema *schema, const struct codec_place *place,
		 const struct codec_parts *parts, struct block **ret_block)
{
	FREE struct block *head = NULL;
	struct block *block;
	int r = codec_decode_head(schema, place, parts, &head);

	if (r < 0)
		return r;
	if (sum(place, 1, parts->body, parts->body_size) != parts->body_sum)
		return -EBADMSG;
	block = realloc(head, parts->head_size + parts->body_size + SLACK);
	if (!block)
		return -ENOMEM;
	head = block;
	if (parts->body_size)
		memcpy((uint8_t *)block + parts->head_size, parts->body, parts->body_size);
	memset((uint8_t *)block + parts->head_size + parts->body_size, 0, SLACK);
	block->bytes = align8((uint32_t)(parts->head_size + parts->body_size + SLACK));
	for (size_t i = 0; i < block->columns; i++)
		block->column[i].data += (uint32_t)parts->head_size;
	if (!is_sound_body(block))
		return -EBADMSG;
	*ret_block = TAKE(head);
	return 0;
}

const uint16_t *codec_counts(const struct block *head)
{
	size_t counts = 0;

	for (size_t i = 0; i < HEADER_FIELDS; i++)
		counts += block_count_entries(head, i);
	/* Last in the head, and padded to 8 bytes. */
	return (const uint16_t *)(const void *)((const uint8_t *)head + head->bytes) -
	       (counts + 3) / 4 * 4;
}

size_t codec_bytes(const struct block *block)
{
	return block->bytes;
}
