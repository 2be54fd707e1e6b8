"""Settings: flag over environment over file over default, each with its origin, and errors that name the setting."""

import pytest

from callboard.model.errors import InvalidError
from callboard.server.settings import load
from callboard.server.stores import check_place, make_store, store_url


def test_flag_wins_over_environment_over_file_over_default() -> None:
    file = 'node = "from-file"\ndatacenter = "from-file"\ndata = "from-file"\n'
    settings = load({"node": "from-flag"}, {"CALLBOARD_NODE": "from-env", "CALLBOARD_DATACENTER": "from-env"}, file)
    assert (settings.server.node, settings.server.datacenter, settings.server.data) == ("from-flag", "from-env", "from-file")
    assert settings.server.dns_domain == "consul"
    assert settings.origins == {"node": "flag --node", "datacenter": "CALLBOARD_DATACENTER", "data": "file"}


def test_rooms_are_set_below_tune_in_file_and_environment() -> None:
    settings = load({}, {"CALLBOARD_TUNE_HTTP_PARKED_MAX_COUNT": "7"}, "[tune.registry]\nhistory_max_count = 9\n")
    assert settings.room("http").parked_max_count == 7
    assert settings.room("registry", member="m").history_max_count == 9


def test_several_http_addresses_from_the_environment() -> None:
    assert load({}, {"CALLBOARD_HTTP": "127.0.0.1:1,127.0.0.1:2"}).server.http == ("127.0.0.1:1", "127.0.0.1:2")


def test_lists_from_the_environment_have_commas() -> None:
    environment = {"CALLBOARD_TRUSTED_PROXY": "10.0.0.0/8, ::1/128", "CALLBOARD_TUNE_HTTP_ALLOWED_HOSTS": "a,.b", "CALLBOARD_RECURSOR": ""}
    settings = load({}, environment)
    assert (settings.server.trusted_proxy, settings.server.recursor) == (("10.0.0.0/8", "::1/128"), ())
    assert settings.room("http").allowed_hosts == ("a", ".b")


@pytest.mark.parametrize(
    ("environment", "file", "named"),
    [
        ({"CALLBOARD_NODES": "x"}, "", "CALLBOARD_NODES"),
        ({"CALLBOARD_TUNE_KITCHEN_SINK": "1"}, "", "CALLBOARD_TUNE_KITCHEN_SINK"),
        ({"CALLBOARD_TUNE_HTTP_SPEED": "1"}, "", "tune.http.speed"),
        ({"CALLBOARD_TUNE_HTTP_PARKED_MAX_COUNT": "many"}, "", "parked_max_count"),
        ({}, "nodes = 1", "nodes"),
        ({}, "[tune.registry]\nmember = 'x'", "tune.registry.member"),
        ({}, "tune = 1", "tune"),
        ({}, "[tune]\nhttp = 1", "tune.http"),
        ({}, "node = ", "settings file"),
        ({"CALLBOARD_LOG_LEVEL": "loud"}, "", "log_level"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(environment: dict[str, str], file: str, named: str) -> None:
    with pytest.raises(InvalidError, match=named.replace(".", r"\.")):
        load({}, environment, file)


def test_environment_of_the_client_is_not_the_servers() -> None:
    assert load({}, {"CALLBOARD_URL": "http://x", "CALLBOARD_TOKEN": "t", "CALLBOARD_CA_FILE": "c", "HOME": "/"}).origins == {}


@pytest.mark.parametrize(
    "variable",
    ["PORT", "PORT_8500_TCP", "PORT_8600_UDP_ADDR", "PORT_8500_TCP_PROTO", "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP"],
)
def test_what_kubernetes_says_of_a_service_of_this_name_is_no_setting(variable: str) -> None:
    assert load({}, {f"CALLBOARD_{variable}": "tcp://10.0.0.1:8500"}) == load({}, {})


@pytest.mark.parametrize(
    ("flags", "environment", "file"),
    [
        ({"dev": True, "data": "x"}, {}, ""),
        ({"store": "memory:"}, {"CALLBOARD_DEV": "true"}, ""),
        ({}, {"CALLBOARD_DATA": "x"}, "dev = true"),
    ],
)
def test_dev_and_a_place_to_keep_things_contradict_each_other(flags: dict[str, object], environment: dict[str, str], file: str) -> None:
    with pytest.raises(InvalidError, match="keeps nothing on disk; leave one out"):
        check_place(load(flags, environment, file))


@pytest.mark.parametrize(
    ("environment", "file", "said"),
    [
        ({}, 'htpp = ["127.0.0.1:1"]', "htpp: no such setting in the file; did you mean http"),
        ({}, "[tune.dns]\nservice_ttl = 3", "tune.dns.service_ttl: no such setting; did you mean service_ttl"),
        ({}, "[tune.sqllite]\nx = 3", "tune.sqllite: no such room; did you mean sqlite"),
        ({}, "[tune.unix]\nzzzzz = 3", "tune.unix.zzzzz: no such setting; there are "),
        ({"CALLBOARD_HTPP": "x"}, "", "CALLBOARD_HTPP: no such setting; did you mean CALLBOARD_HTTP"),
        ({"CALLBOARD_XYZZY": "x"}, "", "CALLBOARD_XYZZY: no such setting; `callboard serve --print-config` lists them"),
    ],
)
def test_a_setting_that_is_none_is_told_the_nearest(environment: dict[str, str], file: str, said: str) -> None:
    with pytest.raises(InvalidError) as caught:
        load({}, environment, file)
    assert said in str(caught.value)


def test_dev_on_the_command_line_comes_before_what_image_and_file_say_as_ever() -> None:
    check_place(load({"dev": True}, {"CALLBOARD_DATA": "x"}, 'store = "memory:"'))
    check_place(load({"data": "x"}, {"CALLBOARD_DEV": "false"}))
    check_place(load({}, {}, 'dev = true\ndata = "./callboard-data"'))


def test_store_of_the_settings() -> None:
    assert store_url(load({"dev": True}, {}).server) == "memory:"
    assert store_url(load({"data": "/var/lib/x"}, {}).server) == "sqlite:////var/lib/x"
    with pytest.raises(InvalidError, match="not built yet"):
        make_store(load({"store": "zookeeper://127.0.0.1:2181/x"}, {}))
