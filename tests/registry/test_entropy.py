# ruff: noqa: SLF001  # what was drawn ahead is nobody's business but this test's
"""Nonces that are drawn for many at once are as good as those that were drawn one by one."""

import base64
import os

import pytest

from callboard.registry.clock import SystemEntropy


def test_a_nonce_is_72_bits_of_its_own() -> None:
    entropy = SystemEntropy()
    nonces = [entropy.nonce() for _ in range(1000)]
    assert len(set(nonces)) == len(nonces)
    assert all(len(base64.urlsafe_b64decode(nonce)) == 9 for nonce in nonces)


def test_two_registries_of_one_process_share_none() -> None:
    one, other = SystemEntropy(), SystemEntropy()
    assert not {one.nonce() for _ in range(300)} & {other.nonce() for _ in range(300)}


def test_a_process_that_was_forked_draws_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    entropy = SystemEntropy()
    entropy.nonce()
    drawn = list(entropy._drawn)
    process = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: process + 1)  # as a fork sees it, without forking a process that has threads
    assert not {entropy.nonce() for _ in range(len(drawn))} & set(drawn)
