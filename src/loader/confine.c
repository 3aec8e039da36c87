/* SPDX-License-Identifier: MIT */
#include "loader/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/memory.h"
#include "loader/message.h"

#define SERVER_USER "ebpf-server"
/* Where there is no passwd file: what the kernel itself shows for "no such id". */
#define NOBODY 65534

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif
#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446
#endif
#define LANDLOCK_VERSION_FLAG 1u /* LANDLOCK_CREATE_RULESET_VERSION */

struct identity {
	uid_t user;
	gid_t group;
};

static int fail(char *error, size_t error_size, int number, const char *what, const char *advice)
{
	message_format(error, error_size, "%s: %s%s", what, strerror(number), advice);
	return -number;
}

/* ---- descriptors ---- */

/* Kernels before 5.9 have no close_range(2). */
static void close_one_by_one(unsigned int first, unsigned int last)
{
	struct rlimit limit = { .rlim_cur = 1024 };

	getrlimit(RLIMIT_NOFILE, &limit);
	for (unsigned int fd = first; fd <= last && fd < limit.rlim_cur; fd++)
		close((int)fd);
}

static void close_between(unsigned int first, unsigned int last)
{
	if (first <= last && syscall(SYS_close_range, first, last, 0u) < 0)
		close_one_by_one(first, last);
}

int confine_descriptors(const int *kept, size_t count)
{
	unsigned int next = STDERR_FILENO + 1;

	for (;;) {
		unsigned int lowest = UINT32_MAX;

		for (size_t i = 0; i < count; i++) {
			if (kept[i] >= (int)next && (unsigned int)kept[i] < lowest)
				lowest = (unsigned int)kept[i];
		}
		if (lowest == UINT32_MAX)
			break;
		close_between(next, lowest - 1);
		if (fcntl((int)lowest, F_GETFD) < 0)
			return -errno;
		next = lowest + 1;
	}
	close_between(next, UINT32_MAX);
	return 0;
}

/* ---- file system ---- */

/* The local file only: a name service could block, or answer from the network. */
static struct identity find_identity(void)
{
	struct identity identity = { .user = NOBODY, .group = NOBODY };
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *entry;

	if (!file)
		return identity;
	while ((entry = fgetpwent(file))) {
		bool own = !strcmp(entry->pw_name, SERVER_USER);

		if ((!own && strcmp(entry->pw_name, "nobody")) || entry->pw_uid == 0)
			continue;
		identity = (struct identity){ .user = entry->pw_uid, .group = entry->pw_gid };
		if (own)
			break;
	}
	fclose(file);
	return identity;
}

/* The old root goes wholly where pivot_root(2) can (not from an initramfs); else chroot(2)
 * hides it, which holds since no descriptor outside and no CAP_SYS_CHROOT remain. */
static int change_root(const char *directory)
{
	if (chdir(directory) < 0)
		return -errno;
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		if (umount2(".", MNT_DETACH) < 0)
			return -errno;
	} else if (chroot(".") < 0) {
		return -errno;
	}
	return chdir("/") < 0 ? -errno : 0;
}

static int empty_root(void)
{
	/* Any directory that is there will do: the mount is seen by this process alone. */
	static const char *const places[] = { "/proc", "/sys", "/tmp", "/run" };
	int r = -ENOENT;

	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(places) && r < 0; i++) {
		if (mount("ebpf-server", places[i], "tmpfs",
			  MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, "size=4k,mode=0555") < 0)
			r = -errno;
		else
			r = change_root(places[i]);
	}
	return r;
}

/* Every file-system right that the running kernel can refuse is refused: rules are what allows,
 * and there are none. Rights by ABI: linux/landlock.h; 13 in the first, REFER, TRUNCATE, and
 * IOCTL_DEV in the second, third and fifth. */
static uint64_t landlock_rights(long abi)
{
	unsigned int count = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;

	return (1ULL << count) - 1;
}

static int landlock_everything(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_VERSION_FLAG);
	uint64_t handled; /* struct landlock_ruleset_attr of the first ABI */
	CLOSE int ruleset = -1;

	if (abi < 0)
		return -errno;
	handled = landlock_rights(abi);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0u);
	if (ruleset < 0)
		return -errno;
	return syscall(SYS_landlock_restrict_self, ruleset, 0u) < 0 ? -errno : 0;
}

/* ---- identity and capabilities ---- */

/* Best effort: needs CAP_SETPCAP, and without capabilities and with no_new_privs the set gives
 * nothing any more. */
static void drop_bounding_set(void)
{
	for (unsigned long capability = 0; capability < 64; capability++) {
		if (prctl(PR_CAPBSET_DROP, capability, 0UL, 0UL, 0UL) < 0 && errno == EINVAL)
			break;
	}
}

/* A process that is somebody else than root already, and may not change that, stays who it is. */
static int change_identity(struct identity identity)
{
	if (setgroups(0, NULL) == 0 &&
	    setresgid(identity.group, identity.group, identity.group) == 0 &&
	    setresuid(identity.user, identity.user, identity.user) == 0)
		return 0;
	if (errno == EPERM && getuid() != 0 && geteuid() != 0)
		return 0;
	return -errno;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	/* Kernels before 4.3 have no ambient set. */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0UL, 0UL, 0UL);
	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int forbid_inspection(void)
{
	if (prctl(PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL) < 0)
		return -errno;
	return setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 }) < 0 ? -errno : 0;
}

/* The kernel forgets the signal when credentials change, so this comes after they did. */
static int follow_parent(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, (unsigned long)SIGTERM, 0UL, 0UL, 0UL) < 0)
		return -errno;
	return getppid() == parent ? 0 : -ESRCH;
}

int confine(pid_t parent, char *error, size_t error_size)
{
	/* Before the file system is gone. */
	struct identity identity = find_identity();
	int root = empty_root();
	int r;

	drop_bounding_set();
	r = change_identity(identity);
	if (r < 0)
		return fail(error, error_size, -r, "giving up root",
			    " (needs CAP_SETUID and CAP_SETGID)");
	r = drop_capabilities();
	if (r < 0)
		return fail(error, error_size, -r, "dropping capabilities", "");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) < 0)
		return fail(error, error_size, errno, "no_new_privs", "");
	if (root < 0 && (r = landlock_everything()) < 0)
		return fail(error, error_size, -root, "an empty root",
			    " (needs CAP_SYS_ADMIN, or a kernel with Landlock)");
	r = forbid_inspection();
	if (r < 0)
		return fail(error, error_size, -r, "core dumps", "");
	r = follow_parent(parent);
	if (r < 0)
		return fail(error, error_size, -r, "the loader", "");
	return 0;
}
