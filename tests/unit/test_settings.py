"""Every setting: what it takes, what it refuses, and how it says so."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import trustme

from gateway.secret import Secret
from gateway.settings import Bind, Settings, SettingsError, is_loopback

DIGEST = hashlib.sha256(b"key").hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()
LEAST = {
    "UPSTREAM_URL": "https://sample.freshbooks.com/api/2.1/xml-in",
    "UPSTREAM_TOKEN": "t",
    "GATEWAY_API_KEYS": DIGEST,
}

VALID: list[tuple[str, str, object]] = [
    ("UPSTREAM_URL", "http://127.0.0.1:8081/api/2.1/xml-in", "http://127.0.0.1:8081/api/2.1/xml-in"),
    ("UPSTREAM_URL", " https://[::1]:8443/x ", "https://[::1]:8443/x"),
    (
        "UPSTREAM_URL",
        "https://my-shop_1.billingarm.com/api/2.1/xml-in",
        "https://my-shop_1.billingarm.com/api/2.1/xml-in",
    ),
    ("UPSTREAM_TOKEN", "0123456789abcdef0123456789abcdef", Secret("0123456789abcdef0123456789abcdef")),
    ("UPSTREAM_TOKEN", "!~", Secret("!~")),
    ("UPSTREAM_TIMEZONE", "Europe/Amsterdam", ZoneInfo("Europe/Amsterdam")),
    ("UPSTREAM_TIMEZONE", "UTC", ZoneInfo("UTC")),
    ("UPSTREAM_DEADLINE_S", "0.1", 0.1),
    ("UPSTREAM_DEADLINE_S", "300", 300.0),
    ("UPSTREAM_DEADLINE_S", "2.5", 2.5),
    ("GATEWAY_BIND", "0.0.0.0:80", Bind("0.0.0.0", 80)),
    ("GATEWAY_BIND", "[::]:8080", Bind("::", 8080)),
    ("GATEWAY_BIND", "localhost:65535", Bind("localhost", 65535)),
    ("GATEWAY_WORKERS", "1", 1),
    ("GATEWAY_WORKERS", "64", 64),
    ("GATEWAY_THREADS", "512", 512),
    ("GATEWAY_AUTH", "keys", "keys"),
    ("GATEWAY_AUTH", "passthrough", "passthrough"),
    ("GATEWAY_AUTH", "open", "open"),
    ("GATEWAY_API_KEYS", f"{DIGEST.upper()} , {OTHER},", (bytes.fromhex(DIGEST), bytes.fromhex(OTHER))),
    (
        "GATEWAY_CORS_ORIGINS",
        "https://app.example.com, http://localhost:3000",
        ("https://app.example.com", "http://localhost:3000"),
    ),
    ("GATEWAY_RATE_PER_MINUTE", "600", 600),
    ("GATEWAY_REQUIRE_IF_MATCH", "TRUE", True),
    ("GATEWAY_REQUIRE_IF_MATCH", "false", False),
    ("GATEWAY_DRAIN_S", "0", 0.0),
    ("GATEWAY_DRAIN_S", "12.5", 12.5),
    ("METRICS_BIND", "0.0.0.0:9100", Bind("0.0.0.0", 9100)),
    ("LOG_LEVEL", "debug", "debug"),
    ("LOG_HITS_SHARE", "0.01", 0.01),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318", "http://127.0.0.1:4318"),
    ("UPSTREAM_IN_FLIGHT_MAX", "7", 7),
    ("STORE_BYTES_MAX", "1048576", 1048576),
    ("IDEMPOTENCY_SETTLE_S", "0.5", 0.5),
    ("CACHE_TTL_S", "0", 0.0),
    ("CACHE_STALE_S", "600", 600.0),
]
INVALID: list[tuple[str, str]] = [
    *[
        ("UPSTREAM_URL", text)
        for text in ("sample.freshbooks.com", "ftp://x/", "https://", "https:///x", "http://x:99999/")
    ],
    *[
        ("UPSTREAM_URL", text)
        for text in ("http://x:0/", "http://x:port/", "http://[::1/", "http://a b/", "http://é.example/")
    ],
    *[("UPSTREAM_URL", text) for text in ("http://u:p@x/", "http://@x/", "http://x/?q=1", "http://x/#f", "http://x/?")],
    *[("UPSTREAM_TOKEN", text) for text in ("a b", "a:b", "tök", "a\x00b", "x" * 257)],
    *[
        ("UPSTREAM_TIMEZONE", text)
        for text in ("Nowhere/City", "../etc/passwd", "America", "/etc/localtime", "EST5EDT6")
    ],
    *[("UPSTREAM_DEADLINE_S", text) for text in ("0", "0.09", "301", "-1", "1e1", "nan", "inf", "ten", "10 s", "１０")],
    *[
        ("GATEWAY_BIND", text)
        for text in ("8080", ":8080", "x:", "x:y", "127.0.0.1:65536", "127.0.0.1:-1", "1.1.1.1:８０")
    ],
    *[("GATEWAY_WORKERS", text) for text in ("0", "65", "1.5", "two", "-2", "١")],
    *[("GATEWAY_THREADS", text) for text in ("0", "513", "", "x")[::-1] if text],
    *[("GATEWAY_AUTH", text) for text in ("none", "KEYS", "basic")],
    *[("GATEWAY_API_KEYS", text) for text in ("key", DIGEST[:-1], f"{DIGEST},x", ",", f"{DIGEST} {OTHER}")],
    *[
        ("GATEWAY_CORS_ORIGINS", text)
        for text in ("*", "null", "app.example.com", "https://x/", "https://x/y", "ftp://x")
    ],
    *[("GATEWAY_RATE_PER_MINUTE", text) for text in ("-1", "1.5", "many")],
    *[("GATEWAY_REQUIRE_IF_MATCH", text) for text in ("yes", "1", "on")],
    *[("GATEWAY_DRAIN_S", text) for text in ("-1", "301", "soon")],
    *[("METRICS_BIND", text) for text in ("9100", "127.0.0.1:0", "127.0.0.1:metrics", ":9100")],
    *[("UPSTREAM_IN_FLIGHT_MAX", text) for text in ("0", "513", "x")],
    *[("STORE_BYTES_MAX", text) for text in ("1", "1.5", "x")],
    *[("STORE_URL", text) for text in ("http://store", "memcached://store")],
    *[("CACHE_TTL_S", text) for text in ("-1", "86401", "x")],
    *[("CACHE_STALE_S", text) for text in ("-1", "86401", "x")],
    *[("IDEMPOTENCY_SETTLE_S", text) for text in ("-1", "3601", "x")],
    *[("LOG_HITS_SHARE", text) for text in ("-0.1", "1.1", "all")],
    *[("OTEL_EXPORTER_OTLP_ENDPOINT", text) for text in ("127.0.0.1:4318", "grpc://a:4317", "http://u:p@a/")],
    *[("LOG_LEVEL", text) for text in ("DEBUG", "trace", "10")],
    *[("UPSTREAM_CA_FILE", text) for text in ("/nowhere.pem", "/", "/dev/null")],
]


def problems(**env: str) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        Settings.from_env(env)
    return raised.value.problems


@pytest.mark.parametrize("name, text, value", VALID)
def test_a_valid_value_is_read(name: str, text: str, value: object) -> None:
    """As the type that its users need; blanks around it are no part of it."""
    assert getattr(Settings.from_env({**LEAST, name: text}), name.lower()) == value


@pytest.mark.parametrize("name, text", INVALID)
def test_an_invalid_value_is_refused_by_name(name: str, text: str) -> None:
    """One problem, beginning with the variable's name and saying what would be right; nothing else is made of it."""
    (problem,) = problems(**{**LEAST, name: text})
    assert problem.startswith(f"{name} must ")


def test_every_setting_has_a_valid_and_an_invalid_value_here() -> None:
    """A new setting without a test of its parser fails this one."""
    names = {field.name.upper() for field in dataclasses.fields(Settings)}
    assert {name for name, _, _ in VALID} | {"UPSTREAM_CA_FILE", "STORE_URL"} == names
    assert {name for name, _ in INVALID} == names


def test_the_least_environment_gives_the_defaults() -> None:
    """Those of the contract."""
    settings = Settings.from_env(LEAST)
    assert settings.upstream_timezone == ZoneInfo("America/New_York")
    assert settings.upstream_deadline_s == 10
    assert str(settings.gateway_bind) == "127.0.0.1:8080"
    assert (settings.gateway_workers, settings.gateway_auth, settings.gateway_cors_origins) == (2, "keys", ())
    assert (settings.gateway_drain_s, settings.metrics_bind) == (5, None)
    assert settings.store_url.reveal() == "var/store"
    assert (settings.gateway_require_if_match, settings.log_level, settings.upstream_ca_file) == (False, "info", None)


@pytest.mark.parametrize("name", ["UPSTREAM_URL", "UPSTREAM_TOKEN", "GATEWAY_API_KEYS"])
@pytest.mark.parametrize("absent", [None, "", "   "], ids=["left out", "empty", "blank"])
def test_a_required_setting_is_asked_for(name: str, absent: str | None) -> None:
    """Empty is the same as left out."""
    env = {key: text for key, text in LEAST.items() if key != name} | ({} if absent is None else {name: absent})
    (problem,) = problems(**env)
    assert problem.startswith(f"{name} is required")


def test_all_problems_are_told_together() -> None:
    """One start shows them all, each once, each named."""
    env = dict(INVALID[::-1])
    told = problems(**env)
    assert sorted(problem.split()[0] for problem in told) == sorted(env)


def test_an_empty_environment_misses_what_is_required() -> None:
    """And nothing else is said."""
    assert [problem.split()[0] for problem in problems()] == ["UPSTREAM_URL", "UPSTREAM_TOKEN", "GATEWAY_API_KEYS"]


def test_passthrough_needs_no_token_and_no_keys() -> None:
    """The callers bring their own."""
    settings = Settings.from_env({"UPSTREAM_URL": "http://x/", "GATEWAY_AUTH": "passthrough"})
    assert (settings.upstream_token, settings.gateway_api_keys) == (None, None)


@pytest.mark.parametrize(
    "bind", ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080", "gateway.example.com:8080", "128.0.0.1:1"]
)
def test_open_is_refused_where_others_can_reach_it(bind: str) -> None:
    """A gateway without authentication answers to this machine alone."""
    (problem,) = problems(**LEAST, GATEWAY_AUTH="open", GATEWAY_BIND=bind)
    assert problem.startswith("GATEWAY_AUTH=open is refused")
    assert "GATEWAY_BIND" in problem


@pytest.mark.parametrize("bind", ["127.0.0.1:8080", "0.0.0.0:8080", "[::1]:8080"])
def test_metrics_have_no_address_of_their_own_on_the_main_port(bind: str) -> None:
    """By its port a request is told from the others, and one socket would be in the other's way."""
    (problem,) = problems(**LEAST, METRICS_BIND=bind)
    assert problem == "METRICS_BIND must have another port than GATEWAY_BIND"


def test_metrics_may_be_read_by_others_where_the_gateway_is_open() -> None:
    """There are no records among them."""
    settings = Settings.from_env({**LEAST, "GATEWAY_AUTH": "open", "METRICS_BIND": "0.0.0.0:9100"})
    assert settings.metrics_bind == Bind("0.0.0.0", 9100)


@pytest.mark.parametrize("bind", ["127.0.0.1:8080", "127.9.9.9:1", "localhost:8080", "[::1]:8080"])
def test_open_is_allowed_on_loopback(bind: str) -> None:
    """In any of its names."""
    settings = Settings.from_env({**LEAST, "GATEWAY_AUTH": "open", "GATEWAY_BIND": bind})
    assert settings.gateway_bind.is_loopback


@pytest.mark.parametrize(
    "host", ["localhost.example.com", "127.0.0.1.example.com", "0.0.0.0", "", "LOCALHOST.", "10.0.0.1"]
)
def test_a_host_that_only_looks_like_loopback_is_not(host: str) -> None:
    """What cannot be told for sure is reachable by others."""
    assert not is_loopback(host)


class TestSecretsInFiles:
    """`NAME_FILE` in the place of `NAME`."""

    @pytest.mark.parametrize(
        "name, text, value",
        [("UPSTREAM_TOKEN", "tok\n", Secret("tok")), ("GATEWAY_API_KEYS", f"\n{DIGEST}\n", (bytes.fromhex(DIGEST),))],
    )
    def test_a_secret_is_read_from_its_file(self, tmp_path: Path, name: str, text: str, value: object) -> None:
        """Without the line end that editors add."""
        path = tmp_path / "secret"
        path.write_text(text)
        env = {key: text for key, text in LEAST.items() if key != name}
        assert getattr(Settings.from_env({**env, f"{name}_FILE": str(path)}), name.lower()) == value

    @pytest.mark.parametrize(
        "content", [b"", b"  \n", None, b"a b", b"\xff\xfe"], ids=["empty", "blank", "no file", "no token", "no text"]
    )
    def test_a_bad_file_is_refused_by_name(self, tmp_path: Path, content: bytes | None) -> None:
        """Without saying what is in it."""
        path = tmp_path / "secret"
        if content is not None:
            path.write_bytes(content)
        env = {**LEAST, "UPSTREAM_TOKEN": "", "UPSTREAM_TOKEN_FILE": str(path)}
        (problem,) = problems(**env)
        assert problem.startswith("UPSTREAM_TOKEN ")
        assert "a b" not in problem

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        """The system's own words."""
        (problem,) = problems(**{**LEAST, "UPSTREAM_TOKEN": "", "UPSTREAM_TOKEN_FILE": str(tmp_path)})
        assert problem == "UPSTREAM_TOKEN cannot be read: Is a directory"

    def test_both_at_once_are_refused(self, tmp_path: Path) -> None:
        """Nobody could say which of them counts."""
        (problem,) = problems(**LEAST, UPSTREAM_TOKEN_FILE=str(tmp_path / "secret"))
        assert problem == "UPSTREAM_TOKEN and UPSTREAM_TOKEN_FILE are both set; set one of them"

    def test_only_secrets_are_read_from_files(self, tmp_path: Path) -> None:
        """Any other variable of that form is nobody's."""
        assert Settings.from_env({**LEAST, "LOG_LEVEL_FILE": str(tmp_path / "none")}).log_level == "info"


def test_certificates_to_trust_are_looked_at_before_the_start(tmp_path: Path) -> None:
    """A file of certificates is taken."""
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    assert Settings.from_env({**LEAST, "UPSTREAM_CA_FILE": str(path)}).upstream_ca_file == str(path)


def test_no_secret_stands_in_the_repr() -> None:
    """Not as its text, not as its digest, neither in hexadecimal nor as bytes."""
    settings = Settings.from_env({**LEAST, "UPSTREAM_TOKEN": "canary-7f3a"})
    shown = repr(settings) + str(settings)
    assert "canary-7f3a" not in shown
    assert DIGEST not in shown
    assert repr(bytes.fromhex(DIGEST)) not in shown
    assert "upstream_token" not in shown
    assert "gateway_api_keys" not in shown


@pytest.mark.parametrize(
    "name, text",
    [("UPSTREAM_TOKEN", "can ary"), ("GATEWAY_API_KEYS", "canary"), ("UPSTREAM_URL", "http://x:canary@y:canary/")],
)
def test_no_problem_repeats_what_might_be_a_secret(name: str, text: str) -> None:
    """A key pasted in the place of its digest, a token with a blank in it, credentials in the URL."""
    assert not [problem for problem in problems(**{**LEAST, name: text}) if "ary" in problem.replace("primary", "")]


def test_settings_cannot_be_changed() -> None:
    """They are read once."""
    settings = Settings.from_env(LEAST)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.log_level = "debug"  # type: ignore[misc]
