# SPDX-License-Identifier: MIT
"""A `storm` that runs while a test looks."""
import contextlib
import json
import subprocess

from . import tools


class Storm:
    def __init__(self, **options):
        self.process = subprocess.Popen([tools.tool("storm"), *tools.arguments_of(options)],
                                        stdout=subprocess.PIPE)

    @property
    def pid(self):
        return self.process.pid

    def is_running(self):
        return self.process.poll() is None

    def finish(self):
        """Waits for its end; returns what it made, as harness.tools.storm() does."""
        out, _ = self.process.communicate(timeout=tools.TIMEOUT)
        assert self.process.returncode == 0
        return json.loads(out)

    def kill(self):
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def storm(**options):
    """Storm(…), ended at the end."""
    running = Storm(**options)
    try:
        yield running
    finally:
        running.kill()
