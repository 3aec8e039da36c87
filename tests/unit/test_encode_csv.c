/* SPDX-License-Identifier: MIT */
/* Events as CSV. */
#include "encode_fixture.h"

static char *csv_of(const struct event *event, const struct csv_columns *columns)
{
	BUFFER out = BUFFER_INIT;

	event_encode_csv(event, &plain, columns, &out);
	return buffer_take_string(&out);
}

static void csv_has_the_union_of_columns(void **state)
{
	const struct stream_schema *const both[] = { &demo->streams[1], &demo->streams[0] };
	CLEANUP(csv_columns) struct csv_columns *columns = csv_columns_new(both, 2);
	uint8_t record[DEMO_RECORD_SIZE];
	struct event event;
	BUFFER header = BUFFER_INIT;

	(void)state;
	csv_encode_header(columns, &header);
	buffer_append_char(&header, '\0');
	assert_string_equal(
		header.data,
		"id,type,time,timestamp,pid,tid,uid,cgroup_id,command,color,small,duration,delta,"
		"location,flags,size,result,error,color_code,level,state,nameless,ok,kind,alone,"
		"mac,ip4,gated,itself,ip,port,endpoint,digest,token,list,wide,inner_ip,inner_port,"
		"inner_address,inner_kind,inner_only_inner,inner_only_outer,anonymous_member,path,"
		"last\r\n");
	fill(record);
	event = event_of(record, sizeof(record));
	FREE char *line = csv_of(&event, columns);
	assert_string_equal(
		line,
		ID_OF_FILL ",demo,2023-11-14T22:15:23.456789012Z,123456789012,"
			   "4294967295,12,1000,9007199254740993,sh,GREEN,-300,18446744073709551615,"
			   "-9223372036854775808,0xffffffff81000010,0xabc,1500,-111,ECONNREFUSED,2,"
			   "-1,9,5,true,4,ONE,52:54:00:ab:cd:ef,127.0.0.1,,,1.2.3.255,443,"
			   "1.2.3.255:443,deadbeef00000000000000000000000000000000,000ff0ff,"
			   "\"-1,0,32767\",\"0,18446744073709551615\",2001:db8::,53,"
			   "[2001:db8::]:53,3,31,,32,,33\r\n");
	set_number(&demo->streams[1], record, "color", 1);
	set_number(&demo->streams[1], record, "small", (uint64_t)-7);
	event.schema = &demo->streams[1];
	event.length = 56;
	FREE char *shorter = csv_of(&event, columns);
	assert_string_equal(shorter, ID_OF_FILL
			    ",demo_short,2023-11-14T22:15:23.456789012Z,123456789012,4294967295,"
			    "12,1000,9007199254740993,sh,STATE_BUSY,-7"
			    ",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\r\n");
}

static void csv_text_is_quoted_and_harmless(void **state)
{
	static const struct {
		const char *text, *csv;
	} cases[] = {
		{ "plain-1.0", "plain-1.0" },
		{ "a,b", "\"a,b\"" },
		{ "a b", "\"a b\"" },
		{ "say \"x\"", "\"say \"\"x\"\"\"" },
		{ "a\r\nb", "\"a\r\nb\"" },
		{ "=1+1", "\"'=1+1\"" },
		{ "+1", "\"'+1\"" },
		{ "-1", "\"'-1\"" },
		{ "@cmd", "\"'@cmd\"" },
		{ "\tx", "\"'\tx\"" },
		{ "\rx", "\"'\rx\"" },
		{ "na\xc3\xafve", "\"na\xc3\xafve\"" },
		{ "\xff,", "\"\xef\xbf\xbd,\"" },
		{ "", "" },
	};
	const struct stream_schema *const one[] = { stream };
	CLEANUP(csv_columns) struct csv_columns *columns = csv_columns_new(one, 1);
	uint8_t record[DEMO_RECORD_SIZE];
	struct event event;
	char expected[128];

	(void)state;
	fill(record);
	event = event_of(record, sizeof(record));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		set_text(stream, record, "command", cases[i].text);
		FREE char *line = csv_of(&event, columns);
		snprintf(expected, sizeof(expected), ",9007199254740993,%s,18446744073709551615,",
			 cases[i].csv);
		if (!strstr(line, expected))
			fail_msg("%s is not in %s", expected, line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_has_the_union_of_columns),
		cmocka_unit_test(csv_text_is_quoted_and_harmless),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
