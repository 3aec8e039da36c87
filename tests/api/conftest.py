# SPDX-License-Identifier: MIT
"""What the tests of the API share besides tests/harness."""
import pytest

from harness.processes import child_of
from harness.server import SANITISER


@pytest.fixture(scope="module")
def document(shared_server):
    return shared_server.api("/openapi.json")


@pytest.fixture(scope="module")
def fields(shared_server):
    """{name: what /api/schema says of the field}, of all types."""
    return {field["name"]: field for stream in shared_server.api("/api/schema")["streams"]
            for field in stream["fields"]}


def programs(server):
    return {program["name"]: (program["status"], program["enabled"],
                              [(item["name"], item["value"]) for item in program["parameters"]])
            for program in server.api("/api/programs")["programs"]}


@pytest.fixture(scope="module")
def at_first(shared_server):
    return child_of(shared_server), programs(shared_server)


@pytest.fixture
def unharmed(shared_server, at_first):
    """The server is none the worse for the test."""
    yield
    assert shared_server.process.poll() is None, shared_server.log_text()
    assert child_of(shared_server) == at_first[0], "the server died:\n" + shared_server.log_text()
    assert not [line for line in list(shared_server.log) if SANITISER.search(line)], \
        shared_server.log_text()
    assert shared_server.api("/health")["status"] == "healthy"
    assert programs(shared_server) == at_first[1], "bad input changed a program"
