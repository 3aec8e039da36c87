# SPDX-License-Identifier: MIT
"""Programs that a test writes itself."""
import subprocess

from .tools import ROOT

COMPILE_DEADLINE = 60


def compile_object(folder, name, source):
    """With clang, the headers of programs/include and those of libbpf; returns the bytes."""
    (folder / f"{name}.bpf.c").write_text(source)
    target = folder / f"{name}.bpf.o"
    subprocess.run(
        ["clang", "-target", "bpf", "-mcpu=v2", "-O2", "-g", "-std=gnu17", "-nostdlibinc",
         "-isystem", ROOT / "build/bpf/include", "-I", ROOT / "programs/include",
         "-D__TARGET_ARCH_x86", "-c", folder / f"{name}.bpf.c", "-o", target],
        check=True, timeout=COMPILE_DEADLINE)
    return target.read_bytes()
