# SPDX-License-Identifier: MIT
"""One folder with one .bpf.c is the whole change: in a copy of the tree a program for bind(2) is
added, the copy is built, and stream, filters, parameters and documents are there."""
import os
import shutil
import socket
import subprocess

import pytest

from harness import tools
from harness.openapi import operations
from harness.processes import ledger

NAME = "bind_call"
SOURCE = r"""
/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Every bind(2) to an IPv4 address: which port, which address. */
#include "program.bpf.h"

PROGRAM("Addresses that programs bind sockets to");

const volatile __u16 from_port PARAMETER("Report only ports from this one on") = 0;

enum bind_backing {
	BIND_BACKING_CHOSEN = 0,
	BIND_BACKING_GIVEN = 1,
};

struct bind_call_event {
	struct event_header header;
	__u32 descriptor DESCRIPTION("Descriptor of the socket");
	__u16 local_port DESCRIPTION("Port asked for; 0 leaves the choice to the kernel");
	__u16 reserved HIDDEN;
	enum bind_backing port_is DESCRIPTION("Whether the port was given");
	__be32 local_ip FORMAT_IP DESCRIPTION("Address asked for");
};

STREAM(bind_call, struct bind_call_event);

struct inet_address {
	__u16 family;
	__be16 port;
	__be32 ip;
};

SEC("tracepoint/syscalls/sys_enter_bind")
int bind_call_enter(struct syscall_enter *context)
{
	__u32 descriptor = (__u32)context->arguments[0];
	const void *from = (const void *)context->arguments[1];
	struct inet_address address;
	struct bind_call_event *event;

	if (!stream_wants(bind_call))
		return 0;
	if (bpf_probe_read_user(&address, sizeof(address), from) || address.family != AF_INET ||
	    bpf_ntohs(address.port) < from_port) {
		stream_filter_out(bind_call);
		return 0;
	}
	event = stream_reserve(bind_call, sizeof(*event));
	if (!event)
		return 0;
	event_header_fill(&event->header);
	event->descriptor = descriptor;
	event->local_port = bpf_ntohs(address.port);
	event->reserved = 0;
	event->port_is = address.port ? BIND_BACKING_GIVEN : BIND_BACKING_CHOSEN;
	event->local_ip = address.ip;
	stream_submit(bind_call, event, sizeof(*event));
	return 0;
}
"""
OWN_FIELDS = ["descriptor", "local_port", "port_is", "local_ip"]
BUILD_DEADLINE = 300


def copy_of_the_tree(target):
    """What belongs to the project, whether it is committed or not; nothing that was built."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"], cwd=tools.ROOT, check=True, capture_output=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        source = tools.ROOT / name
        if not source.is_file():
            continue  # deleted, and not committed so
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target / name)


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    tree = tmp_path_factory.mktemp("tree")
    copy_of_the_tree(tree)
    folder = tree / "programs" / NAME
    folder.mkdir()
    (folder / f"{NAME}.bpf.c").write_text(SOURCE.lstrip())
    # As somebody types it, not as part of the make that may run these tests.
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")}
    built = subprocess.run(["make", "-j2", "build"], cwd=tree, env=environment, text=True,
                           capture_output=True, timeout=BUILD_DEADLINE)
    assert built.returncode == 0, built.stdout + built.stderr
    yield tree / "bin" / "ebpf-server"
    shutil.rmtree(tree)


@pytest.fixture
def start_new(binary, start_server, monkeypatch):
    monkeypatch.setenv("EBPF_SERVER_BINARY", str(binary))
    return start_server


def bind(address, port=0):
    """Binds a socket; returns its descriptor and the port that it got."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((address, port))
        return bound.fileno(), bound.getsockname()[1]


def test_a_folder_is_a_program(start_new):
    server = start_new("--enable", "connection")
    api = server.api
    program = api(f"/api/programs/{NAME}")
    assert program["status"] == "running"
    assert program["description"] == "Addresses that programs bind sockets to"
    assert program["hook"] == "tracepoint/syscalls/sys_enter_bind"
    assert [stream["name"] for stream in program["streams"]] == [NAME]
    assert {"from_port", "only_pid", "only_uid", "only_command", "sample"} == \
        {parameter["name"] for parameter in program["parameters"]}

    # The documents know it.
    [stream] = [stream for stream in api("/api/schema")["streams"] if stream["name"] == NAME]
    described = {field["name"]: field for field in stream["fields"]}
    assert list(described)[-4:] == OWN_FIELDS
    assert described["local_ip"]["type"] == "ip"
    assert described["port_is"]["values"] == ["CHOSEN", "GIVEN"]
    assert described["descriptor"]["description"] == "Descriptor of the socket"
    document = api("/openapi.json")
    component = document["components"]["schemas"][NAME]
    assert set(OWN_FIELDS) <= set(component["properties"])
    assert {"$ref": f"#/components/schemas/{NAME}"} in \
        document["components"]["schemas"]["Event"]["oneOf"]
    [events] = [operation for operation in operations(document)
                if (operation.method, operation.path) == ("GET", "/api/events")]
    assert set(OWN_FIELDS) <= set(events.parameters("query"))

    # An event of a real bind(2), found by each of its fields.
    _, free = bind("127.0.0.1")
    descriptor, _ = bind("127.0.0.1", free)
    common = {"type": NAME, "pid": os.getpid(), "local_port": free}
    [event] = server.events(NAME, 1, pid=os.getpid(), local_port=free)
    assert {name: event[name] for name in OWN_FIELDS} == {
        "descriptor": descriptor, "local_port": free, "port_is": "GIVEN", "local_ip": "127.0.0.1"}
    for found, missed in (({"descriptor": descriptor}, {"descriptor": f"!{descriptor}"}),
                          ({"port_is": "given"}, {"port_is": "CHOSEN"}),
                          ({"local_ip": "127.0.0.0/8"}, {"local_ip": "10.0.0.0/8"}),
                          ({"local_port": f"{free}.."}, {"local_port": f"{free + 1}.."}),
                          ({"command": event["command"]}, {"command": "!*"})):
        assert [one["id"] for one in api("/api/events", **common | found)["events"]] == \
            [event["id"]], found
        assert api("/api/events", **common | missed)["total_count"] == 0, missed
    chosen = api("/api/events", type=NAME, pid=os.getpid(), port_is="CHOSEN")["events"]
    assert chosen and {one["local_port"] for one in chosen} == {0}
    lines = api.request("GET", "/api/events", params=common | {"format": "csv"}).text.split("\r\n")
    assert set(OWN_FIELDS) <= set(lines[0].split(","))


def test_its_parameters_are_settings(start_new):
    server = start_new("--programs", NAME, "--set", f"{NAME}.from_port=1",
                       "--set", f"{NAME}.only_pid={os.getpid()}")
    before = ledger(server, NAME)
    _, free = bind("127.0.0.1")
    bind("127.0.0.1", free)
    [event] = server.events(NAME, 1, pid=os.getpid())
    assert event["local_port"] == free
    after = ledger(server, NAME)
    assert after["stored"] - before["stored"] == 1
    assert after["filtered"] - before["filtered"] >= 1
    response = server.api.request("PATCH", f"/api/programs/{NAME}",
                                  body=b'{"parameters":{"from_port":0}}')
    assert response.status == 200, response.text
    bind("127.0.0.1")
    server.events(NAME, 2, pid=os.getpid())
