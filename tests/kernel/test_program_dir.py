# SPDX-License-Identifier: MIT
"""Programs of one's own: objects in a directory of root's run like the built-in ones; what is not
fit to run is a state with its reason, and never keeps the server from starting."""
import os
import random
import signal
import subprocess

import pytest

from harness import kernel
from harness.objects import compile_object
from harness.processes import LINK, child_of, children, descriptors, ledger, wait_for_restart
from harness.server import server_binary

SOURCE = r"""
/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "program.bpf.h"

PROGRAM("%(description)s"%(flags)s);

const volatile __u32 mark PARAMETER("Comes back in the event") = 0;

struct %(name)s_event {
	struct event_header header;
	__u32 asked_pid DESCRIPTION("Whose process group was asked for");
	__u32 mark DESCRIPTION("What the parameter was");
	%(more)s
};

STREAM(%(name)s, struct %(name)s_event);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int %(name)s_enter(struct syscall_enter *context)
{
	__u32 asked = (__u32)context->arguments[0];
	struct %(name)s_event *event;

	if (!stream_wants(%(name)s))
		return 0;
	event = stream_reserve(%(name)s, sizeof(*event));
	if (!event)
		return 0;
	event_header_fill(&event->header);
	event->asked_pid = asked;
	event->mark = mark;
	%(fill)s
	stream_submit(%(name)s, event, sizeof(*event));
	return 0;
}
"""
INTERFACE_SOURCE = r"""
/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "program.bpf.h"

PROGRAM("Lets every packet pass");

SEC("%(section)s")
int pass(void *context)
{
	(void)context;
	return 2;
}
"""
NAME = "group_asked"
DEADLINE = 20
NOBODY = 65534
LARGEST = 16 << 20


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """compiled("name", …) → bytes of an object that reports each getpgid(2); with a section, of
    one that hangs on a network interface."""
    made = {}

    def get(name=NAME, stream=None, section="", flags="", more="", fill="", description="Asked"):
        key = name, stream, section, flags, more, fill, description
        if key not in made:
            source = INTERFACE_SOURCE if section else SOURCE
            made[key] = compile_object(tmp_path_factory.mktemp("object"), name, source.lstrip() % {
                "name": stream or name, "section": section, "flags": flags, "more": more,
                "fill": fill, "description": description})
        return made[key]
    return get


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "programs"
    path.mkdir(mode=0o755)
    return path


def put(directory, name, content, mode=0o644, owner=0):
    """Puts a file there in one step, as it should be done."""
    new = directory / ".new"
    new.write_bytes(content)
    os.chown(new, owner, owner)
    os.chmod(new, mode)
    os.rename(new, directory / name)


def ask(count):
    for _ in range(count):
        os.getpgid(os.getppid())


@pytest.fixture
def start(start_server, directory):
    """A server with the directory, and one built-in program."""
    return lambda *arguments: start_server(
        "--disable", "connection", "--log-level", "info", "--program-dir", directory, *arguments)


def program(server, name=NAME):
    return server.api(f"/api/programs/{name}")


def reload(server, wait_for):
    """SIGHUP; returns when it was carried out, and the server has heard of it all."""
    seen = len(server.log)
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: any(b" configuration" in line for line in server.log[seen:]),
             "the configuration to be read again")
    # The loader's answer comes after whatever it said before.
    assert server.api.request("POST", "/api/programs/connection/disable").status == 200


def warnings(server, name):
    """What the log says of a program that is not well."""
    return [line for line in server.log_text().splitlines() if f" warn {name}: " in line]


# ---- a program of one's own ----

def test_an_object_is_a_program(start, directory, compiled):
    put(directory, f"{NAME}.bpf.o", compiled())
    server = start("--set", f"{NAME}.mark=23", "--set", f"{NAME}.only_pid={os.getpid()}")
    shown = program(server)
    assert shown["status"] == "running" and shown["enabled"] and shown["error"] is None
    assert shown["description"] == "Asked"
    assert shown["hook"] == "tracepoint/syscalls/sys_enter_getpgid"
    ask(7)
    events = server.events(NAME, 7, pid=os.getpid())
    assert {(event["asked_pid"], event["mark"]) for event in events} == {(os.getppid(), 23)}
    assert ledger(server, NAME)["stored"] == 7
    assert NAME in server.api("/openapi.json")["components"]["schemas"]
    # Set and switched like any other.
    response = server.api.request("PATCH", f"/api/programs/{NAME}",
                                  body=b'{"parameters":{"mark":42}}')
    assert response.status == 200, response.text
    ask(1)
    assert server.events(NAME, 8, pid=os.getpid())[-1]["mark"] == 42
    response = server.api.request("POST", f"/api/programs/{NAME}/disable")
    assert response.status == 200, response.text
    assert program(server)["status"] == "disabled"


def test_who_runs(start, directory, compiled):
    put(directory, "group_on.bpf.o", compiled("group_on"))
    put(directory, "group_off.bpf.o", compiled("group_off", flags=", OFF_BY_DEFAULT"))
    states = {
        (): ("running", "disabled"),
        ("--enable", "group_off", "--disable", "group_on"): ("disabled", "running"),
        ("--programs", "group_off"): ("disabled", "running"),
        ("--programs", "none"): ("disabled", "disabled"),
    }
    for arguments, expected in states.items():
        server = start(*arguments)
        assert (program(server, "group_on")["status"],
                program(server, "group_off")["status"]) == expected, arguments
        server.stop()


def test_what_is_no_object_file_is_passed_over(start, directory, compiled):
    put(directory, f".{NAME}.bpf.o", compiled())
    put(directory, f"{NAME}.bpf.o~", compiled())
    put(directory, "README", b"Programs")
    names = {one["name"] for one in start().api("/api/programs")["programs"]}
    assert "packet_drop" in names
    assert not [name for name in names if NAME in name or "README" in name]


# ---- what is refused ----

def refused(start, *names):
    """Starts, and returns each one's reason after it was found in API and log, once."""
    server = start()
    reasons = []
    for name in names:
        shown = program(server, name.replace(" ", "%20"))
        assert shown["status"] == "failed", shown
        assert not shown["loaded"] and not shown["attached"]
        [line] = warnings(server, name)
        assert line.endswith(f" warn {name}: {shown['error']}")
        assert "libbpf" not in line
        print(f"\n    {line}")
        reasons.append(shown["error"])
    assert program(server, "connection")["status"] == "disabled"
    return reasons


@pytest.mark.parametrize("mode, owner, words", [
    (0o664, 0, "must not be writable by group or others (chmod go-w)"),
    (0o646, 0, "must not be writable by group or others (chmod go-w)"),
    (0o644, NOBODY, "must be owned by root (chown root)"),
])
def test_a_file_in_other_hands(start, directory, compiled, mode, owner, words):
    put(directory, f"{NAME}.bpf.o", compiled(), mode=mode, owner=owner)
    assert refused(start, NAME) == [f"{NAME}.bpf.o: {words}"]


def test_no_regular_file(start, directory, compiled, tmp_path):
    put(tmp_path, "elsewhere.bpf.o", compiled("linked"))
    (directory / "linked.bpf.o").symlink_to(tmp_path / "elsewhere.bpf.o")
    os.mkfifo(directory / "pipe.bpf.o")
    (directory / "folder.bpf.o").mkdir()
    assert refused(start, "linked", "pipe", "folder") == [
        "linked.bpf.o: is a symbolic link, which is not followed",
        "pipe.bpf.o: is no regular file", "folder.bpf.o: is no regular file"]


def test_too_large(start, directory, compiled):
    put(directory, "edge.bpf.o", compiled("edge").ljust(LARGEST, b"\0"))
    put(directory, f"{NAME}.bpf.o", compiled().ljust(LARGEST + 1, b"\0"))
    server = start()
    assert program(server)["error"] == f"{NAME}.bpf.o: is larger than 16 MiB"
    assert program(server, "edge")["status"] == "running"


def test_malformed_objects(start, directory, compiled):
    """Cut anywhere, or no object at all."""
    good, chance = compiled("broken_00"), random.Random(20)
    contents = [b"", chance.randbytes(5000), b"\x7fELF" + chance.randbytes(5000)]
    contents += [good[:cut] for cut in (4, 63, 64, len(good) // 3, len(good) // 2, len(good) - 1)]
    names = []
    put(directory, f"{NAME}.bpf.o", compiled())
    for content in contents:
        names.append(f"broken_{len(names):02}")
        put(directory, f"{names[-1]}.bpf.o", content.replace(b"broken_00", names[-1].encode()))
    for reason in refused(start, *names):
        assert reason.isprintable()


def test_overwritten_objects(start, directory, compiled):
    """Some still are objects, and whoever reads the others stays well."""
    good, chance = compiled("broken_00"), random.Random(20)
    names = [f"broken_{number:02}" for number in range(24)]
    put(directory, f"{NAME}.bpf.o", compiled())
    for name in names:
        bad = bytearray(good.replace(b"broken_00", name.encode()))
        # The section headers, at the end, are where offsets and sizes stand.
        for _ in range(chance.randrange(4, 40)):
            bad[chance.randrange(len(bad) - 1600, len(bad))] = chance.randrange(256)
        put(directory, f"{name}.bpf.o", bytes(bad))
    server = start()
    for name in names:
        shown = program(server, name)
        assert (shown["status"], bool(shown["error"])) in (("failed", True), ("running", False))
        print(f"    {shown['status']}: {shown['error']}")
    assert program(server)["status"] == "running"


def test_names(start, directory, compiled):
    for name in ("two words", "connection", "server", "x" * 64):
        put(directory, f"{name}.bpf.o", compiled())
    reasons = refused(start, "two words.bpf.o", "connection.bpf.o", "server.bpf.o")
    assert '"two words" cannot be the name of a program' in reasons[0]
    assert reasons[1] == '"connection" is the name of a built-in program: rename the file'
    assert '"server" cannot be the name of a program' in reasons[2]


def test_streams(start, directory, compiled):
    put(directory, "group.bpf.o", compiled("group", stream="group_second"))
    put(directory, "group_second.bpf.o", compiled("group_second"))
    put(directory, "other.bpf.o", compiled("group"))
    assert refused(start, "group_second", "other") == [
        'event stream "group_second" is program "group"\'s already',
        'stream "group" must be named "other", or "other_" and something more']


@pytest.mark.parametrize("section", ["xdp", "tcx/ingress"])
def test_what_attaches_to_interfaces(start, directory, compiled, section):
    put(directory, f"{NAME}.bpf.o", compiled(section=section))
    shown = program(start(), NAME)
    assert (shown["status"], shown["error"]) == (
        "disabled", "runs when an interface is named: --interface")


# ---- the directory ----

def refusal(*arguments):
    """The one line of a start that fails."""
    before = kernel.bpf_objects()
    result = subprocess.run(
        [server_binary(), "--addr", "127.0.0.1:0", "--metrics-addr", "off", "--log-level", "info",
         *map(str, arguments)], capture_output=True, text=True, timeout=DEADLINE,
        stdin=subprocess.DEVNULL)
    assert result.returncode == 1, result.stderr
    assert result.stdout == ""
    assert not kernel.bpf_leftovers(before)
    [line] = result.stderr.splitlines()
    print(f"\n    {line}")
    return line


def test_a_directory_that_is_unfit(directory):
    missing = directory / "missing"
    assert refusal("--program-dir", missing).endswith(
        f"--program-dir {missing}: there is no such directory")
    link = directory / "link"
    link.symlink_to(directory)
    assert refusal("--program-dir", link).endswith(
        f"--program-dir {link}: is no directory (a symbolic link is not followed)")
    directory.chmod(0o777)
    assert refusal("--program-dir", directory).endswith(
        f"--program-dir {directory}: must not be writable by group or others (chmod go-w)")
    directory.chmod(0o755)
    os.chown(directory, NOBODY, NOBODY)
    assert refusal("--program-dir", directory).endswith(
        f"--program-dir {directory}: must be owned by root (chown root)")


def check_config(directory, log, *arguments):
    """(exit status, standard output, log), the log being a file, as under some service managers."""
    with log.open("wb") as file:
        result = subprocess.run(
            [server_binary(), "--check-config", "--log-level", "debug", "--program-dir", directory,
             *arguments], stdout=subprocess.PIPE, stderr=file, text=True, timeout=DEADLINE)
    return result.returncode, result.stdout, log.read_text(errors="replace")


def test_a_configuration_is_checked_against_it(directory, compiled, tmp_path):
    put(directory, f"{NAME}.bpf.o", compiled())
    put(directory, "broken.bpf.o", b"broken")
    log = tmp_path / "log"
    status, output, logged = check_config(directory, log, "--set", f"{NAME}.mark=1")
    assert (status, output) == (0, "configuration is valid\n")
    assert " warn broken: this is no eBPF object file" in logged
    assert f" warn {NAME}: " not in logged
    status, output, logged = check_config(directory, log, "--set", f"{NAME}.mrk=1")
    assert (status, output) == (2, "")
    assert f'{NAME} has no parameter "mrk"' in logged


# In an /etc of its own.
WITH_DEFAULT_DIRECTORY = """
set -e
mount -t tmpfs none /etc
mkdir -p -m 0755 /etc/ebpf-server
cp -r "$0" /etc/ebpf-server/programs
chmod "$1" /etc/ebpf-server/programs
shift
exec "$@"
"""


@pytest.mark.parametrize("mode", ["0755", "0777"])
def test_the_default_directory(start_server, directory, compiled, mode):
    """Looked at when it is there; when it is unfit, that is no reason not to start."""
    put(directory, f"{NAME}.bpf.o", compiled())
    server = start_server("--log-level", "info", command_prefix=(
        "unshare", "--mount", "sh", "-c", WITH_DEFAULT_DIRECTORY, directory, mode))
    warned = "program directory /etc/ebpf-server/programs: must not be writable by group or others"
    fit = mode == "0755"
    assert (NAME in {one["name"] for one in server.api("/api/programs")["programs"]}) == fit
    assert (warned in server.log_text()) != fit


def test_one_that_becomes_unfit_changes_nothing(start, directory, compiled, wait_for):
    put(directory, f"{NAME}.bpf.o", compiled())
    server = start()
    put(directory, "late.bpf.o", compiled("late"))
    directory.chmod(0o777)
    reload(server, wait_for)
    assert f"program directory {directory}: must not be writable" in server.log_text()
    assert program(server)["status"] == "running"
    assert server.api.request("GET", "/api/programs/late").status == 404


# ---- SIGHUP ----

def test_a_file_comes_and_goes(start, directory, compiled, wait_for):
    server = start("--programs", "packet_drop")
    put(directory, "other.bpf.o", compiled("other"))
    reload(server, wait_for)
    assert program(server, "other")["status"] == "disabled"
    server.stop()

    server = start()
    put(directory, f"{NAME}.bpf.o", compiled())
    reload(server, wait_for)
    assert program(server)["status"] == "running"
    ask(5)
    server.events(NAME, 5, pid=os.getpid())

    kept = (directory / f"{NAME}.bpf.o").read_bytes()
    attached = len(descriptors(server.pid, LINK))
    (directory / f"{NAME}.bpf.o").unlink()
    reload(server, wait_for)
    shown = program(server)
    assert (shown["status"], shown["error"]) == ("disabled", f"its file is gone: {NAME}.bpf.o")
    assert len(descriptors(server.pid, LINK)) == attached - 1
    ask(3)
    server.events(NAME, 5, pid=os.getpid())  # what was stored stays
    response = server.api.request("POST", f"/api/programs/{NAME}/enable")
    assert response.status >= 400 and "its file is gone" in response.text
    assert program(server, "other")["status"] == "running"

    put(directory, f"{NAME}.bpf.o", kept)
    reload(server, wait_for)
    assert program(server)["status"] == "running"
    ask(2)
    server.events(NAME, 7, pid=os.getpid())
    assert children(server.pid) == [child_of(server)], "no reader of objects is left"


def test_a_changed_file(start, directory, compiled, wait_for):
    put(directory, f"{NAME}.bpf.o", compiled())
    put(directory, "same.bpf.o", compiled("same"))
    server = start("--set", f"{NAME}.only_pid={os.getpid()}")
    before = descriptors(server.pid, LINK)
    ask(3)
    server.events(NAME, 3)
    reload(server, wait_for)
    assert descriptors(server.pid, LINK) == before, "the same bytes go on"

    # Another layout: one more field, which events of before do not have.
    put(directory, f"{NAME}.bpf.o", compiled(
        more='__u64 twice DESCRIPTION("Mark, doubled");', fill="event->twice = 2 * mark;",
        description="Asked and doubled"))
    server.api.request("PATCH", f"/api/programs/{NAME}", body=b'{"parameters":{"mark":4}}')
    reload(server, wait_for)
    shown = program(server)
    assert (shown["status"], shown["description"]) == ("running", "Asked and doubled")
    values = {parameter["name"]: parameter["value"] for parameter in shown["parameters"]}
    assert (values["mark"], values["only_pid"]) == (0, os.getpid()), "as configured"
    ask(2)
    events = server.events(NAME, 5)
    assert [event.get("twice") for event in events] == [None] * 3 + [0] * 2
    assert ledger(server, NAME)["stored"] == 5
    after = descriptors(server.pid, LINK)
    assert len(after) == len(before)
    assert len(set(after) - set(before)) == 1, "only the changed one is new"

    # One that is no good takes the good one's place, as it would at a start.
    put(directory, f"{NAME}.bpf.o", compiled()[:3000])
    reload(server, wait_for)
    assert program(server)["status"] == "failed"
    assert len(descriptors(server.pid, LINK)) == len(before) - 1
    reload(server, wait_for)
    assert len(warnings(server, NAME)) == 1, "told once"
    put(directory, f"{NAME}.bpf.o", compiled())
    reload(server, wait_for)
    assert program(server)["status"] == "running"
    ask(1)
    server.events(NAME, 6)
    assert ledger(server, NAME)["stored"] == 6


def test_what_was_switched_off_stays_off(start, directory, compiled, wait_for):
    put(directory, f"{NAME}.bpf.o", compiled())
    server = start()
    server.api.request("POST", f"/api/programs/{NAME}/disable")
    put(directory, f"{NAME}.bpf.o", compiled(description="Another one"))
    reload(server, wait_for)
    shown = program(server)
    assert (shown["status"], shown["description"]) == ("disabled", "Another one")


def test_the_configuration_may_name_what_is_new(start, directory, compiled, wait_for, tmp_path):
    config = tmp_path / "server.conf"
    config.write_text("[server]\n")
    server = start("--config", config)
    put(directory, f"{NAME}.bpf.o", compiled(flags=", OFF_BY_DEFAULT"))
    config.write_text(f"[server]\nenable = {NAME}\n[{NAME}]\nmark = 9\n")
    reload(server, wait_for)
    assert program(server)["status"] == "running"
    ask(1)
    assert server.events(NAME, 1, pid=os.getpid())[0]["mark"] == 9
    # A configuration that is refused keeps no program out.
    put(directory, "late.bpf.o", compiled("late"))
    config.write_text("[server]\nenable = nonesuch\n")
    reload(server, wait_for)
    assert "it stays as it was" in server.log_text()
    assert program(server, "late")["status"] == program(server)["status"] == "running"


def test_counts_outlive_the_server_process(start, directory, compiled, wait_for):
    """Of streams, too, that came while a server ran, and of an object that was replaced."""
    server = start()
    for name in ("second", "first"):
        put(directory, f"{name}.bpf.o", compiled(name))
        reload(server, wait_for)
        response = server.api.request(
            "PATCH", f"/api/programs/{name}",
            body=b'{"parameters":{"only_pid":%d}}' % os.getpid())
        assert response.status == 200, response.text
    ask(3)
    server.events("first", 3, pid=os.getpid())
    before = {name: ledger(server, name) for name in ("first", "second")}
    child = child_of(server)
    os.kill(child, signal.SIGKILL)
    wait_for_restart(server, child)
    for name, counts in before.items():
        after = ledger(server, name)
        assert after["produced"] >= counts["produced"] and after["stored"] == counts["stored"]
        assert after["expired"] == counts["stored"] and after["held"] == 0
    assert program(server, "first")["status"] == program(server, "second")["status"] == "running"
    ask(2)
    server.events("second", 2, pid=os.getpid())
