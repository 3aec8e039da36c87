# SPDX-License-Identifier: MIT
"""What the system tests stand on: a real server, real triggers, real network namespaces."""
