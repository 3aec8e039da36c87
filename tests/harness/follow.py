# SPDX-License-Identifier: MIT
"""Many readers of /api/events/stream at once, by tests/tools/follow.c."""
import contextlib
import json
import subprocess

from . import tools
from .client import query_string
from .wait import wait_for


class Follow:
    """One stream for each query (a dict of parameters), all being read until the end."""

    def __init__(self, api, queries):
        queries = [query_string(query) or "-" for query in queries]
        self.process = subprocess.Popen([tools.tool("follow"), str(api.port), *queries],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "following\n", self.process.wait()

    def _say(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def counts(self):
        """[{"events", "missed", "unfiltered", "unknown", "open"}], one a query, as of now."""
        return self._say("")["clients"]

    def latency(self):
        """{"count", "median", "p99"} of events since the last reset(), in ns."""
        return self._say("latency")["latency_ns"]

    def reset(self):
        self._say("reset")

    def pause(self):
        """Nothing is read from now on."""
        self._say("pause")

    def resume(self):
        self._say("resume")

    def wait_for(self, totals, deadline=30.0):
        """Waits until every client was given or told so many; returns the counts. More is a
        failure."""
        def arrived():
            counts = self.counts()
            have = [count["events"] + count["missed"] for count in counts]
            assert all(one <= total for one, total in zip(have, totals)), (have, totals, counts)
            return have == list(totals) and counts
        return wait_for(arrived, f"{len(totals)} streams to have all of {totals[:8]}…", deadline)

    def close(self):
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def following(api, queries):
    follow = Follow(api, queries)
    try:
        yield follow
    finally:
        follow.close()
