# SPDX-License-Identifier: MIT
"""docs/program-development.md, followed to the letter: its files, its commands, and what it says
that they show. Only its settings (paths, process id, address) are this test's."""
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys

import pytest

from harness import exposition
from harness.server import server_binary
from harness.sockets import socket_in
from harness.tools import ROOT

GUIDE = ROOT / "docs" / "program-development.md"
FENCE = re.compile(r"^```(\w+) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DEADLINE = 60
BUILT_IN = "connection,packet_drop,tcp_connect"
BLOCKS = {(language, name): text for language, name, text in FENCE.findall(GUIDE.read_text())}
PROGRAMS = [name.removesuffix(".bpf.c") for language, name in BLOCKS if language == "c"]


class Reader:
    """Somebody with the guide, a folder, and a server."""

    def __init__(self, folder, start_server, wait_for):
        self.folder = folder
        self.wait_for = wait_for
        self.programs = folder / "programs"
        self.start_server = start_server
        self.server = None
        # What the guide has done before there is a server: the directory.
        self.run("sh", "", settings=f"programs={self.programs}\n")

    def start(self, *arguments, **keywords):
        self.server = self.start_server("--disable", BUILT_IN, "--program-dir", self.programs,
                                        "--log-level", "info", *arguments, **keywords)
        return self.server

    def run(self, language, name, settings=None):
        """The output of a block, run as it stands by a shell that knows the settings."""
        server = self.server
        if settings is None:
            settings = "".join(f"{variable}={shlex.quote(str(value))}\n" for variable, value in {
                "sdk": ROOT / "programs" / "include", "programs": self.programs,
                "server": server.pid,
                "api": f"http://{server.api.host}:{server.api.port}"}.items())
        inside = server.namespace.command() if server and server.namespace else ()
        result = subprocess.run([*inside, "sh", "-eu", "-c", settings + BLOCKS[language, name]],
                                cwd=self.folder, text=True, capture_output=True, timeout=DEADLINE)
        assert result.returncode == 0, f"{name}: {result.stdout}{result.stderr}"
        assert not result.stderr, f"{name}: {result.stderr}"
        return result.stdout

    def build(self, name):
        """Writes the file, and follows the commands; returns once the program runs."""
        (self.folder / f"{name}.bpf.c").write_text(BLOCKS["c", f"{name}.bpf.c"])
        self.run("sh", f"build {name}")


@pytest.fixture
def reader(tmp_path, start_server, wait_for):
    return Reader(tmp_path, start_server, wait_for)


@pytest.fixture
def built(reader, wait_for):
    """built("name", "--option", …) → the reader, whose server runs that program, dropped in while
    it ran, with these parameters."""
    def build(name, *arguments, parameters=None, **keywords):
        server = reader.start(*arguments, **keywords)
        reader.build(name)
        path = f"/api/programs/{name}"

        def tried():
            response = server.api.request("GET", path)
            return response.status == 200 and response.json()["status"] != "loading" and response
        shown = wait_for(tried, f"{name} to be tried").json()
        assert (shown["status"], shown["error"]) == ("running", None)
        if parameters:
            body = json.dumps({"parameters": parameters}).encode()
            assert server.api.request("PATCH", path, body=body).status == 200
        return reader
    return build


def answers(output):
    """The JSON texts that a block printed, one behind the other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(output.rstrip()):
        answer, at = decoder.raw_decode(output, at)
        found.append(answer)
        at += len(output[at:]) - len(output[at:].lstrip())
    return found


def test_it_is_whole():
    """Each file has its commands; a block that no test knows is no guide."""
    assert len(BLOCKS) == len(FENCE.findall(GUIDE.read_text())), "a name twice"
    for name in PROGRAMS:
        assert ("sh", f"build {name}") in BLOCKS and ("sh", f"try {name}") in BLOCKS, name
    known = {("sh", "settings"), ("sh", ""), ("json", ""), ("sh", "parameters file_open"),
             ("text", "printed"), ("text", "metrics"), ("python", "test_signal_sent.py")}
    of_programs = {key for name in PROGRAMS for key in (
        ("c", f"{name}.bpf.c"), ("sh", f"build {name}"), ("sh", f"try {name}"))}
    assert set(BLOCKS) == known | of_programs
    assert PROGRAMS[0] == "signal_sent" and \
        len(BLOCKS["c", "signal_sent.bpf.c"].splitlines()) < 30


def test_the_settings_are_those_of_a_plain_server(tmp_path):
    """The one block that the tests replace, as far as it does not need the machine to itself."""
    shown = subprocess.run(
        ["sh", "-euc", BLOCKS["sh", "settings"].replace("$(pgrep", "$(echo pgrep") +
         'echo "$sdk|$programs|$server|$api"'],
        cwd=ROOT, text=True, capture_output=True, check=True)
    assert shown.stdout.strip().split("|") == [
        f"{ROOT}/programs/include", "/etc/ebpf-server/programs", "pgrep -o -x ebpf-server",
        "http://127.0.0.1:8080"]
    usage = subprocess.run([server_binary(), "--help"], text=True, capture_output=True, check=True)
    assert "/etc/ebpf-server/programs" in usage.stdout and "127.0.0.1:8080" in usage.stdout


def test_the_first_program(built):
    reader = built("signal_sent")
    [answer] = answers(reader.run("sh", "try signal_sent"))
    [event] = answer["events"]
    assert (event["command"], event["signal"]) == ("sh", 0)
    assert event["pid"] == event["tid"] == event["target_pid"]
    shown = re.findall(r'"(\w+)":', BLOCKS["json", ""])
    assert shown == ["events", *(name for name in event if name in shown)], "fields in order"
    # Gone with its file.
    (reader.programs / "signal_sent.bpf.o").unlink()
    os.kill(reader.server.pid, signal.SIGHUP)
    reader.wait_for(lambda: reader.server.api("/api/programs/signal_sent")["status"] == "disabled",
                    "signal_sent to be unloaded")
    assert len(reader.server.events("signal_sent", 1, pid=event["pid"])) == 1


def test_events_and_parameters(built):
    reader = built("file_open")
    [answer] = answers(reader.run("sh", "try file_open"))
    [event] = answer["events"]
    assert (event["command"], event["path"], event["return_code"], event["error"]) == \
        ("cat", "/nonesuch/file", -2, "ENOENT")
    assert event["flags"].startswith("0x") and 0 < event["duration_ns"] < 10 ** 10
    assert reader.server.api("/api/events?type=file_open&path=/dev/null")["count"] == 0
    changed, answer = answers(reader.run("sh", "parameters file_open"))
    values = {one["name"]: one["value"] for one in changed["parameters"]}
    assert values["successes"] is True
    assert {"only_pid", "only_uid", "only_command", "sample"} < set(values)
    [event] = answer["events"]
    assert event["return_code"] >= 3 and event["error"] is None


def test_printing(built, wait_for):
    reader = built("file_open", "--print", parameters={"only_command": "cat"})
    output = reader.server.output
    reader.run("sh", "try file_open")
    opening, line = BLOCKS["text", "printed"].splitlines()
    wait_for(lambda: line.encode() in output, f"{line!r} in {output}")
    first = output[0].decode()
    assert re.sub(r"\d+", "N", first) == re.sub(r"\d+", "N", opening)


def test_metrics(built):
    reader = built("fsync")
    hook = reader.server.api("/api/programs/fsync")["hook"]
    assert "sys_exit_fsync" in hook and "sys_enter_fsync" not in hook
    shown = [line for line in reader.run("sh", "try fsync").splitlines() if 'comm="dd"' in line]
    shown = [re.sub(r'pid="\d+"', 'pid="4711"', line) for line in shown]
    for line in BLOCKS["text", "metrics"].splitlines():
        assert line in shown
    assert "sys_enter_fsync" in reader.server.api("/api/programs/fsync")["hook"]
    family = exposition.parse(
        reader.server.api.request("GET", "/metrics").body)["ebpf_server_fsync_latency_seconds"]
    assert family.type == "histogram" and family.help == "Time from entry to exit"


def test_fallbacks(built):
    reader = built("process_start", parameters={"only_command": "sh"})
    program, answer = answers(reader.run("sh", "try process_start"))
    hooks = ["fentry/wake_up_new_task", "tp_btf/sched_process_fork"]
    assert program["hook"] in hooks
    if program["hook"] == hooks[0]:
        assert program["fallback_reason"] is None
    else:
        assert program["fallback_reason"].startswith(f"{hooks[0]}: ")
    assert answer["events"]
    for event in answer["events"]:
        assert event["command"] == "sh" and event["child_pid"] == event["child_tid"]
        assert event["child_pid"] != event["pid"]


def test_network_interfaces(built, netns):
    near, far = netns
    interface = "veth0"
    reader = built("packet_count", "--interface", interface, namespace=near)
    for sender, receiver in (near, "10.77.0.2"), (far, "10.77.0.1"):
        with socket_in(sender, socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            for _ in range(7):
                datagrams.sendto(b"guide", (receiver, 7))
    shown = reader.run("sh", "try packet_count")
    for direction in "ingress", "egress":
        [count] = re.findall(rf'^ebpf_server_packet_count_packets_total{{direction="{direction}",'
                             rf'interface="{interface}"}} (\d+)$', shown, re.MULTILINE)
        assert int(count) >= 7


def test_its_test(reader):
    """The guide's own test passes, and can fail: with a program that reports another number."""
    (reader.folder / "test_signal_sent.py").write_text(BLOCKS["python", "test_signal_sent.py"])
    # The server of that test finds the program in the directory, as if it were built in.
    wrapper = reader.folder / "server"
    wrapper.write_text(f'#!/bin/sh\nexec {server_binary()} --program-dir {reader.programs} "$@"\n')
    wrapper.chmod(0o755)
    reader.start()
    for source, status in ((BLOCKS["c", "signal_sent.bpf.c"], 0), (BLOCKS[
            "c", "signal_sent.bpf.c"].replace("event->signal = signal", "event->signal = 23"), 1)):
        (reader.folder / "signal_sent.bpf.c").write_text(source)
        reader.run("sh", "build signal_sent")
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "harness.fixtures", "-p",
             "no:cacheprovider", "test_signal_sent.py"], cwd=reader.folder, text=True,
            capture_output=True, timeout=DEADLINE, env=os.environ | {
                "EBPF_SERVER_BINARY": str(wrapper), "PYTHONPATH": str(ROOT / "tests")})
        assert result.returncode == status, result.stdout + result.stderr
