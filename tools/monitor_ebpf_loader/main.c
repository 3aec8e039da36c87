/* SPDX-License-Identifier: MIT */
/*
 * monitor_ebpf_loader IFACE…: has every ICMP packet of these interfaces written where
 * monitor_ebpf_reader, which needs no privilege, can read it; and returns. --unload undoes it.
 */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <linux/types.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "loader/interface_link.h"
#include "monitor_events.h"
#include "object.h"
#include "pins.h"

#define NAME "monitor_ebpf_loader"
#define EXIT_USAGE 2
#define GROUP "ebpf-monitor"
#define MAX_INTERFACES 256
#define HOOKS 2

struct arguments {
	const char *pin;
	struct pins_access access;
	bool foreground, unload;
	char **interfaces;
	size_t interface_count;
};

static const char help[] =
	"Usage: " NAME " [OPTION]... INTERFACE...\n"
	"  or:  " NAME " --unload\n"
	"\n"
	"Has every ICMP and ICMPv6 packet that arrives at or leaves the network interfaces\n"
	"written to a map that monitor_ebpf_reader reads, and returns. The state before is\n"
	"replaced. Needs root.\n"
	"\n"
	"  --foreground   stay, and undo everything at SIGINT or SIGTERM\n"
	"  --unload       undo everything and return\n"
	"  --group NAME   group that may read (default: " GROUP " if it exists, else root)\n"
	"  --mode MODE    permissions of the map, octal (default 0660)\n"
	"  --pin PATH     where the map is pinned (default " MONITOR_PIN ")\n"
	"  --version, --help\n";

static int fail(const char *text)
{
	fprintf(stderr, NAME ": %s\n", text);
	return EXIT_FAILURE;
}

static int usage(const char *text, const char *what)
{
	fprintf(stderr, NAME ": %s%s (--help tells more)\n", text, what);
	return EXIT_USAGE;
}

/* ---- arguments ---- */

/* The local file only: a name service could block. False when there is no such group. */
static bool find_group(const char *name, gid_t *ret_group)
{
	FILE *file = fopen("/etc/group", "re");
	const struct group *entry;
	bool found = false;

	while (file && !found && (entry = fgetgrent(file))) {
		found = !strcmp(entry->gr_name, name);
		if (found)
			*ret_group = entry->gr_gid;
	}
	if (file)
		fclose(file);
	return found;
}

static bool parse_group(const char *text, gid_t *ret_group)
{
	uint64_t number;

	if (find_group(text, ret_group))
		return true;
	if (text_parse_u64(text, 0, UINT32_MAX - 1, &number))
		return false;
	*ret_group = (gid_t)number;
	return true;
}

static bool parse_mode(const char *text, mode_t *ret_mode)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (*text < '0' || *text > '7' || *end || mode > 0777)
		return false;
	/* The kernel maps it only for those who may write too; nobody can, since it is frozen. */
	if ((mode & 0444) >> 1 != (mode & 0222) || (mode & 0111))
		return false;
	*ret_mode = (mode_t)mode;
	return true;
}

enum { OPTION_FOREGROUND = 256, OPTION_UNLOAD, OPTION_GROUP, OPTION_MODE, OPTION_PIN };

static const struct option options[] = {
	{ "foreground", no_argument, NULL, OPTION_FOREGROUND },
	{ "unload", no_argument, NULL, OPTION_UNLOAD },
	{ "group", required_argument, NULL, OPTION_GROUP },
	{ "mode", required_argument, NULL, OPTION_MODE },
	{ "pin", required_argument, NULL, OPTION_PIN },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* Returns -1 to go on, or the exit status. */
static int take_option(struct arguments *arguments, int option)
{
	switch (option) {
	case OPTION_FOREGROUND:
		arguments->foreground = true;
		return -1;
	case OPTION_UNLOAD:
		arguments->unload = true;
		return -1;
	case OPTION_GROUP:
		if (!parse_group(optarg, &arguments->access.group))
			return usage("there is no group ", optarg);
		return -1;
	case OPTION_MODE:
		if (!parse_mode(optarg, &arguments->access.mode))
			return usage("--mode takes octal permissions, reading and writing alike, "
				     "such as 0666, not ",
				     optarg);
		return -1;
	case OPTION_PIN:
		arguments->pin = optarg;
		return -1;
	case 'h':
		fputs(help, stdout);
		return EXIT_SUCCESS;
	case 'V':
		puts(NAME " " EBPF_SERVER_VERSION);
		return EXIT_SUCCESS;
	default:
		return EXIT_USAGE; /* getopt has said why */
	}
}

static int parse(int argc, char **argv, struct arguments *arguments)
{
	int option;

	while ((option = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
		int status = take_option(arguments, option);

		if (status >= 0)
			return status;
	}
	arguments->interfaces = argv + optind;
	arguments->interface_count = (size_t)(argc - optind);
	if (arguments->unload && arguments->interface_count)
		return usage("--unload takes no interface: it undoes them all", "");
	if (!arguments->unload && !arguments->interface_count)
		return usage("name a network interface", "");
	if (arguments->interface_count > MAX_INTERFACES)
		return usage("too many interfaces", "");
	return -1;
}

/* ---- attaching ---- */

struct attachment {
	const char *name;
	unsigned int ifindex;
	struct interface_link links[HOOKS];
	int programs[HOOKS];
};

/* Before anything is touched. */
static int find_interfaces(const struct arguments *arguments, struct attachment *attachments)
{
	for (size_t i = 0; i < arguments->interface_count; i++) {
		struct attachment *attachment = &attachments[i];

		attachment->name = arguments->interfaces[i];
		attachment->ifindex = if_nametoindex(attachment->name);
		for (size_t hook = 0; hook < HOOKS; hook++)
			attachment->links[hook] = (struct interface_link)INTERFACE_LINK_INIT;
		if (!attachment->ifindex) {
			fprintf(stderr,
				NAME ": there is no network interface '%s' (ip link lists them)\n",
				attachment->name);
			return -ENODEV;
		}
		for (size_t j = 0; j < i; j++) {
			if (attachments[j].ifindex == attachment->ifindex) {
				fprintf(stderr, NAME ": '%s' is named twice\n", attachment->name);
				return -EINVAL;
			}
		}
	}
	return 0;
}

static int attach(struct attachment *attachment, const struct monitor_object *object)
{
	static const enum interface_hook hooks[HOOKS] = { INTERFACE_XDP, INTERFACE_TC_EGRESS };
	char error[256];

	attachment->programs[0] = object->xdp;
	attachment->programs[1] = object->tc;
	for (size_t i = 0; i < HOOKS; i++) {
		struct interface_request request = {
			.program_fd = attachment->programs[i],
			.ifindex = attachment->ifindex,
			.hook = hooks[i],
		};
		int r = interface_link_attach(&request, &attachment->links[i], error,
					      sizeof(error));

		if (r < 0) {
			fprintf(stderr, NAME ": %s: %s\n", attachment->name, error);
			return r;
		}
	}
	return 0;
}

static int attach_all(struct attachment *attachments, size_t count,
		      const struct monitor_object *object, struct pins *pins)
{
	char error[256];

	for (size_t i = 0; i < count; i++) {
		struct attachment *attachment = &attachments[i];
		int r = attach(attachment, object);

		for (size_t hook = 0; hook < HOOKS && r == 0; hook++) {
			r = pins_keep(pins, &attachment->links[hook], attachment->programs[hook],
				      error, sizeof(error));
			if (r < 0)
				fail(error);
		}
		if (r < 0) {
			for (size_t hook = 0; hook < HOOKS; hook++)
				interface_link_detach(&attachment->links[hook]);
			return r;
		}
	}
	return 0;
}

/* ---- what it does ---- */

static int unload(struct pins *pins)
{
	unsigned int count;
	char error[256];

	return pins_remove(pins, &count, error, sizeof(error)) < 0 ? fail(error) : EXIT_SUCCESS;
}

static void wait_for_end(void)
{
	sigset_t ends;
	int number;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigwait(&ends, &number);
}

/* From here on an end by signal would leave things half done. */
static void hold_signals(void)
{
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	sigaddset(&ends, SIGPIPE);
	sigprocmask(SIG_BLOCK, &ends, NULL);
}

static void tell(const struct arguments *arguments)
{
	puts("eBPF program loaded successfully");
	for (size_t i = 0; i < arguments->interface_count; i++)
		printf("Attached to interface: %s\n", arguments->interfaces[i]);
	printf("Map pinned to: %s\n", arguments->pin);
	fflush(stdout);
}

static int load(const struct arguments *arguments, struct pins *pins,
		struct attachment *attachments)
{
	struct monitor_object object;
	unsigned int before;
	char error[256];
	int r = monitor_object_load(&object, error, sizeof(error));

	if (r < 0)
		return fail(error);
	if (pins_remove(pins, &before, error, sizeof(error)) < 0 ||
	    /* It may have unmounted what it had mounted. */
	    (pins->lock < 0 && pins_open(pins, arguments->pin, true, error, sizeof(error)) < 0) ||
	    pins_begin(pins, error, sizeof(error)) < 0) {
		monitor_object_unload(&object);
		return fail(error);
	}
	r = attach_all(attachments, arguments->interface_count, &object, pins);
	if (r == 0) {
		r = pins_publish(pins, object.map, &arguments->access, error, sizeof(error));
		if (r < 0)
			fail(error);
	}
	monitor_object_unload(&object);
	if (r < 0) {
		unload(pins);
		return EXIT_FAILURE;
	}
	tell(arguments);
	return EXIT_SUCCESS;
}

static int run(const struct arguments *arguments)
{
	struct attachment *attachments =
		calloc(arguments->interface_count + 1, sizeof(struct attachment));
	struct pins pins = { .lock = -1 };
	char error[256];
	int status = EXIT_FAILURE, r;

	if (!attachments)
		return fail(strerror(ENOMEM));
	if (find_interfaces(arguments, attachments) < 0) {
		free(attachments);
		return EXIT_FAILURE;
	}
	r = pins_open(&pins, arguments->pin, !arguments->unload, error, sizeof(error));
	if (r == -ENOENT && arguments->unload)
		status = EXIT_SUCCESS; /* nothing is pinned where nothing can be */
	else if (r < 0 || pins_check(&pins, error, sizeof(error)) < 0)
		fail(error);
	else if (arguments->unload)
		status = unload(&pins);
	else
		status = load(arguments, &pins, attachments);
	free(attachments);
	pins_close(&pins);
	if (status != EXIT_SUCCESS || !arguments->foreground || arguments->unload)
		return status;
	wait_for_end();
	r = pins_open(&pins, arguments->pin, false, error, sizeof(error));
	if (r < 0 && r != -ENOENT)
		return fail(error);
	status = r < 0 ? EXIT_SUCCESS : unload(&pins);
	pins_close(&pins);
	return status;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {
		.pin = MONITOR_PIN,
		.access = { .group = 0, .mode = 0660 },
	};
	int status;

	find_group(GROUP, &arguments.access.group);
	status = parse(argc, argv, &arguments);
	if (status >= 0)
		return status;
	if (geteuid() != 0)
		return fail("needs root: it loads an eBPF program and attaches it to interfaces");
	hold_signals();
	return run(&arguments);
}
