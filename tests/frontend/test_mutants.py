"""The frontend suite bites: for each property there is a native frontend that is broken in one place, and the suite finds it."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest

from callboard.core.catalog.commands import Command, DeregisterInstance, Register, Target
from callboard.frontend.base import Frontend, Plugin
from callboard.frontend.native import plugin as native
from callboard.frontend.native.errors import ProblemErrors
from callboard.frontend.native.settings import NativeSettings
from callboard.model.errors import InvalidError
from callboard.model.instance import InstanceSpec, NodeSpec
from callboard.model.rows import Revision
from callboard.net.http.message import TEXT, Answer, Content, Handler, Read, Reply, Request, Route
from callboard.registry.registry import Registry
from callboard.registry.submission import Submission
from callboard.testing.frontend_suite import CASES, NotConformingError, check
from callboard.testing.frontend_suite_harnesses import HARNESSES, NativeHarness
from callboard.testing.frontend_suite_kit import Ability, Door, Endpoint, Harness

Wrap = Callable[[Registry, Handler], Handler]


class Mutant(NamedTuple):
    """One fault, and the case that must find it."""

    name: str
    case: str
    harness: Harness


def broken(method: str, path: str, wrap: Wrap) -> Harness:
    """The native frontend with one handler replaced."""

    def build(registry: Registry, settings: NativeSettings) -> Frontend:
        frontend = native.build(registry, settings)

        def altered(route: Route) -> Route:
            here = (route.method, route.path) == (method, path)
            return replace(route, handler=wrap(registry, route.handler)) if here else route

        sites = tuple(replace(site, routes=tuple(altered(route) for route in site.routes)) for site in frontend.sites)
        return replace(frontend, sites=sites)

    harness = NativeHarness()
    harness.plugin = Plugin("native", NativeSettings, build)
    return harness


def altering_reads(path: str, alter: Callable[[Read], Read]) -> Harness:
    """The native frontend with the reads of one route altered."""

    def wrap(_registry: Registry, handler: Handler) -> Handler:
        def altered(request: Request) -> Reply:
            reply = handler(request)
            return alter(reply) if isinstance(reply, Read) else reply

        return altered

    return broken("GET", path, wrap)


def with_index(read: Read, index: Callable[[Content], int]) -> Read:
    def render() -> Content:
        content = read.render()
        return replace(content, index=Revision(index(content)))

    return replace(read, render=render)


def answering(answer: Answer) -> Wrap:
    return lambda _registry, _handler: lambda _request: answer


def raising(error: Exception) -> Wrap:
    def wrap(_registry: Registry, handler: Handler) -> Handler:
        def altered(request: Request) -> Reply:
            if request.body:
                raise error
            return handler(request)

        return altered

    return wrap


def also_doing(make: Callable[[Registry], Command]) -> Wrap:
    """The handler, after a command nobody asked for."""

    def wrap(registry: Registry, handler: Handler) -> Handler:
        def altered(request: Request) -> Reply:
            registry.submit(make(registry))
            return handler(request)

        return altered

    return wrap


def registering(alter: Callable[[Register], Register]) -> Wrap:
    """Registrations are altered on their way to the registry."""

    def wrap(registry: Registry, handler: Handler) -> Handler:
        def altered(request: Request) -> Reply:
            submit = registry.submit

            def submit_altered(command: Command) -> Submission:
                return submit(alter(command) if isinstance(command, Register) else command)

            registry.submit = submit_altered  # type: ignore[method-assign]  # for the length of this call
            try:
                return handler(request)
            finally:
                registry.submit = submit  # type: ignore[method-assign]  # as it was

        return altered

    return wrap


def without_tags(command: Register) -> Register:
    assert command.instance is not None
    spec = command.instance
    stripped = InstanceSpec(service=spec.service, id=spec.id, namespace=spec.namespace, address=spec.address, port=spec.port)
    return Register(nonce=command.nonce, node=command.node, instance=stripped, checks=command.checks, namespace=command.namespace)


def sign_in_an_intruder(_registry: Registry) -> Register:
    home = NodeSpec(name="callboard", address="127.0.0.1", implicit=True)
    return Register(nonce="x", node=home, instance=InstanceSpec(service="intruder", id="intruder"))


class HandsOutEverything(NativeHarness):
    def find(self, door: Door, service: str) -> set[Endpoint]:
        world = door.world
        return {
            Endpoint(placed.instance.address, placed.instance.port) for placed in world.registry.view.of_service("public", service).values()
        }


class OnlyOne(NativeHarness):
    def find(self, door: Door, service: str) -> set[Endpoint]:
        return set(sorted(super().find(door, service))[:1])


class NotWritten(NativeHarness):
    heartbeat = Harness.heartbeat


class NoReason(NativeHarness):
    cannot = dict.fromkeys((Ability.HEARTBEAT,), " ")


class NoSamples(NativeHarness):
    samples = NativeHarness.samples[:-1]


class Unnamed(NativeSettings, frozen=True, kw_only=True):
    """A setting that no README names, without a unit."""

    secret: int = 3


def with_settings() -> Harness:
    harness = NativeHarness()
    harness.plugin = Plugin("native", Unnamed, native.build)
    return harness


def in_folder_of(module: str) -> Harness:
    """The native frontend, as if it stood somewhere else."""

    def build(registry: Registry, settings: NativeSettings) -> Frontend:
        return native.build(registry, settings)

    build.__module__ = module
    harness = NativeHarness()
    harness.plugin = Plugin("native", NativeSettings, build)
    return harness


def elsewhere() -> Harness:
    harness = NativeHarness()
    harness.plugin = Plugin("other", NativeSettings, native.build)
    return harness


def own_form(path: str, alter: Callable[[Answer], Answer]) -> Harness:
    """Errors of the native frontend, altered."""

    class Altered(ProblemErrors):
        def unknown_path(self, request: Request) -> Answer:
            return alter(super().unknown_path(request)) if path == "unknown" else super().unknown_path(request)

        def wrong_method(self, request: Request, allowed: tuple[str, ...]) -> Answer:
            return alter(super().wrong_method(request, allowed)) if path == "method" else super().wrong_method(request, allowed)

        def failure(self, error: Exception) -> Answer:
            return alter(Answer(500, str(error).encode())) if path == "failure" else super().failure(error)

    def build(registry: Registry, settings: NativeSettings) -> Frontend:
        frontend = native.build(registry, settings)
        return replace(frontend, sites=tuple(replace(site, errors=Altered()) for site in frontend.sites))

    harness = NativeHarness()
    harness.plugin = Plugin("native", NativeSettings, build)
    return harness


def as_html(answer: Answer) -> Answer:
    return replace(answer, content_type=b"text/html")


OK = Answer(200, b"{}")
REGISTER = ("PUT", "/api/v1/instances")
MUTANTS = (
    Mutant("loses tags", "registered_through_it_found_through_all", broken(*REGISTER, registering(without_tags))),
    Mutant("registers nothing", "registered_through_it_found_through_all", broken(*REGISTER, answering(OK))),
    Mutant("finds nothing", "registered_through_any_found_through_it", broken("GET", "/api/v1/resolve/", answering(Answer(
        200, b'{"service":"","namespace":"","revision":1,"endpoints":[],"considered":[]}')))),
    Mutant("finds only one", "several_instances_are_told_apart", OnlyOne()),
    Mutant("fails for unknown services", "an_unknown_service_has_no_instances", broken("GET", "/api/v1/resolve/", answering(Answer(404)))),
    Mutant("removes nothing", "deregistered_through_it_gone_everywhere", broken("DELETE", "/api/v1/instances/", answering(OK))),
    Mutant("removes the server", "the_servers_own_entry_is_safe", broken("DELETE", "/api/v1/instances/", also_doing(
        lambda registry: DeregisterInstance(Target(registry.home.node, "consul"))))),
    Mutant("hands out critical ones", "a_critical_instance_is_not_handed_out", HandsOutEverything()),
    Mutant("hands out ones in maintenance", "an_instance_in_maintenance_is_not_handed_out", HandsOutEverything()),
    Mutant("hands out draining ones", "a_draining_instance_is_not_handed_out", HandsOutEverything()),
    Mutant("hears nothing", "a_heartbeat_through_it_revives", broken("PUT", "/api/v1/heartbeat/", answering(OK))),
    Mutant("undeclared", "a_heartbeat_through_it_revives", NotWritten()),
    Mutant("unknown path in HTML", "an_unknown_path_is_told_in_its_own_form", own_form("unknown", as_html)),
    Mutant("wrong method in HTML", "a_wrong_method_is_told_in_its_own_form", own_form("method", as_html)),
    Mutant("wrong method without Allow", "a_wrong_method_is_told_in_its_own_form", own_form("method", lambda a: replace(a, headers=()))),
    Mutant("tells its secrets", "what_http_refuses_is_told_in_its_own_form", own_form("failure", lambda answer: answer)),
    Mutant("answers before it can", "without_a_catalog_it_says_so", broken("GET", "/api/v1/services", answering(OK))),
    Mutant("no sample for a route", "every_route_has_a_sample_that_works", NoSamples()),
    Mutant("fails on garbage", "garbage_breaks_and_changes_nothing", broken(*REGISTER, raising(ValueError("oops")))),
    Mutant("changes what it refuses", "garbage_breaks_and_changes_nothing", broken(*REGISTER, also_doing(sign_in_an_intruder))),
    Mutant("changes by reading", "garbage_breaks_and_changes_nothing", broken("GET", "/api/v1/nodes", also_doing(sign_in_an_intruder))),
    Mutant("refuses in another form", "garbage_breaks_and_changes_nothing", broken(*REGISTER, answering(Answer(400, b"no", TEXT)))),
    Mutant("splits its head", "garbage_breaks_and_changes_nothing", broken("GET", "/api/v1/nodes", answering(
        Answer(200, headers=((b"x", b"a\r\nb: c"),))))),
    Mutant("one key for two answers", "garbage_breaks_and_changes_nothing", altering_reads(
        "/api/v1/resolve/", lambda read: replace(read, key="resolve"))),
    Mutant("forgets a topic", "reads_name_what_they_depend_on", altering_reads("/api/v1/services", lambda read: replace(read, topics=()))),
    Mutant("an index that stands still", "reads_name_what_they_depend_on", altering_reads(
        "/api/v1/services/", lambda read: with_index(read, lambda _: 1))),
    Mutant("an index that falls", "reads_name_what_they_depend_on", altering_reads(
        "/api/v1/services/", lambda read: with_index(read, lambda content: 1000 - content.index))),
    Mutant("another folder", "its_name_is_its_folder", elsewhere()),
    Mutant("no unit", "its_defaults_work", with_settings()),
    Mutant("no reason", "what_it_cannot_do_is_declared", NoReason()),
    Mutant("no README", "its_readme_has_the_headings", in_folder_of("callboard.frontend.base")),
    Mutant("a README that knows no route", "its_readme_names_every_route", in_folder_of("callboard.frontend.prometheus.plugin")),
    Mutant("a README that knows no counter", "its_readme_names_every_counter", in_folder_of("callboard.frontend.prometheus.plugin")),
    Mutant("a setting without words", "its_readme_names_every_setting", with_settings()),
)  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_suite_finds(mutant: Mutant) -> None:
    (case,) = [case for case in CASES if case.run.__name__ == mutant.case]
    others = [harness for harness in HARNESSES if harness.plugin.name != "native"]
    with pytest.raises(NotConformingError):
        check(case, mutant.harness, (*others, mutant.harness))


def test_what_the_mutants_are_made_of_is_sound() -> None:
    harness = broken(*REGISTER, registering(lambda command: command))
    for case in CASES:
        if case.subject != "Folder":  # a frontend that is made by a test has none
            check(case, harness, (*[other for other in HARNESSES if other.plugin.name != "native"], harness), examples_count=5)


def test_a_refusal_is_no_failure() -> None:
    (case,) = [case for case in CASES if case.run.__name__ == "garbage_breaks_and_changes_nothing"]
    harness = broken(*REGISTER, raising(InvalidError("body", "no")))
    check(case, harness, (harness,), examples_count=5)


def test_every_case_has_a_mutant() -> None:
    assert {case.run.__name__ for case in CASES} - {mutant.case for mutant in MUTANTS} == set()
