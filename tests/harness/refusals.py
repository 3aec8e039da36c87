# SPDX-License-Identifier: MIT
"""What tests of bad input share: requests by /openapi.json, and what a refusal has to look like."""

PROGRAM = "connection"
# Parameters that take any text there is. All other texts have a form.
FREE_TEXT = {"command", "process_name"}
# Names of one and the same parameter.
ALIASES = [{"duration", "duration_seconds"}, FREE_TEXT]
# What routes of lists say for a bad request, as their users know it.
LIST_ERROR = "Invalid JSON format"
LIST_PATHS = ("/add_ips", "/clear_ip_list", "/print_all_ips", "/add_pids", "/clear_pid_list",
              "/set_print_all")
ERRORS = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 413: "Content Too Large",
          415: "Unsupported Media Type"}


def target(operation, query=""):
    """What stands in the request line."""
    path = operation.path.replace("{name}", PROGRAM)
    return path + ("?" + query if query else "")


def names_of(parameter):
    """A parameter with its other names."""
    return {parameter}.union(*(names for names in ALIASES if parameter in names))


def assert_refused(response, names, case, status=400):
    """The error's shape, and a message that has one of these names (None: any message)."""
    assert response.status == status, f"{case}: {response.status} {response.text[:300]}"
    answer = response.json()
    assert set(answer) == {"error", "message"}, case
    is_list = status == 400 and any(path in case for path in LIST_PATHS)
    assert answer["error"] == (LIST_ERROR if is_list else ERRORS[status]), case
    assert answer["message"], case
    if names:
        assert any(name.lower() in answer["message"].lower() for name in names), \
            f"{case}: names none of {names}: {answer['message']}"
