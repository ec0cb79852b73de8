import os
import subprocess
import sys

import torch

from kd_core.random import derive, generator


def test_seeds_are_the_same_in_every_version():
    # The head of SHA-256 of "[0]" and of '[7, "order", 3]', by `printf ... | sha256sum`, shifted right by one bit.
    assert derive(0) == 0xD0BCA111F8628137 >> 1
    assert derive(7, "order", 3) == 0xC3E0B7E4B1B84E30 >> 1


def test_seeds_are_the_same_in_every_process():
    code = "from kd_core.random import derive; print(derive(3, 'views', 11))"
    printed = {
        subprocess.check_output([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": h}) for h in ("1", "2")
    }
    assert {int(line) for line in printed} == {derive(3, "views", 11)}


def test_parts_are_told_apart():
    parts = [(0,), (0, "a"), (0, "a", 1), (0, "a", "1"), (0, "a1"), (0, 1, "a"), (1, "a"), (0, "ab", "c"), (0, "a", "bc")]
    assert len({derive(*p) for p in parts}) == len(parts)
    assert all(0 <= derive(seed) < 2**63 for seed in range(100))


def test_a_generator_owes_nothing_to_what_was_drawn_before():
    first = torch.randperm(10, generator=generator(1, "order", 0))
    torch.manual_seed(123)
    torch.rand(5)
    assert torch.equal(first, torch.randperm(10, generator=generator(1, "order", 0)))
    assert not torch.equal(first, torch.randperm(10, generator=generator(1, "order", 1)))
