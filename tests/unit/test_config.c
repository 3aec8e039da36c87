/* SPDX-License-Identifier: MIT */
/* The command line: options, values, what is printed, what is refused. */
#include "config_fixture.h"

#include <arpa/inet.h>
#include <errno.h>

#include "config/options.h"

static void test_defaults(void **state)
{
	CLEANUP(config) struct config *config = GOOD();
	(void)state;

	assert_string_equal(config->api.text, "127.0.0.1:8080");
	assert_true(config->api.loopback);
	assert_false(config->api.given);
	assert_string_equal(config->metrics.text, "127.0.0.1:9090");
	assert_true(config->metrics.loopback);
	assert_false(config->metrics.given);
	assert_false(config->metrics.off);
	assert_null(config->config_file);
	assert_null(config->programs);
	assert_int_equal(config->enable_count, 0);
	assert_int_equal(config->disable_count, 0);
	assert_string_equal(config->program_dir, "/etc/ebpf-server/programs");
	assert_string_equal(config->data_dir, "/var/lib/ebpf-server");
	assert_false(config->data_dir_given);
	assert_int_equal(config->interface_count, 0);
	assert_int_equal(config->setting_count, 0);
	assert_int_equal(config->ip_list_mode, IP_LIST_TAG);
	assert_int_equal(config->print, PRINT_OFF);
#ifdef DEBUG
	assert_int_equal(config->log_level, LOG_DEBUG);
#else
	assert_int_equal(config->log_level, LOG_INFO);
#endif
	assert_int_equal(config->memory, 64 << 20);
	assert_int_equal(config->ring_bytes, 0);
	assert_false(config->insecure);
	assert_null(config->credentials);
	assert_null(config->tls_cert);
	assert_null(config->tls_key);
	assert_false(config->protect_metrics);
	assert_false(config->open_loopback);
	assert_int_equal(config->query_timeout_ns, 2000000000);
	assert_false(config->program_stats);
	assert_false(config->check_config);
}

static void test_every_option(void **state)
{
	CLEANUP(config)
	struct config *config = GOOD("--addr=127.0.0.1:1", "--metrics-addr=127.0.0.2:2",
				     "--programs=a,b", "--enable=c", "--disable=d",
				     "--program-dir=/x/y", "--data-dir=/z", "--interface=eth0",
				     "--ip-list-mode=drop", "--set=a.p=1", "--print=json",
				     "--log-level=error", "--memory=9M", "--ring-size=128k",
				     "--insecure", "--program-stats", "--check-config");
	(void)state;

	assert_string_equal(config->api.text, "127.0.0.1:1");
	assert_true(config->api.given);
	assert_string_equal(config->metrics.text, "127.0.0.2:2");
	assert_true(config->metrics.given);
	assert_list(config->programs, config->program_count, "a,b");
	assert_list(config->enable, config->enable_count, "c");
	assert_list(config->disable, config->disable_count, "d");
	assert_string_equal(config->program_dir, "/x/y");
	assert_string_equal(config->data_dir, "/z");
	assert_true(config->data_dir_given);
	assert_list(config->interfaces, config->interface_count, "eth0");
	assert_int_equal(config->setting_count, 1);
	assert_setting(config, 0, "a", "p", "1", "--set");
	assert_int_equal(config->ip_list_mode, IP_LIST_DROP);
	assert_int_equal(config->print, PRINT_JSON);
	assert_int_equal(config->log_level, LOG_ERROR);
	assert_int_equal(config->memory, 9 << 20);
	assert_int_equal(config->ring_bytes, 128 << 10);
	assert_true(config->insecure);
	assert_true(config->program_stats);
	assert_true(config->check_config);
}

static void assert_api(struct config *config, const char *expected)
{
	assert_string_equal(config->api.text, expected);
	config_free(config);
}

static void test_forms_of_one_option(void **state)
{
	(void)state;
	assert_api(GOOD("--addr=127.0.0.1:7"), "127.0.0.1:7");
	assert_api(GOOD("--addr", "127.0.0.1:7"), "127.0.0.1:7");
	assert_api(GOOD("-addr=127.0.0.1:7"), "127.0.0.1:7");
	assert_api(GOOD("-addr", "127.0.0.1:7"), "127.0.0.1:7");
	assert_api(GOOD("-addr", ":9090", "-insecure"), ":9090");
	assert_api(GOOD("-addr=:9090", "-insecure"), ":9090");
	assert_api(GOOD("--ad", "127.0.0.1:7"), "127.0.0.1:7");
	/* The last one counts. */
	assert_api(GOOD("--addr=127.0.0.1:7", "--addr=127.0.0.1:8"), "127.0.0.1:8");
	assert_api(GOOD("--addr=127.0.0.1:7", "--"), "127.0.0.1:7");
}

static void test_switches(void **state)
{
	static const struct {
		const char *text;
		bool on;
	} cases[] = {
		{ "--insecure", true },	      { "-insecure", true },
		{ "--insecure=true", true },  { "--insecure=no", false },
		{ "-insecure=false", false },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(config) struct config *config = GOOD(cases[i].text);

		assert_int_equal(config->insecure, cases[i].on);
	}
	REFUSED("--insecure: 'maybe' is not true or false", "--insecure=maybe");
	REFUSED("--insecure: needs a value (true or false)", "--insecure=");
	/* A switch takes nothing from behind it. */
	REFUSED("unexpected argument 'true': options begin with --; see --help", "--insecure",
		"true");
}

static void test_print(void **state)
{
	static const struct {
		const char *text;
		enum config_print print;
	} cases[] = {
		{ "--print", PRINT_TEXT },	{ "-print", PRINT_TEXT },
		{ "--print=text", PRINT_TEXT }, { "--print=json", PRINT_JSON },
		{ "-print=json", PRINT_JSON },	{ "--print=off", PRINT_OFF },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(config) struct config *config = GOOD(cases[i].text);

		assert_int_equal(config->print, cases[i].print);
	}
	REFUSED("--print: 'xml' is not text, json or off", "--print=xml");
	REFUSED("--ip-list-mode: 'some' is not tag, only or drop", "--ip-list-mode=some");
	REFUSED("--print: needs a value (text|json)", "--print=");
	REFUSED("unexpected argument 'json'; did you mean '--print=json'? See --help", "--print",
		"json");
}

static void test_wrong_usage(void **state)
{
	(void)state;
	REFUSED("unknown option '--adr'; did you mean '--addr'? See --help", "--adr=:80");
	REFUSED("unknown option '-adrd'; did you mean '--addr'? See --help", "-adrd", ":80");
	REFUSED("unknown option '--metrics-adress'; did you mean '--metrics-addr'? See --help",
		"--metrics-adress=x");
	REFUSED("unknown option '--frobnicate'; see --help", "--frobnicate");
	REFUSED("unknown option '-x'; see --help", "-x");
	REFUSED("unknown option '--'; see --help", "--=x");
	REFUSED("'--pro' may be --protect-metrics, --programs, --program-dir, --program-stats; see "
		"--help",
		"--pro");
	REFUSED("--addr needs a value (HOST:PORT); see --help", "--addr");
	REFUSED("--addr: needs a value (HOST:PORT)", "--addr=");
	REFUSED("--addr: needs a value (HOST:PORT)", "--addr", "");
	REFUSED("--version takes no value; see --help", "--version=1");
	REFUSED("unexpected argument 'start': options begin with --; see --help", "start");
	REFUSED("unexpected argument '-': options begin with --; see --help", "-");
	REFUSED("unexpected argument '': options begin with --; see --help", "");
	REFUSED("unexpected argument 'x': options begin with --; see --help", "--", "x");
	/* What is quoted cannot break the line. */
	REFUSED("unknown option '--a?b?'; see --help", "--a\nb\x1b");
}

struct address_case {
	const char *text;
	int family;
	const char *host;
	uint16_t port;
	bool loopback;
};

static void assert_address(const struct config_address *address,
			   const struct address_case *expected)
{
	const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)&address->address;
	const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)&address->address;
	bool is_ipv4 = expected->family == AF_INET;
	char host[INET6_ADDRSTRLEN];

	assert_string_equal(address->text, expected->text);
	assert_int_equal(address->address.ss_family, expected->family);
	assert_int_equal(address->length, is_ipv4 ? sizeof(*ipv4) : sizeof(*ipv6));
	inet_ntop(expected->family,
		  is_ipv4 ? (const void *)&ipv4->sin_addr : (const void *)&ipv6->sin6_addr, host,
		  sizeof(host));
	assert_string_equal(host, expected->host);
	assert_int_equal(ntohs(is_ipv4 ? ipv4->sin_port : ipv6->sin6_port), expected->port);
	assert_int_equal(address->loopback, expected->loopback);
	assert_false(address->off);
}

static void test_addresses(void **state)
{
	static const struct address_case cases[] = {
		{ "127.0.0.1:8080", AF_INET, "127.0.0.1", 8080, true },
		{ "127.9.9.9:0", AF_INET, "127.9.9.9", 0, true },
		{ "localhost:80", AF_INET, "127.0.0.1", 80, true },
		{ "LocalHost:80", AF_INET, "127.0.0.1", 80, true },
		{ "0.0.0.0:65535", AF_INET, "0.0.0.0", 65535, false },
		{ "192.168.1.2:81", AF_INET, "192.168.1.2", 81, false },
		{ "[::1]:8080", AF_INET6, "::1", 8080, true },
		{ "[::]:8080", AF_INET6, "::", 8080, false },
		{ "[2001:db8::1]:8080", AF_INET6, "2001:db8::1", 8080, false },
		{ "[::ffff:127.0.0.1]:1", AF_INET6, "::ffff:127.0.0.1", 1, true },
		{ "[::ffff:10.0.0.1]:1", AF_INET6, "::ffff:10.0.0.1", 1, false },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(config)
		struct config *config =
			GOOD("--insecure", "--metrics-addr=off", "--addr", cases[i].text);

		assert_address(&config->api, &cases[i]);
	}
}

static void test_all_interfaces(void **state)
{
	CLEANUP(config) struct config *config = GOOD("--insecure", "--addr=:4321");
	CLOSE int ipv6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct address_case both = { ":4321", AF_INET6, "::", 4321, false };
	const struct address_case ipv4_only = { ":4321", AF_INET, "0.0.0.0", 4321, false };
	(void)state;

	assert_address(&config->api, ipv6 >= 0 ? &both : &ipv4_only);
}

#define BAD_FORM "is not HOST:PORT, such as 127.0.0.1:8080, [::1]:8080, or :8080 for all interfaces"
#define BAD_HOST                                                                                   \
	"is not an address: names are not looked up, so give an IPv4 address, an IPv6 address in " \
	"brackets, or localhost"

static void test_refused_addresses(void **state)
{
	(void)state;
	/* What a terminal would obey is not quoted as it is. */
	REFUSED("--addr: '\xc3\xa4???\?' " BAD_FORM, "--addr=\xc3\xa4\x1b\x9d\xc2\x9b");
	REFUSED("--addr: '8080' " BAD_FORM, "--addr=8080");
	REFUSED("--addr: '127.0.0.1' " BAD_FORM, "--addr=127.0.0.1");
	REFUSED("--addr: '[::1]' " BAD_FORM, "--addr=[::1]");
	REFUSED("--addr: '[::1]8080' " BAD_FORM, "--addr=[::1]8080");
	REFUSED("--addr: '[::1' " BAD_FORM, "--addr=[::1");
	REFUSED("--addr: 'off' " BAD_FORM, "--addr=off");
	REFUSED("--addr: '::1:8080' needs brackets round an IPv6 address: [::1]:8080",
		"--addr=::1:8080");
	REFUSED("--addr: 'example.org' " BAD_HOST, "--addr=example.org:80");
	REFUSED("--addr: '127.1' " BAD_HOST, "--addr=127.1:80");
	REFUSED("--addr: '256.0.0.1' " BAD_HOST, "--addr=256.0.0.1:80");
	REFUSED("--addr: '[127.0.0.1]' is not an IPv6 address", "--addr=[127.0.0.1]:80");
	REFUSED("--addr: '[]' is not an IPv6 address", "--addr=[]:80");
	REFUSED("--addr: '' is not a port from 0 to 65535", "--addr=127.0.0.1:");
	REFUSED("--addr: '65536' is not a port from 0 to 65535", "--addr=127.0.0.1:65536");
	REFUSED("--addr: '0x50' is not a port from 0 to 65535", "--addr=127.0.0.1:0x50");
	REFUSED("--addr: '-1' is not a port from 0 to 65535", "--addr=127.0.0.1:-1");
	REFUSED("--addr: 'http' is not a port from 0 to 65535", "--addr=127.0.0.1:http");
	REFUSED("--metrics-addr: '9090' " BAD_FORM, "--metrics-addr=9090");
}

static void test_overlong_address(void **state)
{
	char text[120] = "--addr=";
	struct parsed parsed;
	(void)state;

	memset(text + 7, '1', 80);
	parsed = PARSE(text);
	assert_int_equal(parsed.result, -EINVAL);
	assert_non_null(strstr(parsed.error, "is too long for an address"));
}

static void test_metrics_off(void **state)
{
	static const char *const words[] = { "--metrics-addr=off", "--metrics-addr=none" };
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		CLEANUP(config) struct config *config = GOOD(words[i]);

		assert_true(config->metrics.off);
		assert_true(config->metrics.given);
		assert_string_equal(config->metrics.text, "off");
		assert_int_equal(config->metrics.length, 0);
	}
}

#define OR_INSECURE ", use 127.0.0.1, or allow it with --insecure"
#define NEEDS_INSECURE                                                                             \
	", and there is no TLS and no credential: give --tls-cert FILE and --tls-key FILE and "    \
	"--credentials FILE" OR_INSECURE

static void test_reachable_api_needs_insecure(void **state)
{
	(void)state;
	REFUSED("--addr: other machines could reach :8080" NEEDS_INSECURE, "--addr=:8080");
	REFUSED("--addr: other machines could reach 0.0.0.0:8080" NEEDS_INSECURE,
		"--addr=0.0.0.0:8080");
	REFUSED("--addr: other machines could reach [2001:db8::1]:80" NEEDS_INSECURE,
		"--addr=[2001:db8::1]:80");
	REFUSED("--addr: other machines could reach :8080" NEEDS_INSECURE, "--addr=:8080",
		"--insecure=false");
	/* The order of options is of no importance, and metrics may be served openly. */
	config_free(GOOD("--addr=:8080", "--insecure"));
	config_free(GOOD("--insecure", "--addr=:8080"));
	config_free(GOOD("--metrics-addr=0.0.0.0:9090"));
	/* What is missing is what is told. */
	REFUSED("--addr: other machines could reach :80, and there is no TLS: give --tls-cert FILE "
		"and --tls-key FILE" OR_INSECURE,
		"--addr=:80", "--credentials=c");
	REFUSED("--addr: other machines could reach :80, and there is no credential: give "
		"--credentials FILE" OR_INSECURE,
		"--addr=:80", "--tls-cert=c", "--tls-key=k");
	config_free(GOOD("--addr=:80", "--tls-cert=c", "--tls-key=k", "--credentials=c"));
}

static void test_access(void **state)
{
	CLEANUP(config)
	struct config *config = GOOD("--credentials=/c", "--tls-cert=/x", "--tls-key=/y",
				     "--protect-metrics", "--open-loopback",
				     "--query-timeout=1.5s");
	(void)state;

	assert_string_equal(config->credentials, "/c");
	assert_string_equal(config->tls_cert, "/x");
	assert_string_equal(config->tls_key, "/y");
	assert_true(config->protect_metrics);
	assert_true(config->open_loopback);
	assert_int_equal(config->query_timeout_ns, 1500000000);
	REFUSED("--tls-cert and --tls-key go together: --tls-key FILE is missing", "--tls-cert=x");
	REFUSED("--tls-cert and --tls-key go together: --tls-cert FILE is missing", "--tls-key=x");
	REFUSED("--protect-metrics needs --credentials FILE", "--protect-metrics");
	REFUSED("--open-loopback needs --credentials FILE: without, nobody is asked for any",
		"--open-loopback");
	REFUSED("--metrics-addr: credentials for :9090 would pass the network in the clear: give "
		"--tls-cert FILE and --tls-key FILE" OR_INSECURE,
		"--metrics-addr=:9090", "--protect-metrics", "--credentials=c");
	REFUSED("--query-timeout: 'soon' is not a duration such as 2s", "--query-timeout=soon");
	REFUSED("--query-timeout: '9ms' is not from 10ms to 60s", "--query-timeout=9ms");
	REFUSED("--query-timeout: '61' is not from 10ms to 60s", "--query-timeout=61");
}

static void test_one_address_for_both(void **state)
{
	(void)state;
	REFUSED("--addr: 127.0.0.1:7000 is the metrics address too; the API address serves metrics "
		"anyway, so use --metrics-addr=off",
		"--addr=127.0.0.1:7000", "--metrics-addr=localhost:7000");
	/* Port 0 is another port each time; the default metrics address may be taken. */
	config_free(GOOD("--addr=127.0.0.1:0", "--metrics-addr=127.0.0.1:0"));
	config_free(GOOD("--addr=127.0.0.1:9090"));
}

static void test_lists(void **state)
{
	CLEANUP(config)
	struct config *config = GOOD("--enable", "a,b", "--enable=c , a", "--interface=eth0",
				     "--interface=eth1,wlan0", "--programs=x", "--programs=y");
	(void)state;

	assert_list(config->enable, config->enable_count, "a,b,c");
	assert_list(config->interfaces, config->interface_count, "eth0,eth1,wlan0");
	assert_list(config->programs, config->program_count, "x,y");
}

static void test_refused_lists(void **state)
{
	(void)state;
	REFUSED("--enable: 'a,,b' has an empty entry", "--enable=a,,b");
	REFUSED("--enable: 'a,' has an empty entry", "--enable=a,");
	REFUSED("--enable: ',a' has an empty entry", "--enable=,a");
	REFUSED("--enable: ' ' has an empty entry", "--enable= ");
	REFUSED("--interface: ',' has an empty entry", "--interface=,");
	REFUSED("--programs: needs a value (LIST)", "--programs=");
	REFUSED("--programs: 'a b' cannot be the name of a program", "--programs=a b");
	REFUSED("--disable: '../x' cannot be the name of a program", "--disable=../x");
	REFUSED("--disable: 'a' is both to be enabled and to be disabled", "--enable=b,a",
		"--disable=a");
	REFUSED("--enable: 'a' is both to be enabled and to be disabled", "--disable=a",
		"--enable=a");
	REFUSED("--interface: 'eth0:1' cannot be the name of a network interface",
		"--interface=eth0:1");
	REFUSED("--interface: 'a/b' cannot be the name of a network interface", "--interface=a/b");
	REFUSED("--interface: '..' cannot be the name of a network interface", "--interface=..");
	REFUSED("--interface: 'sixteenletters16' cannot be the name of a network interface",
		"--interface=sixteenletters16");
	config_free(GOOD("--interface=fifteenletters1"));
}

static void test_which_programs_run(void **state)
{
	CLEANUP(config) struct config *plain = GOOD();
	CLEANUP(config) struct config *changed = GOOD("--enable=off1", "--disable=on1");
	CLEANUP(config)
	struct config *exactly = GOOD("--programs=a,b", "--enable=c", "--disable=b");
	CLEANUP(config) struct config *none = GOOD("--programs=none");
	CLEANUP(config) struct config *again = GOOD("--programs=a", "--programs=none");
	(void)state;

	assert_true(config_wants_program(plain, "x", true));
	assert_false(config_wants_program(plain, "x", false));
	assert_true(config_wants_program(changed, "off1", false));
	assert_false(config_wants_program(changed, "off2", false));
	assert_false(config_wants_program(changed, "on1", true));
	assert_true(config_wants_program(changed, "on2", true));
	assert_true(config_wants_program(exactly, "a", false));
	assert_false(config_wants_program(exactly, "b", true));
	assert_true(config_wants_program(exactly, "c", false));
	assert_false(config_wants_program(exactly, "d", true));
	assert_non_null(none->programs);
	assert_int_equal(none->program_count, 0);
	assert_false(config_wants_program(none, "x", true));
	assert_int_equal(again->program_count, 0);
	assert_false(config_wants_program(again, "a", true));
}

static void test_settings(void **state)
{
	CLEANUP(config)
	struct config *config = GOOD("--set", "connection.pid=7",
				     "--set=connection.command=a,b=c.d", "--set", "x.y=", "--set",
				     "connection.pid=8");
	(void)state;

	assert_int_equal(config->setting_count, 3);
	assert_setting(config, 0, "connection", "pid", "8", "--set");
	assert_setting(config, 1, "connection", "command", "a,b=c.d", "--set");
	assert_setting(config, 2, "x", "y", "", "--set");
	REFUSED("--set: 'pid=7' is not PROGRAM.PARAMETER=VALUE", "--set=pid=7");
	REFUSED("--set: 'a.pid' is not PROGRAM.PARAMETER=VALUE", "--set=a.pid");
	REFUSED("--set: 'a.=1' is not PROGRAM.PARAMETER=VALUE", "--set=a.=1");
	REFUSED("--set: 'pid=a.b' is not PROGRAM.PARAMETER=VALUE", "--set=pid=a.b");
	REFUSED("--set: '' cannot be the name of a program", "--set=.a=1");
}

static void test_sizes_and_levels(void **state)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		CLEANUP(config) struct config *config = GOOD("--log-level", levels[i]);

		assert_int_equal(config->log_level, i);
	}
	REFUSED("--log-level: 'loud' is not error, warn, info or debug", "--log-level=loud");
	config_free(GOOD("--memory=8MiB"));
	REFUSED("--memory: '8191k' is too little: at least 8MiB", "--memory=8191k");
	REFUSED("--memory: '1025GiB' is too much: at most 1024GiB", "--memory=1025GiB");
	REFUSED("--memory: '99999999999999T' is too much: at most 1024GiB",
		"--memory=99999999999999T");
	REFUSED("--memory: 'lots' is not a size such as 64MiB", "--memory=lots");
	config_free(GOOD("--ring-size=64k"));
	config_free(GOOD("--ring-size=1G"));
	REFUSED("--ring-size: '32k' is not a power of two from 64KiB to 1024MiB",
		"--ring-size=32k");
	REFUSED("--ring-size: '3M' is not a power of two from 64KiB to 1024MiB", "--ring-size=3M");
	REFUSED("--ring-size: '2G' is not a power of two from 64KiB to 1024MiB", "--ring-size=2G");
	REFUSED("--ring-size: 'big' is not a size such as 4MiB", "--ring-size=big");
}

/* config_parse() of up to two arguments; what it printed comes back. */
static enum config_outcome run(const char *first, const char *second, char **ret_out,
			       char **ret_err)
{
	char *argv[] = { (char *)"ebpf-server", (char *)first, (char *)second, NULL };
	struct capture out = capture_begin(STDOUT_FILENO), err = capture_begin(STDERR_FILENO);
	struct config *config = NULL;
	enum config_outcome outcome = config_parse(!first ? 1 : !second ? 2 : 3, argv, &config);

	*ret_err = capture_end(&err);
	*ret_out = capture_end(&out);
	assert_int_equal(outcome == CONFIG_RUN, config != NULL);
	config_free(config);
	return outcome;
}

static void test_outcomes(void **state)
{
	FREE char *run_out = NULL, *run_err = NULL, *bad_out = NULL, *bad_err = NULL;
	FREE char *version_out = NULL, *version_err = NULL;
	(void)state;

	assert_int_equal(run(NULL, NULL, &run_out, &run_err), CONFIG_RUN);
	assert_string_equal(run_out, "");
	assert_string_equal(run_err, "");
	assert_int_equal(run("--memory=1", NULL, &bad_out, &bad_err), CONFIG_EXIT_USAGE);
	assert_string_equal(bad_out, "");
	assert_string_equal(bad_err, "ebpf-server: --memory: '1' is too little: at least 8MiB\n");
	assert_int_equal(run("-version", NULL, &version_out, &version_err), CONFIG_EXIT_OK);
	assert_string_equal(version_err, "");
	assert_int_equal(strncmp(version_out, "ebpf-server " EBPF_SERVER_VERSION " (libbpf ",
				 strlen("ebpf-server " EBPF_SERVER_VERSION " (libbpf ")),
			 0);
	assert_non_null(strstr(version_out, "libmicrohttpd "));
	assert_ptr_equal(strchr(version_out, '\n'), version_out + strlen(version_out) - 1);
}

static void test_help(void **state)
{
	FREE char *out = NULL, *err = NULL, *short_out = NULL, *short_err = NULL;
	char *rest, *line;
	(void)state;

	/* Whatever stands behind --help is not looked at. */
	assert_int_equal(run("--help", "--bogus", &out, &err), CONFIG_EXIT_OK);
	assert_string_equal(err, "");
	assert_int_equal(run("-h", NULL, &short_out, &short_err), CONFIG_EXIT_OK);
	assert_string_equal(out, short_out);
	FOR_EACH_OPTION(option)
	{
		char name[80];

		snprintf(name, sizeof(name), "\n  --%s", option->name);
		assert_non_null(strstr(out, name));
		if (option->default_value) {
			snprintf(name, sizeof(name), "(default: %s)", option->default_value);
			assert_non_null(strstr(out, name));
		}
	}
	for (const struct option_group *group = config_option_groups; group->title; group++)
		assert_non_null(strstr(out, group->title));
	for (line = strtok_r(out, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		assert_true(strlen(line) <= 80);
		assert_true(line[strlen(line) - 1] != ' ');
	}
}

/* Rules of the table itself. */
static void test_table(void **state)
{
	(void)state;
	FOR_EACH_OPTION(option)
	{
		assert_non_null(option->help);
		assert_ptr_equal(option_find(option->name), option);
		assert_int_equal(option->value == VALUE_NONE, option->print != NULL);
		assert_int_equal(option->value == VALUE_NONE, option->set == NULL);
		assert_int_equal(option->value == VALUE_OPTIONAL, option->without_value != NULL);
		assert_int_equal(option->value == VALUE_REQUIRED || option->value == VALUE_OPTIONAL,
				 option->argument != NULL);
		/* Every option but those that print has its variable. */
		assert_int_equal(option->value == VALUE_NONE, !(option->from & FROM_ENVIRONMENT));
	}
	assert_null(option_find("nothing"));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_clean, fixture_clean)
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_every_option),
		TEST(test_forms_of_one_option),
		TEST(test_switches),
		TEST(test_print),
		TEST(test_wrong_usage),
		TEST(test_addresses),
		TEST(test_all_interfaces),
		TEST(test_refused_addresses),
		TEST(test_overlong_address),
		TEST(test_metrics_off),
		TEST(test_reachable_api_needs_insecure),
		TEST(test_access),
		TEST(test_one_address_for_both),
		TEST(test_lists),
		TEST(test_refused_lists),
		TEST(test_which_programs_run),
		TEST(test_settings),
		TEST(test_sizes_and_levels),
		TEST(test_outcomes),
		TEST(test_help),
		TEST(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
