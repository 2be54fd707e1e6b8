"""The suite of stores over a real etcd: one node here; three nodes, and TLS with a password, among the interop tests."""

from collections.abc import Iterator

import pytest

from callboard.testing.etcd import Etcd
from callboard.testing.store_suite import CASES, Case, check
from tests.store.etcd_harness import EtcdHarness
from tests.support import run


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with Etcd.running(tmp_path_factory.mktemp("etcd")) as etcd:
        yield etcd


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with Etcd.running(tmp_path_factory.mktemp("etcd"), nodes=3, sound=True) as etcd:
        yield etcd


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with Etcd.running(tmp_path_factory.mktemp("etcd"), secure=True, sound=True) as etcd:
        yield etcd


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_node(case: Case, one: Etcd) -> None:
    run(check(case, EtcdHarness(one)))


@pytest.mark.interop
@pytest.mark.parametrize("case", CASES, ids=str)
def test_three_nodes(case: Case, three: Etcd) -> None:
    run(check(case, EtcdHarness(three)))


@pytest.mark.interop
@pytest.mark.parametrize("case", CASES, ids=str)
def test_tls_and_password(case: Case, secure: Etcd) -> None:
    run(check(case, EtcdHarness(secure)))
