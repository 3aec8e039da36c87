# SPDX-License-Identifier: MIT
"""Every way in which a start is refused: one line on standard error that says what to do, the
documented exit status (2: wrong usage, 1: the machine), nothing on standard output, nothing of
libbpf's.

`pytest -s` prints the lines, for people to read aloud.
"""
import contextlib
import ctypes
import re
import shutil
import socket
import threading

import pytest

from harness.client import Client
from harness.kernel import bpf_leftovers, bpf_objects
from harness.starts import FAILURE, USAGE, refusal, run

LOOPBACK = ["--addr", "127.0.0.1:0", "--metrics-addr", "127.0.0.1:0"]
CLONE_NEWNET = 0x40000000
NOBODY = "65534"


def in_namespace(namespace, function):
    """Runs a function in a thread that is inside a network namespace; sockets that it makes stay
    there."""
    outcome = []

    def enter():
        with open(namespace.path, "rb") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                outcome.append((None, OSError(ctypes.get_errno(), "setns")))
                return
        try:
            outcome.append((function(), None))
        except Exception as error:  # handed to the thread that asked
            outcome.append((None, error))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    value, error = outcome[0]
    if error:
        raise error
    return value


def listener(port=0):
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", port))
    taken.listen()
    return taken


# ---- the machine: exit status 1 ----

def test_api_port_in_use():
    with listener() as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = refusal(FAILURE, "--addr", address, "--metrics-addr", "127.0.0.1:0")
    assert f"{address} is already in use" in line
    assert "--addr" in line


def test_default_api_port_in_use(network):
    namespace = network.namespace()
    with contextlib.closing(in_namespace(namespace, lambda: listener(8080))):
        line = refusal(FAILURE, prefix=namespace.command())
    assert "127.0.0.1:8080 is already in use" in line and "--addr" in line


def test_metrics_port_that_was_asked_for_in_use():
    with listener() as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = refusal(FAILURE, "--addr", "127.0.0.1:0", "--metrics-addr", address)
    assert f"{address} is already in use" in line
    assert "--metrics-addr" in line


def test_default_metrics_port_in_use_is_a_warning(network, start_server, wait_for):
    """Prometheus itself likes 9090. In a namespace of its own, where the defaults are free."""
    namespace = network.namespace()
    with contextlib.closing(in_namespace(namespace, lambda: listener(9090))):
        server = start_server("--log-level", "info", defaults=False, ready=False,
                              command_prefix=namespace.command())
        wait_for(lambda: server.address(b"API"), "the API's address")
        api = Client("127.0.0.1", 8080)

        def ready():
            try:
                return api.request("GET", "/readiness").status == 200
            except OSError:
                return False

        wait_for(lambda: in_namespace(namespace, ready), "/readiness on the default port", 20.0)
        [warning] = [line.decode() for line in server.log if b" warn " in line]
        print(f"\n    {warning}")
        assert "127.0.0.1:9090 is in use" in warning and "--metrics-addr" in warning
        server.stop()


def test_address_that_is_not_of_this_machine():
    line = refusal(FAILURE, "--addr", "192.0.2.1:0", "--metrics-addr", "127.0.0.1:0", "--insecure")
    assert "192.0.2.1:0 is no address of this machine" in line and "--addr" in line


def test_not_root():
    assert shutil.which("setpriv"), "util-linux is missing: make deps-test"
    line = refusal(FAILURE, *LOOPBACK, prefix=["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                                               "--clear-groups"])
    assert "CAP_BPF" in line and "root" in line and "sudo" in line


def test_root_without_capabilities():
    line = refusal(FAILURE, *LOOPBACK,
                   prefix=["setpriv", "--bounding-set=-all", "--inh-caps=-all"])
    assert "CAP_BPF" in line


def test_kernel_without_btf():
    hidden = "mount -t tmpfs none /sys/kernel/btf && exec \"$@\""
    line = refusal(FAILURE, *LOOPBACK, prefix=["unshare", "--mount", "sh", "-c", hidden, "sh"])
    assert "/sys/kernel/btf/vmlinux" in line and "CONFIG_DEBUG_INFO_BTF" in line


# ---- the command line: exit status 2 ----

@pytest.mark.parametrize("arguments, said", [
    (["--programs", "nosuch"], ["--programs", '"nosuch"', "connection, icmp, packet_drop"]),
    (["--enable", "connection,nosuch"], ["--enable", '"nosuch"', "connection, icmp, packet_drop"]),
    (["--disable", "nosuch"], ["--disable", '"nosuch"', "connection, icmp, packet_drop"]),
    (["--programs", "a/b"], ["--programs", "'a/b'"]),
    (["--enable", "connection", "--disable", "connection"], ["'connection'", "both"]),
    (["--nosuch"], ["'--nosuch'", "--help"]),
    (["--porgrams", "connection"], ["'--porgrams'", "did you mean '--programs'"]),
    (["-x"], ["'-x'"]),
    (["stray"], ["'stray'"]),
    (["--addr"], ["--addr", "needs a value"]),
    (["--addr", "nonsense"], ["--addr", "nonsense"]),
    (["--addr", "127.0.0.1:65536"], ["--addr", "65536"]),
    (["--addr", "example.org:80"], ["--addr", "example.org"]),
    (["--memory", "lots"], ["--memory", "'lots'", "64MiB"]),
    (["--memory", "1KiB"], ["--memory", "'1KiB'", "at least 8MiB"]),
    (["--ring-size", "100000"], ["--ring-size", "'100000'", "power of two"]),
    (["--log-level", "loud"], ["--log-level", "'loud'", "error, warn, info or debug"]),
    (["--print=xml"], ["--print", "'xml'", "text, json"]),
    (["--insecure=maybe"], ["--insecure", "'maybe'", "true or false"]),
    (["--help=yes"], ["--help", "no value"]),
    (["--interface", "a/b"], ["--interface", "'a/b'"]),
    (["--set", "connection.nosuch=1"], ["--set", '"nosuch"', "only_pid", "sample"]),
    (["--set", "nosuch.sample=1"], ["--set", '"nosuch"', "connection, icmp, packet_drop"]),
    (["--set", "connection.sample=many"], ["--set", "connection.sample", '"many"',
                                           "0..4294967295"]),
    (["--set", "connection.sample=-1"], ["--set", "connection.sample", '"-1"']),
    (["--set", "connection.sample=4294967296"], ["connection.sample", '"4294967296"']),
    (["--set", "packet_drop.include_unspecified=2"], ["packet_drop.include_unspecified", '"2"']),
    (["--set", "connection.only_command=a-name-of-16-byte"], ["connection.only_command"]),
    (["--set", "connection"], ["--set", "connection"]),
    (["--config", "/nonexistent.conf"], ["/nonexistent.conf", "No such file"]),
    (["--config", "/"], ["/", "directory"]),
], ids=lambda value: " ".join(value)[:40] if value and value[0].startswith("-") else "")
def test_command_line(arguments, said):
    line = refusal(USAGE, *LOOPBACK, *arguments)
    for text in said:
        assert text in line, f"{text!r} is not in {line!r}"


@pytest.mark.parametrize("address", [":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
def test_address_that_others_can_reach_needs_insecure(address):
    line = refusal(USAGE, "--addr", address, "--metrics-addr", "127.0.0.1:0")
    assert "--addr" in line and address in line and "--insecure" in line


def test_insecure_allows_it(start_server):
    server = start_server("--addr", ":0", "--metrics-addr", "off", "--insecure", defaults=False)
    assert server.api.host in ("0.0.0.0", "::")
    assert server.api("/health")["status"] == "healthy"


@pytest.mark.parametrize("name, value, said", [
    ("MEMORY", "lots", "'lots'"), ("PROGRAMS", "nosuch", '"nosuch"'), ("ENABLE", "nosuch",
                                                                       '"nosuch"'),
    ("SET", "connection.sample=many", '"many"'), ("CONFIG", "/nonexistent.conf", "No such file"),
])
def test_environment(name, value, said):
    line = refusal(USAGE, *LOOPBACK, environment={f"EBPF_SERVER_{name}": value})
    assert said in line
    assert f"EBPF_SERVER_{name}: " in line or name == "CONFIG", line


# ---- the configuration file: exit status 2, with the line's number ----

@pytest.mark.parametrize("number, text, said", [
    (2, "[server]\nnosuch = 1\n", ["'nosuch'", "[server]"]),
    (3, "[server]\n# a comment\nmemroy = 64MiB\n", ["'memroy'", "did you mean 'memory'"]),
    (4, "\n\n[server]\nmemory = lots\n", ["'lots'"]),
    (2, "[server]\nmemory\n", ["[section]", "name = value"]),
    (1, "memory = 64MiB\n", ["'memory'", "[server]"]),
    (2, "[server]\nset = connection.sample=1\n", ["[PROGRAM]"]),
    (2, "[server]\nconfig = other\n", ["'config'"]),
    (5, "[server]\nlog-level = info\n\n[connection]\nsample = many\n",
     ["connection.sample", '"many"']),
    (2, "[connection]\nnosuch = 1\n", ["connection", '"nosuch"', "only_pid"]),
    (2, "[nosuch]\nsample = 1\n", ['"nosuch"', "connection, icmp, packet_drop"]),
    (2, "[server]\nprograms = nosuch\n", ['"nosuch"', "connection, icmp, packet_drop"]),
    (3, "[server]\nenable = connection\nenable = nosuch\ndisable = packet_drop\n",
     ['"nosuch"', "connection, icmp, packet_drop"]),
    (2, "[server]\ndisable = nosuch\nprograms = connection\n", ['"nosuch"']),
    (3, "[server]\nmemory = 64MiB\nmem\0ory = 1\n", ["NUL"]),
], ids=range(14))
def test_configuration_file(tmp_path, number, text, said):
    path = tmp_path / "server.conf"
    path.write_text(text)
    line = refusal(USAGE, *LOOPBACK, "--config", path)
    assert line.startswith(f"{path} line {number}: "), line
    for part in said:
        assert part in line, f"{part!r} is not in {line!r}"


# ---- what ends well ----

def test_check_config_of_a_good_configuration(tmp_path):
    path = tmp_path / "server.conf"
    path.write_text("[server]\nmemory = 64MiB\n\n[connection]\nsample = 2\n")
    before = bpf_objects()
    result = run("--check-config", "--config", path)
    print(f"\n    {result.stdout.strip()}")
    assert (result.returncode, result.stdout, result.stderr) == (0, "configuration is valid\n", "")
    assert not bpf_leftovers(before)


def test_check_config_says_what_is_wrong(tmp_path):
    path = tmp_path / "server.conf"
    path.write_text("[connection]\nsample = many\n")
    line = refusal(USAGE, "--check-config", "--config", path)
    assert f"{path} line 2" in line and '"many"' in line
    assert "power of two" in refusal(USAGE, "--check-config", "--ring-size", "3")


def test_check_config_needs_neither_root_nor_ports():
    with listener() as taken:
        result = run("--check-config", "--addr", f"127.0.0.1:{taken.getsockname()[1]}",
                     prefix=["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                             "--clear-groups"])
    assert (result.returncode, result.stdout, result.stderr) == (0, "configuration is valid\n", "")


@pytest.mark.parametrize("option", ["--help", "-help"])
def test_help(option):
    result = run(option)
    assert result.returncode == 0
    assert result.stderr == ""
    assert result.stdout.startswith("Usage: ebpf-server ")
    for name in ("--addr", "--metrics-addr", "--config", "--programs", "--enable", "--disable",
                 "--program-dir", "--interface", "--set", "--print", "--log-level",
                 "--check-config", "--version", "--help", "--insecure", "--memory", "--ring-size"):
        assert re.search(rf"^\s+{name}\b", result.stdout, re.MULTILINE), name
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_version():
    result = run("--version")
    assert result.returncode == 0
    assert result.stderr == ""
    assert re.fullmatch(r"ebpf-server \d+\.\d+\.\d+.*\n", result.stdout)


def test_go_style_options():
    with listener() as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for arguments in (["-addr", address], [f"-addr={address}"]):
            assert f"{address} is already in use" in refusal(
                FAILURE, *arguments, "-metrics-addr=127.0.0.1:0")
