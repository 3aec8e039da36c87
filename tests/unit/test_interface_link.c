/* SPDX-License-Identifier: MIT */
/* loader/interface_link.h on the running kernel: a network namespace of its own for each test, with
 * a veth pair (v0, v1), a bridge (b0) and the loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "loader/interface_link.h"
#include "loader/libbpf_log.h"
#include "loader/netlink.h"

#define TCX_INGRESS ((enum bpf_attach_type)46)
#define TCX_EGRESS ((enum bpf_attach_type)47)
#define TEXT_SIZE 320

/* ---- the stand ---- */

static void run(const char *command)
{
	int status = system(command);

	if (status)
		fail_msg("%s: exit status %d", command, status);
}

static int open_stand(void **state)
{
	(void)state;
	libbpf_log_begin();
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		return 0; /* the test skips */
	/* In /sys are this namespace's interfaces then. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	run("ip link set lo up && ip link add v0 type veth peer name v1 && ip link add b0 type "
	    "bridge && ip link set v0 up && ip link set v1 up && ip link set b0 up");
	return 0;
}

static void needs_stand(void)
{
	if (if_nametoindex("v0"))
		return;
	print_message("skipped: only root can make network interfaces\n");
	skip();
}

/* `return verdict` */
static int load(enum bpf_prog_type type, const char *name, int verdict)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = verdict },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(type, name, "GPL", code, ARRAY_SIZE(code), NULL);

	assert_true(fd >= 0);
	return fd;
}

static int load_xdp(const char *name)
{
	return load(BPF_PROG_TYPE_XDP, name, 2); /* XDP_PASS */
}

static int load_tc(const char *name)
{
	return load(BPF_PROG_TYPE_SCHED_CLS, name, -1); /* TC_ACT_UNSPEC */
}

static uint32_t id_of(int fd)
{
	struct bpf_prog_info info = { .id = 0 };
	uint32_t size = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	return info.id;
}

static struct interface_link attach(int fd, const char *name, enum interface_hook hook,
				    unsigned int avoid)
{
	struct interface_request request = {
		.program_fd = fd, .ifindex = if_nametoindex(name), .hook = hook, .avoid = avoid
	};
	struct interface_link link = INTERFACE_LINK_INIT;
	char error[TEXT_SIZE] = "";

	if (interface_link_attach(&request, &link, error, sizeof(error)) < 0)
		fail_msg("%s: %s", name, error);
	assert_int_equal(link.ifindex, request.ifindex);
	assert_int_equal(link.program_id, id_of(fd));
	assert_true(interface_link_is_attached(&link));
	return link;
}

static void assert_refused(int fd, const char *name, enum interface_hook hook, unsigned int avoid,
			   int expected, const char *text)
{
	struct interface_request request = {
		.program_fd = fd, .ifindex = if_nametoindex(name), .hook = hook, .avoid = avoid
	};
	struct interface_link link = INTERFACE_LINK_INIT;
	char error[TEXT_SIZE] = "";

	if (!request.ifindex)
		request.ifindex = 4711;
	assert_int_equal(interface_link_attach(&request, &link, error, sizeof(error)), expected);
	assert_string_equal(error, text);
	assert_int_equal(link.ifindex, 0);
	assert_int_equal(link.fd, -1);
}

static uint32_t xdp_on(const char *name)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	assert_int_equal(bpf_xdp_query((int)if_nametoindex(name), 0, &query), 0);
	return query.prog_id;
}

/* ---- XDP ---- */

static void test_native_where_the_driver_can(void **state)
{
	CLOSE int fd = load_xdp("ours");
	struct interface_link link;

	(void)state;
	needs_stand();
	link = attach(fd, "v0", INTERFACE_XDP, 0);
	assert_int_equal(link.mode, INTERFACE_XDP_NATIVE);
	assert_string_equal(link.reason, "");
	assert_true(link.fd >= 0);
	assert_int_equal(xdp_on("v0"), id_of(fd));
	assert_int_equal(interface_link_detach(&link), 0);
	assert_int_equal(link.fd, -1);
	assert_int_equal(link.ifindex, 0);
	assert_int_equal(xdp_on("v0"), 0);
	assert_int_equal(interface_link_detach(&link), 0);
}

static void test_generic_where_it_cannot(void **state)
{
	CLOSE int fd = load_xdp("ours");
	static const char *const names[] = { "b0", "lo" };

	(void)state;
	needs_stand();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct interface_link link = attach(fd, names[i], INTERFACE_XDP, 0);

		assert_int_equal(link.mode, INTERFACE_XDP_GENERIC);
		assert_string_equal(link.reason, "native XDP not supported by its driver");
		assert_int_equal(interface_link_detach(&link), 0);
		assert_int_equal(xdp_on(names[i]), 0);
	}
}

static void test_without_links_as_before_5_9(void **state)
{
	CLOSE int fd = load_xdp("ours"), next = load_xdp("next");
	static const struct {
		const char *name;
		enum interface_mode mode;
	} cases[] = {
		{ "v0", INTERFACE_XDP_NATIVE },
		{ "b0", INTERFACE_XDP_GENERIC },
	};

	(void)state;
	needs_stand();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct interface_link link =
			attach(fd, cases[i].name, INTERFACE_XDP, INTERFACE_AVOID_LINKS);

		assert_int_equal(link.mode, cases[i].mode);
		assert_int_equal(link.fd, -1);
		assert_int_equal(interface_link_update(&link, next), 0);
		assert_int_equal(xdp_on(cases[i].name), id_of(next));
		assert_true(interface_link_is_attached(&link));
		assert_int_equal(interface_link_pin(&link, "/nowhere"), -EOPNOTSUPP);
		assert_int_equal(interface_link_detach(&link), 0);
		assert_int_equal(xdp_on(cases[i].name), 0);
	}
}

static void test_another_one_in_the_place_stays(void **state)
{
	CLOSE int theirs = load_xdp("theirs"), ours = load_xdp("ours");
	struct interface_link link;
	char text[TEXT_SIZE];

	(void)state;
	needs_stand();
	link = attach(theirs, "v0", INTERFACE_XDP, 0);
	snprintf(text, sizeof(text), "has XDP program %u (theirs) already, and keeps it",
		 id_of(theirs));
	assert_refused(ours, "v0", INTERFACE_XDP, 0, -EBUSY, text);
	assert_refused(ours, "v0", INTERFACE_XDP, INTERFACE_AVOID_LINKS, -EBUSY, text);
	/* Generic beside native: the kernel has another number for that. */
	assert_refused(ours, "v0", INTERFACE_XDP, INTERFACE_AVOID_NATIVE, -EBUSY, text);
	assert_refused(ours, "v0", INTERFACE_XDP, INTERFACE_AVOID_LINKS | INTERFACE_AVOID_NATIVE,
		       -EBUSY, text);
	assert_int_equal(xdp_on("v0"), id_of(theirs));
	assert_int_equal(interface_link_detach(&link), 0);
}

/* Ours without a link can be replaced by anybody; then it is theirs. */
static void test_one_that_was_put_over_ours_stays(void **state)
{
	CLOSE int theirs = load_xdp("theirs"), ours = load_xdp("ours"), next = load_xdp("next");
	struct interface_link link;
	int ifindex = (int)if_nametoindex("v0");

	(void)state;
	needs_stand();
	link = attach(ours, "v0", INTERFACE_XDP, INTERFACE_AVOID_LINKS);
	assert_int_equal(bpf_xdp_attach(ifindex, theirs, 0, NULL), 0);
	assert_false(interface_link_is_attached(&link));
	assert_true(interface_link_update(&link, next) < 0);
	assert_int_equal(xdp_on("v0"), id_of(theirs));
	assert_true(interface_link_detach(&link) < 0);
	assert_int_equal(link.ifindex, 0);
	assert_int_equal(xdp_on("v0"), id_of(theirs));
}

static void test_an_update_is_at_once(void **state)
{
	CLOSE int fd = load_xdp("ours"), next = load_xdp("next"), wrong = load_tc("wrong");
	struct interface_link link;

	(void)state;
	needs_stand();
	link = attach(fd, "v0", INTERFACE_XDP, 0);
	assert_int_equal(interface_link_update(&link, wrong), -EINVAL);
	assert_int_equal(xdp_on("v0"), id_of(fd));
	assert_int_equal(interface_link_update(&link, next), 0);
	assert_int_equal(xdp_on("v0"), id_of(next));
	assert_int_equal(link.program_id, id_of(next));
	assert_true(interface_link_is_attached(&link));
	assert_int_equal(interface_link_detach(&link), 0);
}

static void test_what_cannot_be_is_said(void **state)
{
	CLOSE int xdp = load_xdp("ours"), tc = load_tc("ours");

	(void)state;
	needs_stand();
	assert_refused(xdp, "nosuch", INTERFACE_XDP, 0, -ENODEV, "XDP: No such device");
	assert_refused(tc, "nosuch", INTERFACE_TC_EGRESS, 0, -ENODEV, "tcx: No such device");
	assert_refused(xdp, "b0", INTERFACE_XDP, INTERFACE_AVOID_GENERIC, -EOPNOTSUPP,
		       "XDP: not supported by its driver");
	assert_refused(-1, "v0", INTERFACE_XDP, 0, -EBADFD,
		       "its program: File descriptor in bad state");
}

static void test_gone_with_the_interface(void **state)
{
	CLOSE int xdp = load_xdp("ours"), tc = load_tc("ours");
	struct interface_link links[2];

	(void)state;
	needs_stand();
	links[0] = attach(xdp, "v0", INTERFACE_XDP, 0);
	links[1] = attach(tc, "v0", INTERFACE_TC_EGRESS, 0);
	run("ip link delete v0");
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		assert_false(interface_link_is_attached(&links[i]));
		assert_int_equal(interface_link_detach(&links[i]), 0);
	}
}

/* ---- tc ---- */

static void assert_chain(const char *name, enum bpf_attach_type type, const uint32_t *expected,
			 uint32_t expected_count)
{
	uint32_t ids[8] = { 0 }, count = ARRAY_SIZE(ids), flags = 0;

	assert_int_equal(bpf_prog_query((int)if_nametoindex(name), type, 0, &flags, ids, &count),
			 0);
	assert_int_equal(count, expected_count);
	assert_memory_equal(ids, expected, expected_count * sizeof(*ids));
}

static bool has_tcx(void)
{
	uint32_t ids[1], count = 1, flags;

	if (bpf_prog_query((int)if_nametoindex("v0"), TCX_INGRESS, 0, &flags, ids, &count) == 0)
		return true;
	print_message("skipped: this kernel has no tcx (6.6)\n");
	return false;
}

static void test_tcx_first_in_and_last_out(void **state)
{
	CLOSE int theirs = load_tc("theirs"), ours = load_tc("ours"), next = load_tc("next");
	struct interface_link in[2], out[2];
	const uint32_t a = id_of(theirs), b = id_of(ours), c = id_of(next);

	(void)state;
	needs_stand();
	if (!has_tcx())
		skip();
	in[0] = attach(theirs, "v0", INTERFACE_TC_INGRESS, 0);
	in[1] = attach(ours, "v0", INTERFACE_TC_INGRESS, 0);
	out[0] = attach(theirs, "v0", INTERFACE_TC_EGRESS, 0);
	out[1] = attach(ours, "v0", INTERFACE_TC_EGRESS, 0);
	assert_int_equal(in[1].mode, INTERFACE_TCX);
	assert_string_equal(in[1].reason, "");
	assert_chain("v0", TCX_INGRESS, (const uint32_t[]){ b, a }, 2);
	assert_chain("v0", TCX_EGRESS, (const uint32_t[]){ a, b }, 2);
	assert_int_equal(interface_link_update(&in[1], next), 0);
	assert_chain("v0", TCX_INGRESS, (const uint32_t[]){ c, a }, 2);
	assert_true(interface_link_is_attached(&in[1]));
	assert_int_equal(interface_link_detach(&in[1]), 0);
	assert_chain("v0", TCX_INGRESS, &a, 1);
	assert_chain("v0", TCX_EGRESS, (const uint32_t[]){ a, b }, 2);
	assert_int_equal(interface_link_detach(&out[1]), 0);
	assert_chain("v0", TCX_EGRESS, &a, 1);
	interface_link_detach(&in[0]);
	interface_link_detach(&out[0]);
}

#define HAS_CLSACT "tc qdisc show dev v0 | grep -q clsact"
#define FILTERS(side, count)                                                                       \
	"test $(tc filter show dev v0 " side " | grep -c direct-action) -eq " #count

static void test_clsact_where_there_is_no_tcx(void **state)
{
	CLOSE int ours = load_tc("ours"), next = load_tc("next");
	struct interface_link in, out;
	struct interface_request request;
	char error[TEXT_SIZE];

	(void)state;
	needs_stand();
	in = attach(ours, "v0", INTERFACE_TC_INGRESS, INTERFACE_AVOID_LINKS);
	assert_int_equal(in.mode, INTERFACE_CLSACT);
	assert_string_equal(in.reason, "tcx is not in this kernel");
	assert_true(in.qdisc_ours);
	request = (struct interface_request){ .program_fd = ours,
					      .ifindex = in.ifindex,
					      .hook = INTERFACE_TC_EGRESS,
					      .avoid = INTERFACE_AVOID_LINKS,
					      .qdisc_ours = true };
	assert_int_equal(interface_link_attach(&request, &out, error, sizeof(error)), 0);
	assert_true(out.qdisc_ours);
	run(HAS_CLSACT " && " FILTERS("ingress", 1) " && " FILTERS("egress", 1));
	assert_int_equal(interface_link_update(&in, next), 0);
	assert_true(interface_link_is_attached(&in));
	run(FILTERS("ingress", 1));
	assert_int_equal(interface_link_detach(&in), 0);
	run(HAS_CLSACT " && " FILTERS("ingress", 0) " && " FILTERS("egress", 1));
	assert_int_equal(interface_link_detach(&out), 0);
	run("! " HAS_CLSACT);
}

static void test_others_qdiscs_and_filters_stay(void **state)
{
	CLOSE int ours = load_tc("ours");
	struct interface_link link;

	(void)state;
	needs_stand();
	/* Their qdisc. */
	run("tc qdisc add dev v0 clsact");
	link = attach(ours, "v0", INTERFACE_TC_EGRESS, INTERFACE_AVOID_LINKS);
	assert_false(link.qdisc_ours);
	assert_int_equal(interface_link_detach(&link), 0);
	run(HAS_CLSACT " && tc qdisc del dev v0 clsact");
	/* Their filter in our qdisc. */
	link = attach(ours, "v0", INTERFACE_TC_EGRESS, INTERFACE_AVOID_LINKS);
	assert_true(link.qdisc_ours);
	run("tc filter add dev v0 ingress protocol ip prio 7 u32 match u32 0 0");
	assert_int_equal(interface_link_detach(&link), 0);
	run(HAS_CLSACT " && tc filter show dev v0 ingress | grep -q 'pref 7'");
}

static void test_a_filter_that_is_not_ours_any_more_stays(void **state)
{
	CLOSE int ours = load_tc("ours"), theirs = load_tc("theirs");
	struct interface_link link, other;
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = theirs, .flags = BPF_TC_F_REPLACE);

	(void)state;
	needs_stand();
	link = attach(ours, "v0", INTERFACE_TC_EGRESS, INTERFACE_AVOID_LINKS);
	hook.ifindex = (int)link.ifindex;
	options.handle = link.handle;
	options.priority = link.priority;
	assert_int_equal(bpf_tc_attach(&hook, &options), 0);
	assert_false(interface_link_is_attached(&link));
	assert_int_equal(interface_link_update(&link, ours), -ENOENT);
	assert_int_equal(interface_link_detach(&link), -ENOENT);
	run(HAS_CLSACT " && " FILTERS("egress", 1));
	assert_int_equal(interface_link_find(id_of(ours), if_nametoindex("v0"), INTERFACE_TC_EGRESS,
					     &other),
			 -ENOENT);
	assert_int_equal(interface_link_find(id_of(theirs), if_nametoindex("v0"),
					     INTERFACE_TC_EGRESS, &other),
			 0);
	assert_int_equal(other.handle, options.handle);
	assert_int_equal(other.priority, options.priority);
}

/* It would take an egress filter and run it at ingress. */
static void test_an_ingress_qdisc_has_no_egress(void **state)
{
	CLOSE int ours = load_tc("ours");
	struct interface_link link;

	(void)state;
	needs_stand();
	run("tc qdisc add dev v0 ingress");
	assert_refused(ours, "v0", INTERFACE_TC_EGRESS, INTERFACE_AVOID_LINKS, -EBUSY,
		       "has an ingress qdisc, which has no egress: replace that by clsact");
	link = attach(ours, "v0", INTERFACE_TC_INGRESS, INTERFACE_AVOID_LINKS);
	run(FILTERS("ingress", 1));
	assert_int_equal(interface_link_detach(&link), 0);
	run("tc qdisc show dev v0 | grep -q ingress");
}

/* ---- what outlives the process ---- */

static void check_pinned(int fd, enum interface_hook hook, enum interface_mode mode,
			 const char *name)
{
	struct interface_link link = attach(fd, name, hook, 0), again = INTERFACE_LINK_INIT;
	const uint32_t id = link.program_id;

	assert_int_equal(interface_link_pin(&link, "/tmp/link"), 0);
	interface_link_leave(&link);
	assert_int_equal(link.ifindex, 0);
	assert_int_equal(interface_link_open_pinned("/tmp/link", &again), 0);
	assert_int_equal(again.ifindex, if_nametoindex(name));
	assert_int_equal(again.hook, hook);
	assert_int_equal(again.mode, mode);
	assert_int_equal(again.program_id, id);
	assert_true(interface_link_is_attached(&again));
	assert_int_equal(interface_link_detach(&again), 0);
	assert_int_equal(xdp_on(name), 0);
	/* The pin holds a link that is attached to nothing. */
	assert_int_equal(interface_link_open_pinned("/tmp/link", &again), -ENODEV);
	assert_int_equal(unlink("/tmp/link"), 0);
}

static void test_pinned_links(void **state)
{
	CLOSE int xdp = load_xdp("ours"), tc = load_tc("ours");
	struct interface_link link = INTERFACE_LINK_INIT;

	(void)state;
	needs_stand();
	/* In a mount namespace of the test's own. */
	assert_int_equal(mount("bpf", "/tmp", "bpf", 0, NULL), 0);
	check_pinned(xdp, INTERFACE_XDP, INTERFACE_XDP_NATIVE, "v0");
	check_pinned(xdp, INTERFACE_XDP, INTERFACE_XDP_GENERIC, "b0");
	if (has_tcx()) {
		check_pinned(tc, INTERFACE_TC_INGRESS, INTERFACE_TCX, "v0");
		check_pinned(tc, INTERFACE_TC_EGRESS, INTERFACE_TCX, "v0");
	}
	assert_int_equal(bpf_obj_pin(xdp, "/tmp/program"), 0);
	assert_int_equal(interface_link_open_pinned("/tmp/program", &link), -EINVAL);
	assert_int_equal(interface_link_open_pinned("/tmp/nothing", &link), -ENOENT);
	assert_int_equal(unlink("/tmp/program"), 0);
	assert_int_equal(umount("/tmp"), 0);
}

static void test_without_a_link_it_stays_and_is_found(void **state)
{
	CLOSE int xdp = load_xdp("ours"), tc = load_tc("ours");
	static const enum interface_hook hooks[] = { INTERFACE_XDP, INTERFACE_TC_INGRESS,
						     INTERFACE_TC_EGRESS };

	(void)state;
	needs_stand();
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		int fd = hooks[i] == INTERFACE_XDP ? xdp : tc;
		struct interface_link link = attach(fd, "v0", hooks[i], INTERFACE_AVOID_LINKS);
		struct interface_link found = INTERFACE_LINK_INIT;
		const struct interface_link before = link;

		interface_link_leave(&link);
		assert_int_equal(interface_link_find(id_of(fd), before.ifindex, hooks[i], &found),
				 0);
		assert_int_equal(found.mode, before.mode);
		assert_int_equal(found.handle, before.handle);
		assert_int_equal(found.priority, before.priority);
		assert_int_equal(interface_link_detach(&found), 0);
		assert_int_equal(interface_link_find(id_of(fd), before.ifindex, hooks[i], &found),
				 -ENOENT);
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(interface_mode_name(INTERFACE_XDP_NATIVE), "xdp native");
	assert_string_equal(interface_mode_name(INTERFACE_XDP_GENERIC), "xdp generic");
	assert_string_equal(interface_mode_name(INTERFACE_TCX), "tcx");
	assert_string_equal(interface_mode_name(INTERFACE_CLSACT), "clsact");
	assert_string_equal(interface_mode_name((enum interface_mode)99), "unknown");
	assert_string_equal(interface_direction_name(INTERFACE_INGRESS), "ingress");
	assert_string_equal(interface_direction_name(INTERFACE_EGRESS), "egress");
}

#define TEST(name) cmocka_unit_test_setup(test_##name, open_stand)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(native_where_the_driver_can),
		TEST(generic_where_it_cannot),
		TEST(without_links_as_before_5_9),
		TEST(another_one_in_the_place_stays),
		TEST(one_that_was_put_over_ours_stays),
		TEST(an_update_is_at_once),
		TEST(what_cannot_be_is_said),
		TEST(gone_with_the_interface),
		TEST(tcx_first_in_and_last_out),
		TEST(clsact_where_there_is_no_tcx),
		TEST(others_qdiscs_and_filters_stay),
		TEST(a_filter_that_is_not_ours_any_more_stays),
		TEST(an_ingress_qdisc_has_no_egress),
		TEST(pinned_links),
		TEST(without_a_link_it_stays_and_is_found),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
