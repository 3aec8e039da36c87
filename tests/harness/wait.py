# SPDX-License-Identifier: MIT
"""The one place where tests wait: for a condition, never for a time."""
import time

DEADLINE = 10.0
_PAUSE = 0.005
_LONGEST_PAUSE = 0.1


def wait_for(condition, what="the condition", deadline=DEADLINE):
    """Returns the first true value of condition(), asked again and again for `deadline` seconds.

    Fails with `what` and with the last value otherwise. An AssertionError of the condition counts
    as "not yet", and is the one that is raised at the end.
    """
    end = time.monotonic() + deadline
    pause = _PAUSE
    while True:
        refusal = None
        try:
            value = condition()
        except AssertionError as error:
            value, refusal = None, error
        if value:
            return value
        if time.monotonic() >= end:
            raise refusal or AssertionError(f"{what}: not within {deadline} s; last: {value!r}")
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
