# SPDX-License-Identifier: MIT
"""One module a concern. An experiment is run(stand): it hands Figures to stand.figures, or says in
stand.absent why there is none."""
