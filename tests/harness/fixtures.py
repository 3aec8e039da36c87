# SPDX-License-Identifier: MIT
"""The fixtures, known to every test of the project (see /conftest.py)."""
import contextlib
import os

import pytest

from . import tools
from .calls import Calls
from .network import Network
from .server import Server
from .wait import wait_for as wait


def pytest_collection_modifyitems(items):
    if items and os.geteuid() != 0:
        raise pytest.UsageError("these tests load eBPF programs: run them as root (make test)")


@contextlib.contextmanager
def servers():
    """A function that starts servers; all are stopped and looked through at the end."""
    started = []

    def start(*arguments, ready=True, **keywords):
        server = Server(*arguments, **keywords)
        started.append(server)
        return server.wait_until_ready() if ready else server

    failures = []
    try:
        yield start
    finally:
        for server in reversed(started):
            try:
                if server.process.returncode is None:
                    server.stop()
            except AssertionError as error:
                failures.append(str(error))
            print(f"server {server.pid}:\n{server.log_text()}")
    assert not failures, "\n".join(failures)


@pytest.fixture
def start_server():
    """start_server("--programs", "connection", …) → Server, ready. ready=False does not wait.

    A server that the test itself stopped, or that ended, is left to the test's own assertions.
    """
    with servers() as start:
        yield start


@pytest.fixture
def server(start_server):
    """A server with the default programs, for one test alone."""
    return start_server()


@pytest.fixture(scope="module")
def shared_server():
    """One server with the default programs for all tests of a module: they may add events and
    look, but change nothing."""
    with servers() as start:
        yield start()


@pytest.fixture
def api(server):
    """api("/api/events", pid=1) → JSON; more in harness.client.Client."""
    return server.api


@pytest.fixture
def network():
    """Makes network namespaces: network.pair(), network.namespace(), network.veth(…)."""
    network = Network()
    try:
        yield network
    finally:
        network.close()


@pytest.fixture
def netns(network):
    """Two namespaces joined by a veth pair: 10.77.0.1, fd77::1 and 10.77.0.2, fd77::2."""
    return network.pair()


@pytest.fixture
def start_trigger():
    """Starts triggers that wait or stay; see harness.tools.Trigger. Killed at the end."""
    triggers = []

    def start(*arguments, **options):
        triggers.append(tools.Trigger(*arguments, **options))
        return triggers[-1]

    yield start
    for trigger in triggers:
        trigger.kill()


@pytest.fixture
def calls():
    """calls("read=3", "write=5", threads=2) → harness.calls.Calls that wait; ended at the end."""
    started = []

    def start(*orders, **options):
        started.append(Calls(*orders, **options))
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture
def trigger():
    """trigger("tcp4", "127.0.0.1:1", count=3) → Made; see harness.tools.trigger."""
    return tools.trigger


@pytest.fixture
def storm():
    return tools.storm


@pytest.fixture
def wait_for():
    return wait
