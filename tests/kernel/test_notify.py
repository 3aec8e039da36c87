# SPDX-License-Identifier: MIT
"""What a service manager hears: sd_notify(3)."""
import os
import signal
import socket

import pytest

from harness.wait import wait_for


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    name = str(tmp_path / "notify") if request.param == "path" else f"\0test-notify-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name)
        listener.settimeout(20)
        yield listener, name.replace("\0", "@")


def test_the_manager_hears_of_each_change(manager, start_server):
    listener, path = manager
    server = start_server(environment={"NOTIFY_SOCKET": path})
    assert listener.recv(1000) == b"READY=1"
    server.process.send_signal(signal.SIGHUP)
    reloading = listener.recv(1000).split(b"\n")
    assert reloading[0] == b"RELOADING=1" and reloading[1].startswith(b"MONOTONIC_USEC=")
    assert listener.recv(1000) == b"READY=1"
    server.process.terminate()
    assert listener.recv(1000) == b"STOPPING=1"


def test_a_manager_that_is_not_there_is_one_line(start_server):
    server = start_server(environment={"NOTIFY_SOCKET": "/nosuch/socket"})
    wait_for(lambda: any(b"warn telling the service manager: No such file" in line
                         for line in server.log), "the line")
