# SPDX-License-Identifier: MIT
"""What tests of bad input share: requests by /openapi.json, and what a refusal has to look like."""

PROGRAM = "connection"
# Parameters that take any text there is. All other texts have a form.
FREE_TEXT = {"command", "process_name"}
# Names of one and the same parameter.
ALIASES = [{"duration", "duration_seconds"}, FREE_TEXT]
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
    assert answer["error"] == ERRORS[status], case
    assert answer["message"], case
    if names:
        assert any(name.lower() in answer["message"].lower() for name in names), \
            f"{case}: names none of {names}: {answer['message']}"
