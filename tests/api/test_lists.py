# SPDX-License-Identifier: MIT
"""The routes of lists on the real server: every answer to the letter, and how fast many entries
are. What they do in the kernel is in tests/kernel/test_ip_list.py."""
import json
import time

import pytest

MANY = 10_007
LIMIT = 65_536


def post(server, path, body=None):
    response = server.api.request("POST", path, body=None if body is None
                                  else json.dumps(body).encode())
    assert response.status == 200, f"{path}: {response.status} {response.text}"
    return response.json()


@pytest.fixture
def server(shared_server):
    post(shared_server, "/clear_ip_list", {"clear_ip_list": True})
    post(shared_server, "/clear_pid_list")
    return shared_server


def test_addresses(server):
    assert post(server, "/add_ips", {"add_ips": [1, "10.0.0.0/8", "2001:db8::1"]}) == {
        "message": "IPs added successfully", "added_ips": [1, "10.0.0.0/8", "2001:db8::1"],
        "total_ips": 3}
    assert post(server, "/add_ips", {"add_ips": [1, 2]}) == {
        "message": "IPs added successfully", "added_ips": [1, 2], "total_ips": 4}
    assert post(server, "/print_all_ips", {"print_all_ips": True}) == {
        "message": "All IPs retrieved successfully",
        "ips": [1, "10.0.0.0/8", "2001:db8::1", 2], "total_ips": 4}
    assert post(server, "/clear_ip_list", {"clear_ip_list": False})["total_ips"] == 4
    assert post(server, "/clear_ip_list", {"clear_ip_list": True}) == {
        "message": "IP list cleared successfully", "total_ips": 0}


def test_processes(server):
    assert post(server, "/add_pids", {"pids": [1, 4711]}) == {
        "message": "PIDs added successfully", "added_pids": [1, 4711], "total_pids": 2}
    assert post(server, "/set_print_all", {"print_all": True}) == {
        "message": "print_all set successfully", "print_all": True}
    assert server.api("/target_pids") == {
        "message": "All PIDs retrieved successfully", "target_pids": [1, 4711],
        "pids": [1, 4711], "total_pids": 2, "print_all": True}
    assert post(server, "/clear_pid_list", {"clear_pid_list": True}) == {
        "message": "PID list cleared successfully", "total_pids": 0}
    post(server, "/set_print_all", {"print_all": False})
    assert server.api("/target_pids")["print_all"] is False


def test_bad_input_names_what_is_wrong(server):
    response = server.api.request("POST", "/add_ips", body=b'{"add_ips":[1,"10.0.0.256"]}')
    assert response.status == 400
    answer = response.json()
    assert answer["error"] == "Invalid JSON format"
    assert "add_ips[1]" in answer["message"] and "10.0.0.256" in answer["message"]
    assert post(server, "/print_all_ips", {"print_all_ips": True})["ips"] == []


def test_ten_thousand_at_once(server):
    begin = time.monotonic()
    assert post(server, "/add_ips", {"add_ips": list(range(MANY))})["total_ips"] == MANY
    took = time.monotonic() - begin
    print(f"{MANY} entries in {took * 1000:.0f} ms")
    # Hundreds of times what it takes, even with sanitisers on a busy machine.
    assert took < 10
    assert post(server, "/print_all_ips", {"print_all_ips": True})["ips"] == list(range(MANY))


def test_a_full_list(server):
    for first in range(0, LIMIT, 4096):
        total = post(server, "/add_ips", {"add_ips": list(range(first, first + 4096))})["total_ips"]
        assert total == first + 4096
    response = server.api.request("POST", "/add_ips", body=b'{"add_ips":["::1",1]}')
    assert response.status == 400
    assert response.json() == {
        "error": "Bad Request",
        "message": f"the list is full: it holds {LIMIT} of at most {LIMIT} entries, and there is "
                   "room for 0 more; nothing was added"}
    # What is there may be said again.
    assert post(server, "/add_ips", {"add_ips": [LIMIT - 1]})["total_ips"] == LIMIT


def test_every_route_in_a_line(server, document):
    answer = server.api("/apis")
    assert set(answer) == {"available_apis", "usage"}
    lines = {tuple(line.split(" - ", 1)[0].split(" ")) for line in answer["available_apis"]}
    assert lines == {(method.upper(), path) for path, item in document["paths"].items()
                     for method in item if method in ("get", "post", "patch", "put", "delete")}
    assert answer["usage"]["add_ips"] == {
        "method": "POST", "body": {"add_ips": [1, "10.0.0.0/8", "2001:db8::1"]}}
    assert answer["usage"]["apis"] == {"method": "GET", "body": None}
