import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.http1 import RequestLine
from gp_replay.core.model import Headers
from gp_replay.core.routing import (
    DEFAULT_ROLE,
    Upstream,
    control_path,
    is_namespace,
    origin_form,
    parse_upstream,
    requested_hosts,
    split_namespace,
    split_role,
    upstream_head,
    within_namespace,
)
from gp_replay.errors import UsageError


@pytest.mark.parametrize(
    ("text", "role", "host", "port", "tls", "base", "authority"),
    [
        ("http://127.0.0.1:8080", DEFAULT_ROLE, "127.0.0.1", 8080, False, "", "127.0.0.1:8080"),
        ("llm=https://api.test/v1/", "llm", "api.test", 443, True, "/v1", "api.test"),
        ("chat=ws://chat.test", "chat", "chat.test", 80, False, "", "chat.test"),
        ("chat=wss://chat.test:443/a/b", "chat", "chat.test", 443, True, "/a/b", "chat.test"),
        ("https://api.test:80", DEFAULT_ROLE, "api.test", 80, True, "", "api.test:80"),
        ("http://[::1]:9", DEFAULT_ROLE, "::1", 9, False, "", "[::1]:9"),
        ("http://API.test", DEFAULT_ROLE, "api.test", 80, False, "", "api.test"),
        ("http://host/a=b", DEFAULT_ROLE, "host", 80, False, "/a=b", "host"),
    ],
)
def test_an_upstream_is_read(text: str, role: str, host: str, port: int, tls: bool, base: str, authority: str) -> None:
    found = parse_upstream(text)
    assert (found.role, found.host, found.port, found.tls, found.base_path) == (role, host, port, tls, base)
    assert found.authority == authority


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a URL"),
        ("localhost:8080", "not a URL"),
        ("ftp://host", "not a URL"),
        ("http://", "not a URL"),
        ("http://host:99999", "not a URL"),
        ("http://host:x", "not a URL"),
        ("http://[::1", "not a URL"),
        ("http://host?x=1", "not a URL"),
        ("http://host#x", "not a URL"),
        ("http://user:secret@host", "user name"),
        ("=http://host", "no name for a role"),
        ("a b=http://host", "no name for a role"),
        ("_gp_replay=http://host", "no name for a role"),
        ("-=http://host", "no name for a role"),
        ("x" * 64 + "=http://host", "no name for a role"),
    ],
)
def test_what_is_no_upstream_is_a_usage_error(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as refused:
        parse_upstream(text)
    assert refused.value.hint
    assert "secret" not in str(refused.value)


@given(st.text() | st.text("htps:/=@[]?#.a1", max_size=20).map("http://".__add__))
def test_garbage_is_an_upstream_or_raises_exactly_usage_error(text: str) -> None:
    try:
        found = parse_upstream(text)
    except UsageError:
        return
    assert found.host
    assert 0 < found.port < 65536


@pytest.mark.parametrize(
    ("target", "origin"),
    [
        (b"/a?b", b"/a?b"),
        (b"http://host/a?b", b"/a?b"),
        (b"HTTPS://host:1", b"/"),
        (b"http://host?b", b"/?b"),
        (b"*", b"*"),
        (b"/a?u=http://x/y", b"/a?u=http://x/y"),
        (b"host:443", b"host:443"),
    ],
)
def test_a_target_for_a_proxy_becomes_one_for_a_server(target: bytes, origin: bytes) -> None:
    assert origin_form(target) == origin


@pytest.mark.parametrize(
    ("target", "role", "rest"),
    [
        (b"/llm/v1/x?y=/chat/", "llm", b"/v1/x?y=/chat/"),
        (b"/llm", "llm", b"/"),
        (b"/llm?x", "llm", b"/?x"),
        (b"/llm/", "llm", b"/"),
        (b"/llm//x", "llm", b"//x"),
        (b"/llmx/y", None, b"/llmx/y"),
        (b"/v1/llm/x", None, b"/v1/llm/x"),
        (b"//llm/x", None, b"//llm/x"),
        (b"llm/x", None, b"llm/x"),
        (b"/?llm/x", None, b"/?llm/x"),
        (b"/", None, b"/"),
        (b"*", None, b"*"),
    ],
)
def test_the_first_part_of_a_path_may_name_a_role(target: bytes, role: str | None, rest: bytes) -> None:
    assert split_role(target, ["llm", "chat"]) == (role, rest)


UPSTREAM = Upstream(role="llm", url="https://api.test/v1", host="api.test", port=443, tls=True, base_path="/v1")
HEADERS: Headers = (
    (b"hOsT", b"127.0.0.1:9"),
    (b"Accept-Encoding", b"gzip, br"),
    (b"Sec-WebSocket-Extensions", b"permessage-deflate; client_max_window_bits, x-other"),
    (b"Authorization", b"Bearer x"),
    (b"authorization", b"again"),
)


def test_only_the_declared_exceptions_change_on_the_way_upstream() -> None:
    line = RequestLine(method=b"gEt", target=b"/llm/x", version=b"HTTP/1.0", headers=HEADERS)
    assert upstream_head(line, target=b"/x", upstream=UPSTREAM, keep_host=False) == (
        b"gEt /v1/x HTTP/1.0\r\n"
        b"hOsT: api.test\r\n"
        b"Accept-Encoding: gzip\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        b"Authorization: Bearer x\r\n"
        b"authorization: again\r\n\r\n"
    )


def test_the_host_can_be_kept_and_an_extension_nobody_can_read_is_not_offered() -> None:
    headers = (HEADERS[0], (b"sec-websocket-extensions", b"x-other"))
    line = RequestLine(method=b"GET", target=b"/x", version=b"HTTP/1.1", headers=headers)
    head = upstream_head(line, target=b"/x", upstream=UPSTREAM, keep_host=True)
    assert head == b"GET /v1/x HTTP/1.1\r\nhOsT: 127.0.0.1:9\r\n\r\n"


def test_a_forwarded_host_counts_before_the_host() -> None:
    assert requested_hosts(((b"Host", b"B.test"), (b"X-Forwarded-Host", b" A.test "))) == ("a.test", "b.test")
    assert requested_hosts(()) == ()


@pytest.mark.parametrize(
    ("target", "name", "rest"),
    [
        (b"/~a/llm/v1?y=/~b/", "a", b"/llm/v1?y=/~b/"),
        (b"/~a", "a", b"/"),
        (b"/~a?x", "a", b"/?x"),
        (b"/~a/", "a", b"/"),
        (b"/~a//x", "a", b"//x"),
        (b"/~a/~b/x", "a", b"/~b/x"),
        (b"/%7Ea/x", "a", b"/x"),
        (b"/%7ea", "a", b"/"),
        (b"/~A-b_c.9/x", "A-b_c.9", b"/x"),
        (b"/~" + b"a" * 63 + b"/x", "a" * 63, b"/x"),
        (b"/~" + b"a" * 64 + b"/x", None, b"/~" + b"a" * 64 + b"/x"),
        (b"/~/x", None, b"/~/x"),
        (b"/~../x", None, b"/~../x"),
        (b"/~a%2Fb/x", None, b"/~a%2Fb/x"),
        (b"/~a\n", None, b"/~a\n"),
        (b"/llm/~a/x", None, b"/llm/~a/x"),
        (b"//~a/x", None, b"//~a/x"),
        (b"~a/x", None, b"~a/x"),
        (b"*", None, b"*"),
    ],
)
def test_the_first_part_of_a_path_may_name_a_namespace(target: bytes, name: str | None, rest: bytes) -> None:
    assert split_namespace(target) == (name, rest)


@given(st.from_regex(r"[A-Za-z0-9._-]{1,70}", fullmatch=True), st.binary(max_size=20))
def test_a_name_is_one_exactly_if_its_prefix_is_taken_off(name: str, rest: bytes) -> None:
    assert (split_namespace(f"/~{name}/".encode() + rest)[0] == name) is is_namespace(name)


@given(st.binary(max_size=40) | st.binary(max_size=20).map(b"/~".__add__))
def test_any_target_is_split_without_loss(target: bytes) -> None:
    name, rest = split_namespace(target)
    if name is None:
        assert rest == target
    else:
        assert is_namespace(name)
        assert target.endswith(rest.removeprefix(b"/"))


@pytest.mark.parametrize(
    ("url", "within"),
    [
        ("http://127.0.0.1:80", "http://127.0.0.1:80/~n"),
        ("http://[::1]:80/llm", "http://[::1]:80/~n/llm"),
        ("http://127.0.0.1:80/a/b", "http://127.0.0.1:80/~n/a/b"),
    ],
)
def test_a_url_is_put_into_a_namespace(url: str, within: str) -> None:
    assert within_namespace(url, "n") == within


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/_gp_replay/namespaces/a?x=/y", "namespaces/a"),
        (b"/_gp_replay/", ""),
        (b"/_gp_replay", ""),
        (b"/_gp_replay?x", ""),
        (b"/_gp_replay//x", "/x"),
        (b"/_gp_replayx/y", None),
        (b"/~a/_gp_replay/x", None),
        (b"//_gp_replay/x", None),
        (b"_gp_replay/x", None),
        (b"/%5fgp_replay/x", None),
        (b"/x/../_gp_replay/x", None),
        (b"/?/_gp_replay/x", None),
        (b"*", None),
    ],
)
def test_control_paths_are_told_from_the_cassettes(target: bytes, path: str | None) -> None:
    assert control_path(target) == path
