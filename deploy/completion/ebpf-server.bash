# SPDX-License-Identifier: MIT
# Completion for bash: the options that --help names, by bash-completion's own reader of such texts.
complete -F _longopt ebpf-server monitor_ebpf_loader monitor_ebpf_reader
