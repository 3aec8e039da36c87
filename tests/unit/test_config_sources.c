/* SPDX-License-Identifier: MIT */
/* Environment and configuration file, and which of them wins. */
#include "config_fixture.h"

#include <errno.h>

#include "config/options.h"

static void test_every_variable(void **state)
{
	static const struct {
		const char *name, *value;
	} variables[] = {
		{ "EBPF_SERVER_ADDR", "127.0.0.1:1" },
		{ "EBPF_SERVER_METRICS_ADDR", "off" },
		{ "EBPF_SERVER_PROGRAMS", "a,b" },
		{ "EBPF_SERVER_ENABLE", "c, d" },
		{ "EBPF_SERVER_DISABLE", "e" },
		{ "EBPF_SERVER_PROGRAM_DIR", "/p" },
		{ "EBPF_SERVER_INTERFACE", "eth0,eth1" },
		{ "EBPF_SERVER_SET", "a.x=1,a.y=2\\,3,b.z=" },
		{ "EBPF_SERVER_PRINT", "json" },
		{ "EBPF_SERVER_LOG_LEVEL", "warn" },
		{ "EBPF_SERVER_MEMORY", "16M" },
		{ "EBPF_SERVER_RING_SIZE", "1M" },
		{ "EBPF_SERVER_INSECURE", "1" },
		{ "EBPF_SERVER_PROGRAM_STATS", "yes" },
		{ "EBPF_SERVER_CHECK_CONFIG", "true" },
	};
	CLEANUP(config) struct config *config = NULL;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		setenv(variables[i].name, variables[i].value, 1);
	config = GOOD();
	assert_string_equal(config->api.text, "127.0.0.1:1");
	assert_true(config->api.given);
	assert_true(config->metrics.off);
	assert_list(config->programs, config->program_count, "a,b");
	assert_list(config->enable, config->enable_count, "c,d");
	assert_list(config->disable, config->disable_count, "e");
	assert_string_equal(config->program_dir, "/p");
	assert_list(config->interfaces, config->interface_count, "eth0,eth1");
	assert_int_equal(config->setting_count, 3);
	assert_setting(config, 0, "a", "x", "1", "EBPF_SERVER_SET");
	assert_setting(config, 1, "a", "y", "2,3", "EBPF_SERVER_SET");
	assert_setting(config, 2, "b", "z", "", "EBPF_SERVER_SET");
	assert_int_equal(config->print, PRINT_JSON);
	assert_int_equal(config->log_level, LOG_WARN);
	assert_int_equal(config->memory, 16 << 20);
	assert_int_equal(config->ring_bytes, 1 << 20);
	assert_true(config->insecure);
	assert_true(config->program_stats);
	assert_true(config->check_config);
}

static void test_bad_variables(void **state)
{
	(void)state;
	setenv("EBPF_SERVER_MEMORY", "1", 1);
	REFUSED("EBPF_SERVER_MEMORY: '1' is too little: at least 8MiB");
	/* Also where a stronger level would have hidden it. */
	REFUSED("EBPF_SERVER_MEMORY: '1' is too little: at least 8MiB", "--memory=64M");
	unsetenv("EBPF_SERVER_MEMORY");
	setenv("EBPF_SERVER_ENABLE", "a,,b", 1);
	REFUSED("EBPF_SERVER_ENABLE: 'a,,b' has an empty entry");
	unsetenv("EBPF_SERVER_ENABLE");
	setenv("EBPF_SERVER_SET", "a.b=1,c", 1);
	REFUSED("EBPF_SERVER_SET: 'c' is not PROGRAM.PARAMETER=VALUE");
	unsetenv("EBPF_SERVER_SET");
	setenv("EBPF_SERVER_ADDR", ":80", 1);
	REFUSED("EBPF_SERVER_ADDR: other machines could reach :80, and there is no TLS and no "
		"credential: give --tls-cert FILE and --tls-key FILE and --credentials FILE, use "
		"127.0.0.1, or allow it with --insecure");
}

static void test_empty_variable_is_none(void **state)
{
	CLEANUP(config) struct config *config = NULL;
	(void)state;

	setenv("EBPF_SERVER_ADDR", "", 1);
	setenv("EBPF_SERVER_CONFIG", "", 1);
	config = GOOD();
	assert_string_equal(config->api.text, "127.0.0.1:8080");
	assert_null(config->config_file);
}

/* What config_parse() logs with this variable set. */
static char *warnings(const char *name, const char *value, const char *argument)
{
	char *argv[] = { (char *)"ebpf-server", (char *)argument, NULL };
	struct capture err;
	struct config *config = NULL;
	char *text;

	setenv(name, value, 1);
	err = capture_begin(STDERR_FILENO);
	assert_int_equal(config_parse(2, argv, &config), CONFIG_RUN);
	text = capture_end(&err);
	config_free(config);
	unsetenv(name);
	return text;
}

static void test_unknown_variables(void **state)
{
	static const struct {
		const char *name, *value, *warning; /* NULL: silent */
	} cases[] = {
		{ "EBPF_SERVER_MEMRY", "64M",
		  " warn unknown environment variable EBPF_SERVER_MEMRY is ignored; did you mean "
		  "EBPF_SERVER_MEMORY?\n" },
		{ "EBPF_SERVER_METRICS_ADR", "x",
		  " warn unknown environment variable EBPF_SERVER_METRICS_ADR is ignored; did you "
		  "mean EBPF_SERVER_METRICS_ADDR?\n" },
		{ "EBPF_SERVER_FOO", "x",
		  " warn unknown environment variable EBPF_SERVER_FOO is ignored\n" },
		{ "EBPF_SERVER_HELP", "1",
		  " warn unknown environment variable EBPF_SERVER_HELP is ignored\n" },
		/* No service link: somebody means it. */
		{ "EBPF_SERVER_PORT", "8080",
		  " warn unknown environment variable EBPF_SERVER_PORT is ignored\n" },
		{ "EBPF_SERVER_PORT_X_TCP", "x",
		  " warn unknown environment variable EBPF_SERVER_PORT_X_TCP is ignored\n" },
		{ "EBPF_SERVER_PORT_80_TCP_X", "x",
		  " warn unknown environment variable EBPF_SERVER_PORT_80_TCP_X is ignored\n" },
		{ "EBPF_SERVER_SERVICE_HOST", "10.0.0.1", NULL },
		{ "EBPF_SERVER_SERVICE_PORT", "8080", NULL },
		{ "EBPF_SERVER_SERVICE_PORT_HTTP_API", "8080", NULL },
		{ "EBPF_SERVER_PORT", "tcp://10.0.0.1:8080", NULL },
		{ "EBPF_SERVER_PORT_8080_TCP", "tcp://10.0.0.1:8080", NULL },
		{ "EBPF_SERVER_PORT_8080_TCP_PROTO", "tcp", NULL },
		{ "EBPF_SERVER_PORT_8080_TCP_PORT", "8080", NULL },
		{ "EBPF_SERVER_PORT_8080_TCP_ADDR", "10.0.0.1", NULL },
		{ "EBPF_SERVER_PORT_53_UDP", "udp://10.0.0.1:53", NULL },
		{ "EBPF_SERVER_METRICS_SERVICE_HOST", "10.0.0.1", NULL },
		{ "EBPF_SERVER_METRICS_PORT", "tcp://10.0.0.1:9090", NULL },
		{ "EBPF_SERVER_METRICS_PORT_9090_TCP_ADDR", "10.0.0.1", NULL },
		{ "EBPF_SERVERX", "x", NULL },
		{ "EBPF_SERVER_ENABLE", "a", NULL },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		FREE char *text = warnings(cases[i].name, cases[i].value, "--log-level=info");
		FREE char *quiet = warnings(cases[i].name, cases[i].value, "--log-level=error");

		assert_string_equal(quiet, "");
		if (cases[i].warning)
			assert_string_equal(text + strcspn(text, " "), cases[i].warning);
		else
			assert_string_equal(text, "");
	}
}

static void test_every_key(void **state)
{
	TEMPORARY_FILE path = write_file("; a comment\n"
					 "# and another\n"
					 "[server]\n"
					 "addr = 127.0.0.1:1 ; behind a value\n"
					 "metrics-addr: off\n"
					 "programs = a, b\n"
					 "enable=c\n"
					 "  enable = d\n" /* an indented line is a line */
					 "disable = e\r\n"
					 "program-dir = /p q\n"
					 "interface = eth0\n"
					 "interface = eth1,eth2\n"
					 "print = text\n"
					 "log-level = debug\n"
					 "memory = 16M\n"
					 "ring-size = 1M\n"
					 "insecure = yes\n"
					 "program-stats = true\n"
					 "\n"
					 "[connection]\n"
					 "pid = 7\n"
					 "command =\n"
					 "[a]\n"
					 "x=y=z");
	CLEANUP(config) struct config *config = GOOD("--config", path);
	char origin[256];
	(void)state;

	assert_string_equal(config->config_file, path);
	assert_string_equal(config->api.text, "127.0.0.1:1");
	assert_true(config->api.given);
	assert_true(config->metrics.off);
	assert_list(config->programs, config->program_count, "a,b");
	assert_list(config->enable, config->enable_count, "c,d");
	assert_list(config->disable, config->disable_count, "e");
	assert_string_equal(config->program_dir, "/p q");
	assert_list(config->interfaces, config->interface_count, "eth0,eth1,eth2");
	assert_int_equal(config->print, PRINT_TEXT);
	assert_int_equal(config->log_level, LOG_DEBUG);
	assert_int_equal(config->memory, 16 << 20);
	assert_int_equal(config->ring_bytes, 1 << 20);
	assert_true(config->insecure);
	assert_true(config->program_stats);
	assert_int_equal(config->setting_count, 3);
	snprintf(origin, sizeof(origin), "%s line 21", path);
	assert_setting(config, 0, "connection", "pid", "7", origin);
	snprintf(origin, sizeof(origin), "%s line 22", path);
	assert_setting(config, 1, "connection", "command", "", origin);
	snprintf(origin, sizeof(origin), "%s line 24", path);
	assert_setting(config, 2, "a", "x", "y=z", origin);
}

/* `text` as a configuration file must be refused with "PATH line " and this. */
static void assert_file_refused(const char *text, size_t length, const char *expected)
{
	TEMPORARY_FILE path = write_bytes(text, length);
	FREE char *whole = NULL;

	assert_true(asprintf(&whole, "%s line %s", path, expected) > 0);
	REFUSED(whole, "--config", path);
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "[server]\nmemory = 1\n", "2: '1' is too little: at least 8MiB" },
		{ "[server]\n\n;\nenable = a,,b\n", "4: 'a,,b' has an empty entry" },
		{ "[server]\nadr = x\n", "2: unknown key 'adr' in [server]; did you mean 'addr'?" },
		{ "[server]\nmetrics_addr = off\n",
		  "2: unknown key 'metrics_addr' in [server]; did you mean 'metrics-addr'?" },
		{ "[server]\nfrobnicate = x\n",
		  "2: unknown key 'frobnicate' in [server]; see --help" },
		{ "[server]\nconfig = x\n", "2: 'config' cannot be set in a configuration file" },
		{ "[server]\nhelp = x\n", "2: 'help' cannot be set in a configuration file" },
		{ "[server]\nset = a.b=1\n",
		  "2: parameters of programs stand in a section of their own: PARAMETER = VALUE "
		  "below [PROGRAM]" },
		{ "[server]\naddr =\n", "2: needs a value (HOST:PORT)" },
		{ "[server]\naddr\n", "2: neither '[section]' nor 'name = value'" },
		{ "[server\naddr = x\n", "1: neither '[section]' nor 'name = value'" },
		{ "[server]\nbad\nmemory = 1\n", "2: neither '[section]' nor 'name = value'" },
		{ "[server]\nmemory = 1\nbad\n", "2: '1' is too little: at least 8MiB" },
		{ "\n\naddr = x\n", "3: 'addr' stands before any section; begin with [server]" },
		{ "[server]\n= x\n", "2: there is no name before '= x'" },
		{ "[a b]\nx = 1\n", "2: 'a b' cannot be the name of a program" },
		{ "[]\nx = 1\n", "2: 'x' stands before any section; begin with [server]" },
		{ "[aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffff]\nx = 1\n",
		  "2: the name of section [aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeee…] is "
		  "too long" },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_file_refused(cases[i].text, strlen(cases[i].text), cases[i].error);
	assert_file_refused("[server]\nmemory = 64M\0\n", 23,
			    "2: holds a NUL byte: this is no text file");
}

static void test_long_lines(void **state)
{
	char text[1200] = "[server]\nprogram-dir = /";
	char *comment = text + strlen(text);
	(void)state;

	memset(comment, 'x', 300);
	strcpy(comment + 300, "\n");
	assert_file_refused(text, strlen(text), "2: too long; lists may be given on several lines");
	/* A comment may have any length. */
	strcpy(text, "[server]\nprogram-dir = /y\n;");
	memset(text + strlen(text), 'x', 900);
	{
		TEMPORARY_FILE path = write_file(text);
		CLEANUP(config) struct config *config = GOOD("--config", path);

		assert_string_equal(config->program_dir, "/y");
	}
}

static void test_unreadable_files(void **state)
{
	CLEANUP(config) struct config *config = NULL;
	(void)state;

	REFUSED("cannot read /nonexistent/x.conf: No such file or directory",
		"--config=/nonexistent/x.conf");
	REFUSED("cannot read /: Is a directory", "--config=/");
	setenv("EBPF_SERVER_CONFIG", "/nonexistent/y.conf", 1);
	REFUSED("cannot read /nonexistent/y.conf: No such file or directory");
	/* The command line names another file: the variable's is not looked at. */
	config = GOOD("--config=/dev/null");
	assert_string_equal(config->config_file, "/dev/null");
}

static void test_precedence_of_values(void **state)
{
	TEMPORARY_FILE path = write_file("[server]\n"
					 "memory = 11M\n"
					 "addr = 127.0.0.1:11\n"
					 "program-dir = /11\n");
	CLEANUP(config) struct config *config = NULL;
	(void)state;

	setenv("EBPF_SERVER_CONFIG", path, 1);
	setenv("EBPF_SERVER_MEMORY", "12M", 1);
	setenv("EBPF_SERVER_ADDR", "127.0.0.1:12", 1);
	config = GOOD("--memory=13M");
	assert_int_equal(config->memory, 13 << 20);
	assert_string_equal(config->api.text, "127.0.0.1:12");
	assert_string_equal(config->program_dir, "/11");
	assert_int_equal(config->ring_bytes, 0);
}

static void test_stronger_lists_replace(void **state)
{
	TEMPORARY_FILE path = write_file("[server]\n"
					 "interface = f0\n"
					 "interface = f1\n"
					 "enable = f2\n"
					 "programs = f3\n");
	CLEANUP(config) struct config *file = NULL, *environment = NULL, *all = NULL;
	(void)state;

	setenv("EBPF_SERVER_CONFIG", path, 1);
	file = GOOD();
	assert_list(file->interfaces, file->interface_count, "f0,f1");
	setenv("EBPF_SERVER_INTERFACE", "e0,e1", 1);
	setenv("EBPF_SERVER_PROGRAMS", "e2", 1);
	environment = GOOD();
	assert_list(environment->interfaces, environment->interface_count, "e0,e1");
	assert_list(environment->programs, environment->program_count, "e2");
	/* "Exactly these" takes back what the file added. */
	assert_int_equal(environment->enable_count, 0);
	all = GOOD("--interface=c0", "--interface=c1", "--enable=c2");
	assert_list(all->interfaces, all->interface_count, "c0,c1");
	assert_list(all->programs, all->program_count, "e2");
	assert_list(all->enable, all->enable_count, "c2");
}

static void test_stronger_level_enables_again(void **state)
{
	TEMPORARY_FILE path = write_file("[server]\nenable = a,b\ndisable = c,d\n");
	CLEANUP(config) struct config *config = GOOD("--config", path, "--disable=a", "--enable=c");
	(void)state;

	assert_false(config_wants_program(config, "a", true));
	assert_true(config_wants_program(config, "c", false));
	assert_list(config->enable, config->enable_count, "c");
	assert_list(config->disable, config->disable_count, "a");
}

static void test_settings_merge(void **state)
{
	TEMPORARY_FILE path = write_file("[a]\nx = 1\ny = 1\nz = 1\n");
	CLEANUP(config) struct config *config = NULL;
	char origin[256];
	(void)state;

	setenv("EBPF_SERVER_SET", "a.y=2,a.z=2,b.x=2", 1);
	config = GOOD("--config", path, "--set=a.z=3", "--set=c.x=3");
	snprintf(origin, sizeof(origin), "%s line 2", path);
	assert_int_equal(config->setting_count, 5);
	assert_setting(config, 0, "a", "x", "1", origin);
	assert_setting(config, 1, "a", "y", "2", "EBPF_SERVER_SET");
	assert_setting(config, 2, "a", "z", "3", "--set");
	assert_setting(config, 3, "b", "x", "2", "EBPF_SERVER_SET");
	assert_setting(config, 4, "c", "x", "3", "--set");
}

static void test_reload_sees_the_new_file(void **state)
{
	TEMPORARY_FILE path = write_file("[server]\nmemory = 16M\n");
	CLEANUP(config) struct config *before = GOOD("--config", path), *after = NULL;
	FILE *file;
	(void)state;

	file = fopen(path, "w");
	fputs("[server]\nmemory = 32M\n", file);
	fclose(file);
	after = GOOD("--config", path);
	assert_int_equal(before->memory, 16 << 20);
	assert_int_equal(after->memory, 32 << 20);
}

static void test_byte_order_mark(void **state)
{
	TEMPORARY_FILE path = write_file("\xef\xbb\xbf[server]\nmemory = 16M\n");
	CLEANUP(config) struct config *config = GOOD("--config", path);
	(void)state;

	assert_int_equal(config->memory, 16 << 20);
}

static void test_free_accepts_anything(void **state)
{
	(void)state;
	config_free(NULL);
	config_free(calloc(1, sizeof(struct config)));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_clean, fixture_clean)
	const struct CMUnitTest tests[] = {
		TEST(test_every_variable),
		TEST(test_bad_variables),
		TEST(test_empty_variable_is_none),
		TEST(test_unknown_variables),
		TEST(test_every_key),
		TEST(test_bad_files),
		TEST(test_long_lines),
		TEST(test_unreadable_files),
		TEST(test_precedence_of_values),
		TEST(test_stronger_lists_replace),
		TEST(test_stronger_level_enables_again),
		TEST(test_settings_merge),
		TEST(test_reload_sees_the_new_file),
		TEST(test_byte_order_mark),
		TEST(test_free_accepts_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
