# SPDX-License-Identifier: MIT
"""At the top, so that tests beside a program have the fixtures too."""
pytest_plugins = ["harness.fixtures"]
