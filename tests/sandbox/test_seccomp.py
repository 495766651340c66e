from __future__ import annotations

import errno
import struct

import pytest

from victor.sandbox.seccomp import seccomp_program

ALLOW = 0x7FFF0000
EPERM = 0x00050000 | errno.EPERM
ENOSYS = 0x00050000 | errno.ENOSYS

X86 = 0xC000003E
ARM = 0xC00000B7


def verdict(program: bytes, audit: int, number: int, *arguments: int) -> int:
    """Run a filter as the kernel would."""
    memory = struct.pack("=iIQ6Q", number, audit, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = list(struct.iter_unpack("=HBBI", program))
    at, held = 0, 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        match code:
            case 0x06:
                return int(value)
            case 0x20:
                held = struct.unpack_from("=I", memory, value)[0]
            case 0x15:
                at += if_true if held == value else if_false
            case 0x35:
                at += if_true if held >= value else if_false
            case 0x45:
                at += if_true if held & value else if_false
            case _:
                raise AssertionError(code)


@pytest.mark.parametrize(
    ("machine", "audit", "number", "arguments", "expected"),
    [
        pytest.param("x86_64", X86, 0, (), ALLOW, id="read"),
        pytest.param("x86_64", X86, 250, (), EPERM, id="keyctl"),
        pytest.param("x86_64", X86, 425, (), EPERM, id="io_uring_setup"),
        pytest.param("x86_64", X86, 41, (2, 1), ALLOW, id="socket"),
        pytest.param("x86_64", X86, 56, (0x11,), ALLOW, id="fork"),
        pytest.param("x86_64", X86, 56, (0x10000011,), EPERM, id="clone-user-namespace"),
        pytest.param("x86_64", X86, 272, (0x10020000,), EPERM, id="unshare-user-namespace"),
        pytest.param("x86_64", X86, 272, (0x200,), ALLOW, id="unshare-files"),
        pytest.param("x86_64", X86, 435, (), ENOSYS, id="clone3"),
        pytest.param("x86_64", X86, 16, (0, 0x5412), EPERM, id="type-into-a-terminal"),
        pytest.param("x86_64", X86, 16, (0, 0x1_0000_5412), EPERM, id="type-with-high-bits"),
        pytest.param("x86_64", X86, 16, (0, 0x541C), EPERM, id="console"),
        pytest.param("x86_64", X86, 16, (0, 0x5401), ALLOW, id="ask-a-terminal"),
        pytest.param("x86_64", X86, 0x40000000, (), EPERM, id="x32"),
        pytest.param("x86_64", 0x40000003, 3, (), EPERM, id="32-bit"),
        pytest.param("x86_64", X86, 437, (), ENOSYS, id="openat2"),
        pytest.param("x86_64", X86, 90, (0, 0o755), ALLOW, id="chmod"),
        pytest.param("x86_64", X86, 90, (0, 0o4755), EPERM, id="chmod-setuid"),
        pytest.param("x86_64", X86, 91, (0, 0o2755), EPERM, id="fchmod-setgid"),
        pytest.param("x86_64", X86, 91, (0o6755, 0o1777), ALLOW, id="fchmod-of-a-high-number"),
        pytest.param("x86_64", X86, 268, (0, 0, 0o4755), EPERM, id="fchmodat-setuid"),
        pytest.param("x86_64", X86, 452, (0, 0, 0o4755), EPERM, id="fchmodat2-setuid"),
        pytest.param("x86_64", X86, 85, (0, 0o4755), EPERM, id="creat-setuid"),
        pytest.param("x86_64", X86, 133, (0, 0o104755), EPERM, id="mknod-setuid"),
        pytest.param("x86_64", X86, 259, (0, 0, 0o104755), EPERM, id="mknodat-setuid"),
        pytest.param("x86_64", X86, 2, (0, 0o101, 0o4755), EPERM, id="open-setuid"),
        pytest.param("x86_64", X86, 2, (0, 0o101, 0o644), ALLOW, id="open-new"),
        pytest.param("x86_64", X86, 2, (0, 0, 0o4755), ALLOW, id="open-mode-without-meaning"),
        pytest.param("x86_64", X86, 257, (0, 0, 0o101, 0o2755), EPERM, id="openat-setgid"),
        pytest.param("x86_64", X86, 257, (0, 0, 0o20200002, 0o4755), EPERM, id="openat-unnamed"),
        pytest.param("x86_64", X86, 257, (0, 0, 0o200000, 0o4755), ALLOW, id="openat-directory"),
        pytest.param("x86_64", X86, 258, (0, 0, 0o2755), ALLOW, id="mkdirat-which-drops-it"),
        pytest.param("aarch64", ARM, 52, (0, 0o4755), EPERM, id="arm-fchmod-setuid"),
        pytest.param("aarch64", ARM, 53, (0, 0, 0o4755), EPERM, id="arm-fchmodat-setuid"),
        pytest.param("aarch64", ARM, 452, (0, 0, 0o4755), EPERM, id="arm-fchmodat2-setuid"),
        pytest.param("aarch64", ARM, 33, (0, 0, 0o4755), EPERM, id="arm-mknodat-setuid"),
        pytest.param("aarch64", ARM, 56, (0, 0, 0o101, 0o4755), EPERM, id="arm-openat-setuid"),
        pytest.param("aarch64", ARM, 56, (0, 0, 0, 0o4755), ALLOW, id="arm-openat-no-mode"),
        pytest.param("aarch64", ARM, 437, (), ENOSYS, id="arm-openat2"),
        pytest.param("aarch64", ARM, 219, (), EPERM, id="arm-keyctl"),
        pytest.param("aarch64", ARM, 250, (), ALLOW, id="arm-another"),
        pytest.param("aarch64", ARM, 220, (0x10000000,), EPERM, id="arm-clone-user-namespace"),
        pytest.param("aarch64", ARM, 29, (0, 0x5412), EPERM, id="arm-type"),
    ],
)
def test_filter_decides(
    machine: str, audit: int, number: int, arguments: tuple[int, ...], expected: int
) -> None:
    program = seccomp_program(machine=machine)
    assert program is not None
    assert verdict(program, audit, number, *arguments) == expected


@pytest.mark.parametrize(
    ("machine", "audit", "socket", "modes"),
    [("x86_64", X86, 41, (90, 94, 188, 268, 452)), ("aarch64", ARM, 198, (5, 14, 52, 55, 452))],
)
def test_sockets_and_properties_of_files_can_be_refused(
    machine: str, audit: int, socket: int, modes: tuple[int, ...]
) -> None:
    strict = seccomp_program(machine=machine, sockets=False, files=False)
    usual = seccomp_program(machine=machine)
    assert strict is not None
    assert usual is not None
    for number in (socket, *modes):
        assert verdict(strict, audit, number) == EPERM
        assert verdict(usual, audit, number) == ALLOW


def test_unknown_architecture_has_no_filter() -> None:
    assert seccomp_program(machine="riscv64") is None
