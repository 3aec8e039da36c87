# SPDX-License-Identifier: MIT
"""At the top, so that tests beside a program have the fixtures too."""
import pytest

pytest.register_assert_rewrite("harness")
pytest_plugins = ["harness.fixtures"]
