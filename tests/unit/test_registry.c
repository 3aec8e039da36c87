/* SPDX-License-Identifier: MIT */
/* What the loader says of programs and their objects, and how the server shows it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline_fixture.h"

/* ---- objects that are loaded again ---- */

static void test_another_layout_begins_another_stream(void **state)
{
	struct program_view program;
	struct stream_view stream;
	struct ledger old, new;

	(void)state;
	load_beat();
	produce_beats(0, 13);
	beat_counts.produced += 2;
	beat_counts.lost += 2;
	tell_schema(BEAT, &beat_wide_schema); /* ends the reading of the old one */
	assert_int_equal(pipeline_stream_count(pipeline), 2);
	beat_counts = (struct kernel_counts){ 0 };
	give_ring(BEAT, "beat", &beat_ring, BEAT_WIDE_SIZE);
	give_ledger(BEAT, "beat", &beat_counts);
	for (uint64_t i = 0; i < 7; i++)
		produce(&beat_ring, &beat_counts, i, BEAT_WIDE_SIZE);
	pipeline_round(pipeline);

	old = settled(0);
	new = settled(1);
	assert_int_equal(old.produced, 15);
	assert_int_equal(old.stored, 13);
	assert_int_equal(new.produced, 7);
	assert_int_equal(new.stored, 7);
	assert_int_equal(new.lost, 0);
	assert_int_equal(accounts[0].stored, 20);

	assert_int_equal(pipeline_stream_view(pipeline, 0, &stream), 0);
	assert_true(stream.superseded);
	assert_false(stream.active);
	assert_int_equal(pipeline_stream_view(pipeline, 1, &stream), 0);
	assert_false(stream.superseded);
	assert_true(stream.active);
	assert_ptr_equal(stream.schema, store_stream_schema(store, 1));
	assert_int_equal(pipeline_program_view(pipeline, BEAT, &program), 0);
	assert_int_equal(program.stream_count, 2);
	assert_int_equal(program.streams[0], 1);
	assert_int_equal(program.streams[1], 0);
	assert_ptr_equal(program.schema, &beat_wide_schema);

	/* And back: the first stream goes on. */
	pipeline_unload(pipeline, BEAT);
	beat_counts = (struct kernel_counts){ 0 };
	load_beat();
	produce_beats(0, 1);
	pipeline_round(pipeline);
	assert_int_equal(pipeline_stream_count(pipeline), 2);
	assert_int_equal(settled(0).stored, 14);
	assert_int_equal(settled(1).stored, 7);
	assert_int_equal(accounts[0].past_produced + beat_counts.produced, 23);
}

static void test_a_type_belongs_to_one_program(void **state)
{
	char error[200] = "";
	struct stream_view view;

	(void)state;
	load_beat();
	tell_program(9, "beat");
	assert_int_equal(pipeline_register_schema(pipeline, 9, &beat_schema, error, sizeof(error)),
			 -EEXIST);
	assert_non_null(strstr(error, "\"beat\""));
	/* Once the other one is gone the file may come back under another number. */
	pipeline_unload(pipeline, BEAT);
	assert_int_equal(pipeline_register_schema(pipeline, 9, &beat_schema, error, sizeof(error)),
			 0);
	assert_int_equal(pipeline_stream_view(pipeline, 0, &view), 0);
	assert_int_equal(view.program, 9);
	assert_int_equal(pipeline_find_program(pipeline, "beat"), 9);
}

static void test_several_streams_of_a_program(void **state)
{
	struct program_view view;

	(void)state;
	tell_schema(BOTH, &both_schema);
	give_ring(BOTH, "both_more", &beat_ring, BEAT_WIDE_SIZE);
	give_ledger(BOTH, "both_more", &beat_counts);
	produce(&beat_ring, &beat_counts, 1, BEAT_WIDE_SIZE);
	pipeline_round(pipeline);
	assert_int_equal(settled(0).stored, 0);
	assert_int_equal(settled(1).stored, 1);
	assert_int_equal(pipeline_program_view(pipeline, BOTH, &view), 0);
	assert_int_equal(view.stream_count, 2);
}

/* ---- network interfaces ---- */

static int tell_interface(uint32_t program, const char *name, uint64_t place, uint64_t count)
{
	struct message message = { .type = MESSAGE_INTERFACE,
				   .program = program,
				   .status = INTERFACE_EGRESS,
				   .numbers = { place, count } };

	message_set_text(message.name, "%s", name);
	message_set_text(message.hook, "tcx");
	message_set_text(message.reason, "for a reason");
	return pipeline_interface(pipeline, &message);
}

static void assert_interfaces(uint32_t program, size_t expected, const char *first)
{
	FREE struct interface_view *list = NULL;
	size_t count = 77;

	assert_int_equal(pipeline_program_interfaces(pipeline, program, &list, &count), 0);
	assert_int_equal(count, expected);
	if (!count)
		return;
	assert_string_equal(list[0].name, first);
	assert_int_equal(list[0].direction, INTERFACE_EGRESS);
	assert_string_equal(list[0].mode, "tcx");
	assert_string_equal(list[0].reason, "for a reason");
}

static void test_a_list_of_interfaces_is_shown_whole(void **state)
{
	struct interface_view *list;
	size_t count;

	(void)state;
	tell_program(BEAT, "beat");
	assert_interfaces(BEAT, 0, NULL);
	assert_int_equal(tell_interface(BEAT, "eth0", 0, 2), 0);
	assert_interfaces(BEAT, 0, NULL);
	assert_int_equal(tell_interface(BEAT, "eth1", 1, 2), 0);
	assert_interfaces(BEAT, 2, "eth0");
	assert_int_equal(tell_interface(BEAT, "eth2", 0, 1), 0);
	assert_interfaces(BEAT, 1, "eth2");
	/* One that was begun and left is forgotten. */
	assert_int_equal(tell_interface(BEAT, "eth3", 0, 3), 0);
	assert_int_equal(tell_interface(BEAT, "eth4", 0, 2), 0);
	assert_int_equal(tell_interface(BEAT, "eth5", 1, 2), 0);
	assert_interfaces(BEAT, 2, "eth4");
	assert_int_equal(tell_interface(BEAT, "", 0, 0), 0);
	assert_interfaces(BEAT, 0, NULL);
	assert_int_equal(pipeline_program_interfaces(pipeline, 9, &list, &count), -ENOENT);
}

static void test_interfaces_that_cannot_be(void **state)
{
	struct message message = {
		.program = BEAT, .status = INTERFACE_DIRECTIONS, .name = "x", .numbers = { 0, 1 }
	};

	(void)state;
	tell_program(BEAT, "beat");
	assert_int_equal(tell_interface(BEAT, "eth0", 0, 1), 0);
	assert_int_equal(tell_interface(9, "eth1", 0, 1), -ENOENT);
	assert_int_equal(tell_interface(MESSAGE_MAX_PROGRAMS, "eth1", 0, 1), -ENOENT);
	assert_int_equal(tell_interface(BEAT, "eth1", 1, 1), -EINVAL);
	assert_int_equal(tell_interface(BEAT, "eth1", 0, 2), 0);
	assert_int_equal(tell_interface(BEAT, "eth1", 1, 3), -EINVAL);
	assert_int_equal(tell_interface(BEAT, "eth1", 0, UINT64_MAX), -EINVAL);
	assert_int_equal(pipeline_interface(pipeline, &message), -EINVAL);
	assert_interfaces(BEAT, 1, "eth0");
}

/* ---- programs ---- */

static void test_program_view(void **state)
{
	struct message message = { .program = BEAT, .value_size = 4, .value = { 9, 1 } };
	struct program_view view;
	uint32_t value;

	(void)state;
	assert_int_equal(pipeline_program_count(pipeline), 0);
	assert_int_equal(pipeline_program_view(pipeline, BEAT, &view), -ENOENT);
	assert_int_equal(pipeline_find_program(pipeline, "beat"), -ENOENT);
	message_set_text(message.name, "limit");
	assert_int_equal(pipeline_parameter(pipeline, &message), -ENOENT);

	tell_program(BEAT, "beat");
	assert_int_equal(pipeline_program_count(pipeline), BEAT + 1);
	assert_int_equal(pipeline_program_view(pipeline, 0, &view), -ENOENT);
	assert_int_equal(pipeline_program_view(pipeline, MESSAGE_MAX_PROGRAMS, &view), -ENOENT);
	assert_int_equal(pipeline_find_program(pipeline, "beat"), BEAT);
	assert_int_equal(pipeline_program_view(pipeline, BEAT, &view), 0);
	assert_string_equal(view.name, "beat");
	assert_string_equal(view.hook, "tp_btf/beat");
	assert_int_equal(view.status, PROGRAM_RUNNING);
	assert_true(view.enabled && view.loaded && view.attached);
	assert_null(view.schema);
	assert_int_equal(view.stream_count, 0);
	assert_false(view.statistics_known);

	/* A parameter may be named before its object was read. */
	assert_int_equal(pipeline_parameter(pipeline, &message), 0);
	tell_schema(BEAT, &beat_schema);
	assert_int_equal(pipeline_program_view(pipeline, BEAT, &view), 0);
	assert_ptr_equal(view.schema, &beat_schema);
	assert_ptr_equal(view.parameters, view.parameter_values);
	memcpy(&value, view.parameters[0], sizeof(value));
	assert_int_equal(value, 265);
	message.value[1] = 0;
	assert_int_equal(pipeline_parameter(pipeline, &message), 0);
	assert_int_equal(pipeline_program_view(pipeline, BEAT, &view), 0);
	memcpy(&value, view.parameters[0], sizeof(value));
	assert_int_equal(value, 9);
	message.value_size = 8; /* not its size: the default holds */
	assert_int_equal(pipeline_parameter(pipeline, &message), 0);
	assert_int_equal(pipeline_program_view(pipeline, BEAT, &view), 0);
	assert_int_equal(view.parameters[0][0], 5);

	message = (struct message){ .program = BEAT,
				    .numbers = { 1234, 5678 },
				    .flags = MESSAGE_FLAG_MEASURED };
	pipeline_statistics(pipeline, &message);
	assert_int_equal(pipeline_program_view(pipeline, BEAT, &view), 0);
	assert_true(view.statistics_known);
	assert_int_equal(view.run_count, 1234);
	assert_int_equal(view.run_time_ns, 5678);
}

static void test_defaults_without_settings(void **state)
{
	struct program_view view;

	(void)state;
	tell_schema(BEAT, &beat_schema);
	assert_int_equal(pipeline_program_view(pipeline, BEAT, &view), 0);
	assert_int_equal(view.parameters[0][0], 5);
}

static void test_refuses_impossible_messages(void **state)
{
	struct message message = { .program = MESSAGE_MAX_PROGRAMS, .name = "x" };

	(void)state;
	assert_int_equal(pipeline_program(pipeline, &message), -EINVAL);
	message.program = 1;
	message.status = 99;
	assert_int_equal(pipeline_program(pipeline, &message), -EINVAL);
	message.status = PROGRAM_RUNNING;
	message.name[0] = '\0';
	assert_int_equal(pipeline_program(pipeline, &message), -EINVAL);
	assert_int_equal(pipeline_program_count(pipeline), 0);

	message.program = UINT32_MAX;
	assert_int_equal(pipeline_parameter(pipeline, &message), -EINVAL);
	pipeline_statistics(pipeline, &message);
	pipeline_unload(pipeline, message.program);
	assert_int_equal(pipeline_map(pipeline, &message, -1), -ENOENT);
}

static void test_refused_object(void **state)
{
	struct message message = { .type = MESSAGE_OBJECT, .program = BEAT };
	CLOSE int file = memfd_create("object", MFD_CLOEXEC);
	struct program_view view;
	char error[MESSAGE_TEXT_SIZE] = "";
	int ends[2];

	(void)state;
	assert_true(file >= 0);
	assert_int_equal(write(file, "no ELF", 6), 6);
	assert_int_equal(pipeline_object(pipeline, &message, file, NULL, error, sizeof(error)),
			 -ENOENT);
	load_beat();
	pipeline_unload(pipeline, BEAT);
	assert_true(pipeline_object(pipeline, &message, file, NULL, error, sizeof(error)) < 0);
	assert_string_not_equal(error, "");
	assert_int_equal(pipeline_program_view(pipeline, BEAT, &view), 0);
	assert_string_equal(view.error, error);
	assert_int_equal(view.status, PROGRAM_FAILED);

	/* Its maps would be read by an older schema: they are taken and closed. */
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	message_set_text(message.name, "beat");
	assert_int_equal(pipeline_map(pipeline, &message, ends[1]), 0);
	assert_int_equal(fcntl(ends[1], F_GETFD), -1);
	close(ends[0]);
}

static void test_map_that_is_none(void **state)
{
	static const char *const names[] = { "beat", "beat_ledger" };
	struct program_view view;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct message message = { .type = MESSAGE_MAP, .program = BEAT };
		int fd = memfd_create("map", MFD_CLOEXEC);

		tell_schema(BEAT, &beat_schema);
		message_set_text(message.name, "%s", names[i]);
		assert_true(pipeline_map(pipeline, &message, fd) < 0);
		assert_int_equal(fcntl(fd, F_GETFD), -1);
		assert_int_equal(pipeline_program_view(pipeline, BEAT, &view), 0);
		assert_non_null(strstr(view.error, names[i]));
		pipeline_unload(pipeline, BEAT);
		assert_int_equal(pipeline_program_view(pipeline, BEAT, &view), 0);
		assert_string_equal(view.error, "");
	}
}

static void test_other_maps_are_closed(void **state)
{
	struct message message = { .type = MESSAGE_MAP, .program = BEAT, .name = ".rodata" };
	int fd = memfd_create("map", MFD_CLOEXEC);

	(void)state;
	tell_schema(BEAT, &beat_schema);
	assert_int_equal(pipeline_map(pipeline, &message, fd), 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void test_ready(void **state)
{
	(void)state;
	assert_false(pipeline_ready(pipeline));
	pipeline_set_ready(pipeline, true);
	assert_true(pipeline_ready(pipeline));
	assert_ptr_equal(pipeline_store(pipeline), store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_another_layout_begins_another_stream),
		TEST(test_a_list_of_interfaces_is_shown_whole),
		TEST(test_interfaces_that_cannot_be),
		TEST(test_a_type_belongs_to_one_program),
		TEST(test_several_streams_of_a_program),
		TEST(test_program_view),
		TEST(test_defaults_without_settings),
		TEST(test_refuses_impossible_messages),
		TEST(test_refused_object),
		TEST(test_map_that_is_none),
		TEST(test_other_maps_are_closed),
		TEST(test_ready),
	};

	return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
