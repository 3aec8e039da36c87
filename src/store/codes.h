/* SPDX-License-Identifier: MIT */
/*
 * Values of rows as small numbers, for grouping: in each segment the values of a field get local
 * codes, straight from a sealed column where that is narrow or a dictionary, found by a hash where
 * not. Codes of several fields are folded into codes of their combinations. What a code stands for
 * is looked up once a code, not once a row. Private to this folder; one thread.
 */
#ifndef STORE_CODES_H
#define STORE_CODES_H

#include "store/dictionary.h"
#include "store/keys.h"
#include "store/segment.h"

/* Codes of a segment: of its rows, and null. */
#define CODES_MAX (BLOCK_MAX_ROWS + 1)

/* Some rows of a segment, in order. */
struct selection {
	const struct segment *segment;
	uint32_t rows;			    /* of the segment that count */
	uint32_t count;			    /* selected */
	uint16_t row[BLOCK_MAX_ROWS];	    /* unless all are */
	uint64_t bits[BLOCK_MAX_ROWS / 64]; /* scratch: rows that pass, rows that have a value */
};

static inline bool selection_is_all(const struct selection *selection)
{
	return selection->count == selection->rows;
}

static inline uint32_t selection_row(const struct selection *selection, uint32_t i)
{
	return selection_is_all(selection) ? i : selection->row[i];
}

static inline bool bit_is_set(const uint64_t *bits, uint32_t row)
{
	return bits[row / 64] >> row % 64 & 1;
}

/* Memory that is used anew for each segment. */
struct codes_scratch {
	struct dictionary dictionary;
	uint64_t *values; /* BLOCK_MAX_ROWS */
	uint16_t *table;  /* for folding */
};

int codes_scratch_init(struct codes_scratch *scratch); /* 0 or -ENOMEM */
void codes_scratch_fini(struct codes_scratch *scratch);

/* Where one value of an event comes from. */
struct key_source {
	enum { SOURCE_NOTHING, SOURCE_TYPE, SOURCE_FIELD } kind;
	const struct field *field;  /* as it is shown; no endpoint */
	const struct field *stored; /* whose bytes it shows */
	uint32_t column;	    /* of those, in a block */
	uint32_t number;	    /* tells sources apart, from 1 on */
};

struct key_source key_source_of(const struct stream_schema *schema, const struct field *field);

/* The codes of one source in one segment. */
struct codes {
	uint16_t *code; /* one a selected row; not written when `count` is 1 */
	uint32_t count; /* codes are below it; not all of them need be there */
	uint32_t null;	/* the code of null; KEYS_NONE: none */
	enum {
		CODES_TYPE,
		CODES_TABLE,  /* entries of the column's dictionary */
		CODES_OFFSET, /* from the column's smallest value */
		CODES_ROW,    /* `row` has each value */
	} kind;
	uint16_t *row;
	uint32_t *value; /* what was looked up: numbers of values, by code */
};

int codes_init(struct codes *codes); /* 0 or -ENOMEM */
void codes_fini(struct codes *codes);

void codes_find(struct codes *codes, const struct key_source *source, struct selection *selection,
		struct codes_scratch *scratch);
/* The number of the value that a code stands for, or KEYS_NONE. */
uint32_t codes_value(struct codes *codes, uint32_t code, const struct key_source *source,
		     const struct selection *selection, const struct encoding *encoding,
		     struct keys *keys);

/* Combinations of codes, numbered in the order they come. */
struct folded {
	uint16_t *code;	 /* one a selected row */
	uint16_t *first; /* by code: which selected row had it first */
	uint32_t count;
};

int folded_init(struct folded *folded); /* 0 or -ENOMEM */
void folded_fini(struct folded *folded);

/* `a` may be the codes of `folded` itself. Codes of `a` are below `a_count`, those of `b` below
 * `b_count`. */
void codes_fold(struct folded *folded, const uint16_t *a, uint32_t a_count, const uint16_t *b,
		uint32_t b_count, uint32_t rows, struct codes_scratch *scratch);

/* The values of an integer field, ordered form, of the selected rows to scratch->values. Returns
 * whether some may be null; then selection->bits tells which rows have one (zero_is_null is for the
 * caller). */
bool codes_integers(const struct key_source *source, struct selection *selection,
		    struct codes_scratch *scratch);

#endif
