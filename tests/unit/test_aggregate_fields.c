/* SPDX-License-Identifier: MIT */
/* Groups over streams that hold one thing in different ways, over pieces of segments that are in no
 * store, and over several boots. */
#include "aggregate_model.h"
#include "store/segment.h"

/* ---- two streams ---- */

/* A word that is a number with names here, and one that is null when it is zero. */
struct odd_event {
	struct fixture_header header;
	uint16_t protocol;
	uint16_t port;
	uint8_t source_ip[16];
	int32_t size;
	char interface[8];
};

/* The same names, other types: a narrower enum, text, a signed number, a list. */
struct other_event {
	struct fixture_header header;
	uint8_t protocol;
	char address[23];
	int64_t size;
	uint16_t interface[4];
};

static const struct enumerator wide_names[] = { { "TCP", 6 }, { "UDP", 17 } };
static const struct enumerator narrow_names[] = { { "ICMP", 1 }, { "TCP", 6 } };

enum {
	ODD_PROTOCOL = HEADER_FIELDS,
	ODD_PROTOCOL_NUMBER, /* derived */
	ODD_PORT,
	ODD_IP,
	ODD_ADDRESS, /* derived */
	ODD_SIZE,
	ODD_INTERFACE,
	ODD_FIELDS,
};

static const struct field odd_fields[ODD_FIELDS] = {
	FIXTURE_HEADER(odd_event),
	[ODD_PROTOCOL] = { FIXTURE_PLAIN(ODD_PROTOCOL, "protocol", FIELD_ENUM),
			   FIXTURE_AT(odd_event, protocol), .count = 1,
			   .enumeration = { wide_names, 2, "" } },
	[ODD_PROTOCOL_NUMBER] = { FIXTURE_PLAIN(ODD_PROTOCOL_NUMBER, "protocol_number",
						FIELD_INTEGER),
				  FIXTURE_AT(odd_event, protocol), .count = 1, .as_number = true,
				  .derivation = FIELD_NUMBER_OF, .source = ODD_PROTOCOL },
	[ODD_PORT] = { FIXTURE_PLAIN(ODD_PORT, "port", FIELD_INTEGER), FIXTURE_AT(odd_event, port),
		       .count = 1, .zero_is_null = true },
	[ODD_IP] = { FIXTURE_PLAIN(ODD_IP, "source_ip", FIELD_IP), FIXTURE_AT(odd_event, source_ip),
		     .count = 1, .zero_is_null = true },
	[ODD_ADDRESS] = { FIXTURE_PLAIN(ODD_ADDRESS, "address", FIELD_STRING),
			  FIXTURE_AT(odd_event, source_ip), .count = 1, .zero_is_null = true,
			  .derivation = FIELD_ENDPOINT_OF, .source = ODD_IP, .port = ODD_PORT,
			  .path = FIELD_NONE },
	[ODD_SIZE] = { FIXTURE_PLAIN(ODD_SIZE, "size", FIELD_INTEGER), FIXTURE_AT(odd_event, size),
		       .count = 1, .is_signed = true },
	[ODD_INTERFACE] = { FIXTURE_PLAIN(ODD_INTERFACE, "interface", FIELD_STRING),
			    FIXTURE_AT(odd_event, interface), .count = 1, .zero_is_null = true },
};
static const struct stream_schema odd_schema = {
	.name = "odd",
	.description = "",
	.fields = odd_fields,
	.field_count = ODD_FIELDS,
	.record_size = sizeof(struct odd_event),
	.minimum_size = sizeof(struct fixture_header),
};

static const struct field other_fields[] = {
	FIXTURE_HEADER(other_event),
	{ FIXTURE_PLAIN(6, "protocol", FIELD_ENUM), FIXTURE_AT(other_event, protocol), .count = 1,
	  .enumeration = { narrow_names, 2, "" } },
	{ FIXTURE_PLAIN(7, "address", FIELD_STRING), FIXTURE_AT(other_event, address), .count = 1 },
	{ FIXTURE_PLAIN(8, "size", FIELD_INTEGER), FIXTURE_AT(other_event, size), .count = 1,
	  .is_signed = true },
	{ FIXTURE_PLAIN(9, "interface", FIELD_INTEGER),
	  .offset = offsetof(struct other_event, interface), .size = 2, .count = 4 },
};
static const struct stream_schema other_schema = {
	.name = "other",
	.description = "",
	.fields = other_fields,
	.field_count = ARRAY_SIZE(other_fields),
	.record_size = sizeof(struct other_event),
	.minimum_size = sizeof(struct fixture_header),
};

enum { ROWS = 4999 };

/* Records of one stream, in columns and as rows. */
struct made {
	struct rows rows;
	struct block *block;
	size_t mapped;
};

static void made_fini(struct made *batch)
{
	free(batch->rows.data);
	free(batch->rows.lengths);
	block_free(batch->block, batch->mapped);
}

#define MADE __attribute__((cleanup(made_fini))) struct made

static uint32_t random_odd(struct fixture_random *random, uint64_t timestamp, void *record)
{
	struct odd_event *event = record;

	fixture_header(random, timestamp, 20, &event->header);
	event->protocol = fixture_below(random, 2) ? 6 : (uint16_t)fixture_below(random, 20);
	event->port = (uint16_t)fixture_below(random, 4);
	if (fixture_below(random, 3)) {
		event->source_ip[0] = 0x20;
		event->source_ip[15] = (uint8_t)fixture_below(random, 4);
	}
	event->size = (int32_t)fixture_below(random, 1000) - 500;
	if (fixture_below(random, 2))
		strcpy(event->interface, fixture_below(random, 2) ? "eth0" : "\xff\xfe");
	return fixture_below(random, 5) ? sizeof(*event) : offsetof(struct odd_event, source_ip);
}

static uint32_t random_other(struct fixture_random *random, uint64_t timestamp, void *record)
{
	struct other_event *event = record;

	fixture_header(random, timestamp, 20, &event->header);
	event->protocol = fixture_below(random, 2) ? 6 : (uint8_t)fixture_below(random, 20);
	if (fixture_below(random, 2))
		strcpy(event->address, fixture_below(random, 2) ? "/run/a" : "plain");
	event->size = (int64_t)fixture_next(random);
	event->interface[1] = (uint16_t)fixture_below(random, 3);
	return sizeof(*event);
}

static void fill(struct made *batch, const struct stream_schema *schema, uint64_t seed,
		 uint32_t (*make)(struct fixture_random *, uint64_t, void *))
{
	const struct block_place place = { .oldest = 1000, .newest = 1000 + ROWS - 1 };
	CLEANUP(block_builder) struct block_builder *builder = block_builder_new(ROWS);
	struct fixture_random random = { seed };

	batch->rows = (struct rows){
		.data = calloc(ROWS, schema->record_size),
		.lengths = calloc(ROWS, sizeof(uint16_t)),
		.stride = schema->record_size,
		.count = ROWS,
		.capacity = ROWS,
	};
	for (uint32_t i = 0; i < ROWS; i++)
		batch->rows.lengths[i] = (uint16_t)make(
			&random, 1000 + i, batch->rows.data + (size_t)i * schema->record_size);
	batch->block = block_build(builder, schema, &batch->rows, &place, &batch->mapped);
	assert_non_null(batch->block);
}

static struct segment segment_of(const struct made *batch, const struct stream_schema *schema,
				 bool sealed)
{
	struct segment segment = {
		.schema = schema, .count = ROWS, .oldest = 1000, .newest = 1000 + ROWS - 1
	};

	if (sealed)
		segment.block = batch->block;
	else
		segment.rows = batch->rows;
	return segment;
}

static const struct filter no_filter;

/* Rows [from, to) of both streams, of which some lie outside [since, until]. */
static void check(const struct aggregate_options *options, const struct made *odd,
		  const struct made *other, bool sealed, uint32_t from, uint32_t to)
{
	__attribute__((cleanup(model_fini))) struct model model = { .options = options };
	CLEANUP(aggregate) struct aggregate *aggregate = aggregate_new(options);
	const struct made *batches[] = { odd, other };
	const struct stream_schema *both[] = { &odd_schema, &other_schema };
	struct aggregate_result result;

	model.rows = calloc(2 * ROWS, sizeof(*model.rows));
	for (size_t s = 0; s < 2; s++) {
		const struct segment segment = segment_of(batches[s], both[s], sealed);
		const struct aggregate_piece piece = {
			.segment = &segment,
			.from = from,
			.to = to,
			.filter = &no_filter,
			.since = 1017,
			.until = 5800,
		};

		aggregate_add(aggregate, &piece);
		for (uint32_t i = from; i < to; i++) {
			if (1000 + i >= piece.since && 1000 + i <= piece.until)
				model_add(&model, both[s],
					  batches[s]->rows.data + (size_t)i * both[s]->record_size,
					  batches[s]->rows.lengths[i], 1000 + i);
		}
	}
	model_settle(&model);
	assert_false(aggregate_again(aggregate));
	assert_int_equal(aggregate_result(aggregate, &result), 0);
	model_check(&model, aggregate, &result);
}

static void test_one_name_of_two_types(void **state)
{
	static const char *const names[] = { "type", "protocol",  "protocol_number",
					     "port", "source_ip", "address",
					     "size", "interface", "command" };
	MADE odd = { 0 };
	MADE other = { 0 };

	(void)state;
	fill(&odd, &odd_schema, 1, random_odd);
	fill(&other, &other_schema, 2, random_other);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		for (size_t j = 0; j <= ARRAY_SIZE(names); j++) {
			const struct aggregate_options options = {
				.by = { names[i], j < ARRAY_SIZE(names) ? names[j] : NULL },
				.by_count = j < ARRAY_SIZE(names) ? 2 : 1,
				.of = { "size", "port", "protocol_number" },
				.of_count = j % 2 ? 3 : 0,
				.top = 50,
				.buckets = 5,
				.start = 1100,
				.width = 1000,
			};

			check(&options, &odd, &other, j % 2, j % 3 ? 101 : 0,
			      ROWS - (uint32_t)(j % 5));
		}
	}
}

/* One protocol has two numbers of bytes and one name: it is one group, and so is no value. */
static void test_streams_meet(void **state)
{
	const struct aggregate_options options = {
		.by = { "protocol", "address" },
		.by_count = 2,
		.top = 1000,
	};
	CLEANUP(aggregate) struct aggregate *aggregate = aggregate_new(&options);
	struct odd_event odd = { .header.timestamp = 1, .protocol = 6, .port = 443 };
	struct other_event other = { .header.timestamp = 1, .protocol = 6 };
	uint16_t lengths[] = { sizeof(odd), sizeof(other) };
	struct segment segments[] = {
		{ .schema = &odd_schema, .count = 1, .oldest = 1, .newest = 1 },
		{ .schema = &other_schema, .count = 1, .oldest = 1, .newest = 1 },
	};
	struct aggregate_result result;

	(void)state;
	segments[0].rows = (struct rows){ (uint8_t *)&odd, &lengths[0], sizeof(odd), 1, 1 };
	segments[1].rows = (struct rows){ (uint8_t *)&other, &lengths[1], sizeof(other), 1, 1 };
	for (size_t i = 0; i < 4; i++) {
		/* Then with an address, but without the port that had been there before. */
		odd.port = i < 2 ? 443 : 0;
		strcpy(other.address, i < 2 ? "" : "2000::");
		odd.source_ip[0] = i < 2 ? 0 : 0x20;
		aggregate_add(aggregate, &(struct aggregate_piece){ .segment = &segments[i % 2],
								    .to = 1,
								    .filter = &no_filter,
								    .until = 9 });
	}
	assert_int_equal(aggregate_result(aggregate, &result), 0);
	assert_int_equal(result.total.count, 4);
	/* Null, "", the address, and the text that only looks like it. */
	assert_int_equal(result.group_count, 4);
}

/* Buckets are of wall time, whatever boot an event is of; the names of kernel addresses are not. */
static void test_boots(void **state)
{
	const struct aggregate_options options = {
		.by = { "command" },
		.by_count = 1,
		.top = 1,
		.buckets = 2,
		.start = 100000,
		.width = 100000,
		.encoding = { .boot_to_real = 200000 - 1000 },
	};
	CLEANUP(aggregate) struct aggregate *aggregate = aggregate_new(&options);
	struct aggregate_result result;
	struct segment segment;
	MADE odd = { 0 };

	(void)state;
	fill(&odd, &odd_schema, 3, random_odd);
	segment = segment_of(&odd, &odd_schema, true);
	for (int boot = 0; boot < 2; boot++)
		aggregate_add(aggregate, &(struct aggregate_piece){
						 .segment = &segment,
						 .to = ROWS,
						 .filter = &no_filter,
						 .until = UINT64_MAX,
						 .to_real = boot ? 150000 : 200000 - 1000,
						 .other_boot = boot,
					 });
	assert_int_equal(aggregate_result(aggregate, &result), 0);
	assert_int_equal(result.total.counts[0], ROWS);
	assert_int_equal(result.total.counts[1], ROWS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_name_of_two_types),
		cmocka_unit_test(test_streams_meet),
		cmocka_unit_test(test_boots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
