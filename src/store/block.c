/* SPDX-License-Identifier: MIT */
#include "store/block.h"

#include <string.h>
#include <sys/mman.h>

void block_free(struct block *block, size_t mapped)
{
	if (block)
		munmap(block, mapped);
}

int block_column_of(const struct stream_schema *schema, const struct field *field)
{
	int column = 0;

	if (field->derivation != FIELD_STORED)
		return -1;
	for (size_t i = 0; i < field->index; i++)
		column += schema->fields[i].derivation == FIELD_STORED;
	return column;
}

static void write_integer(const struct field *field, uint64_t ordered, uint8_t *bytes)
{
	uint64_t value = field_from_ordered(ordered, field->is_signed);

	/* All supported machines are little-endian: the low bytes come first. */
	memcpy(bytes, &value, field->size);
}

static const uint8_t *row_value(const struct block *block, const struct column *column,
				uint32_t row)
{
	const uint8_t *data = (const uint8_t *)block + column->data;
	const uint8_t *table = (const uint8_t *)block + column->table;
	uint16_t code = 0;

	if (column->encoding == COLUMN_BYTES)
		return data + (size_t)row * column->value_size;
	if (column->width == 1)
		code = data[row];
	else if (column->width == 2)
		memcpy(&code, data + (size_t)row * 2, sizeof(code));
	return table + (size_t)code * column->value_size;
}

uint32_t block_row(const struct block *block, const struct stream_schema *schema, uint32_t row,
		   uint8_t *record)
{
	const struct column *column = block->column;
	uint32_t length = (uint32_t)block_integer(block, &column[block->columns - 1], row);

	memset(record, 0, schema->record_size);
	for (size_t i = 0; i < schema->field_count; i++) {
		const struct field *field = &schema->fields[i];
		const struct column *c;

		if (field->derivation != FIELD_STORED)
			continue;
		c = column++;
		if ((uint32_t)field->offset + (uint32_t)field->size * field->count > length)
			continue;
		if (c->encoding == COLUMN_INTEGER)
			write_integer(field, block_integer(block, c, row), record + field->offset);
		else
			memcpy(record + field->offset, row_value(block, c, row), c->value_size);
	}
	return length;
}
