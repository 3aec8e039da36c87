# SPDX-License-Identifier: MIT
"""Counts of instructions that must not grow unnoticed."""
