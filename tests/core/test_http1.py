from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.http1 import (
    Body,
    Complete,
    HeadLimits,
    Item,
    RequestLine,
    RequestReader,
    ResponseReader,
    StatusLine,
    is_websocket_upgrade,
    media_type,
    render_head,
    wants_close,
)
from gp_replay.core.model import Headers
from gp_replay.errors import WireError

Reader = RequestReader | ResponseReader


def request(method: str, target: str, *headers: tuple[bytes, bytes], version: bytes = b"HTTP/1.1") -> RequestLine:
    return RequestLine(method=method.encode(), target=target.encode(), version=version, headers=headers)


def status(code: int, *headers: tuple[bytes, bytes], reason: bytes = b"OK") -> StatusLine:
    return StatusLine(version=b"HTTP/1.1", status=code, reason=reason, headers=headers)


def read(reader: Reader, reads: Iterable[bytes]) -> tuple[int, list[Item]]:
    """All items of these reads, and how many bytes were used before an upgrade."""
    used_in_all, items = 0, []
    for data in reads:
        while data and not reader.upgraded:
            used, found = reader.feed(data)
            assert used >= 1 or reader.upgraded
            items += found
            used_in_all += used
            data = data[used:]
    return used_in_all, items


def joined(items: list[Item]) -> list[Item]:
    """Items as if every chunk, and every stretch of an unchunked body, had come in one read."""
    result: list[Item] = []
    for item in items:
        before = result[-1] if result else None
        if isinstance(item, Body) and isinstance(before, Body) and not before.ends_chunk:
            result[-1] = Body(data=before.data + item.data, ends_chunk=item.ends_chunk)
        else:
            result.append(item)
    return result


HOST = (b"Host", b"h")
LENGTH_3 = (b"Content-Length", b"3")
CHUNKED = (b"Transfer-Encoding", b"chunked")

REQUESTS: dict[str, tuple[bytes, list[Item]]] = {
    "no body": (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", [request("GET", "/", HOST), Complete()]),
    "no fields": (b"GET /a?b=%20 HTTP/1.0\r\n\r\n", [request("GET", "/a?b=%20", version=b"HTTP/1.0"), Complete()]),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: h\n\n", [request("GET", "/", HOST), Complete()]),
    "empty lines before it": (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", [request("GET", "/"), Complete()]),
    "a length": (
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        [request("POST", "/", LENGTH_3), Body(data=b"abc"), Complete()],
    ),
    "a length said twice alike": (
        b"POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\nabc",
        [request("POST", "/", (b"Content-Length", b"3, 3")), Body(data=b"abc"), Complete()],
    ),
    "a length of nothing": (
        b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        [request("POST", "/", (b"Content-Length", b"0")), Complete()],
    ),
    "chunks": (
        b'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0A;x="y"\r\n0123456789\r\n0\r\n\r\n',
        [
            request("POST", "/", CHUNKED),
            Body(data=b"a", ends_chunk=True),
            Body(data=b"0123456789", ends_chunk=True),
            Complete(),
        ],
    ),
    "trailers": (
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n",
        [request("POST", "/", CHUNKED), Complete(trailers=((b"X-Sum", b"1"), (b"X-More", b"2")))],
    ),
    "spelling kept": (
        b"GET / HTTP/1.1\r\nhOsT:h\r\nX-Empty:\r\nX-Space: \t a b \t\r\n\r\n",
        [request("GET", "/", (b"hOsT", b"h"), (b"X-Empty", b""), (b"X-Space", b"a b")), Complete()],
    ),
    "a folded field": (
        b"GET / HTTP/1.1\r\nX-Fold: a\r\n  b\r\nHost: h\r\n\r\n",
        [request("GET", "/", (b"X-Fold", b"a\r\n  b"), HOST), Complete()],
    ),
    "bytes beyond ASCII": (
        b"GET /\xc3\xa9 HTTP/1.1\r\nX: \xff\r\n\r\n",
        [RequestLine(method=b"GET", target=b"/\xc3\xa9", version=b"HTTP/1.1", headers=((b"X", b"\xff"),)), Complete()],
    ),
}

OK = b"HTTP/1.1 200 OK\r\n"
RESPONSES: dict[str, tuple[bytes, list[Item]]] = {
    "a length": (
        OK + b"Content-Length: 3\r\n\r\nabc",
        [status(200, LENGTH_3), Body(data=b"abc"), Complete()],
    ),
    "chunks": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        [status(200, CHUNKED), Body(data=b"abc", ends_chunk=True), Complete()],
    ),
    "chunks although a length is said": (
        OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        [status(200, (b"Content-Length", b"9"), CHUNKED), Body(data=b"abc", ends_chunk=True), Complete()],
    ),
    "nothing by status": (b"HTTP/1.1 204 No Content\r\n\r\n", [status(204, reason=b"No Content"), Complete()]),
    "not modified, with a length": (
        b"HTTP/1.1 304 OK\r\nContent-Length: 3\r\n\r\n",
        [status(304, LENGTH_3), Complete()],
    ),
    "an interim head before it": (
        b"HTTP/1.1 103 OK\r\nLink: a\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n",
        [status(103, (b"Link", b"a")), status(200, (b"Content-Length", b"0")), Complete()],
    ),
    "no reason phrase": (b"HTTP/1.1 204\r\n\r\n", [status(204, reason=b""), Complete()]),
}


def ways(data: bytes) -> Iterable[list[bytes]]:
    """Whole, byte by byte, and cut in two anywhere."""
    yield [data]
    yield [data[n : n + 1] for n in range(len(data))]
    for cut in range(1, len(data)):
        yield [data[:cut], data[cut:]]


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_reads_the_same_however_it_is_cut(name: str) -> None:
    data, expected = REQUESTS[name]
    for reads in ways(data):
        reader = RequestReader()
        assert read(reader, reads) == (len(data), read(RequestReader(), reads)[1])
        assert joined(read(RequestReader(), reads)[1]) == expected
        assert reader.between_messages
        assert reader.close() == []


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_reads_the_same_however_it_is_cut(name: str) -> None:
    data, expected = RESPONSES[name]
    for reads in ways(data):
        reader = ResponseReader()
        used, items = read(reader, reads)
        assert used == len(data)
        assert joined(items) == expected
        assert reader.between_messages
        assert reader.close() == []


@pytest.mark.parametrize("name", REQUESTS)
def test_a_reader_stops_at_a_message_s_end_and_reads_the_next_one(name: str) -> None:
    data, expected = REQUESTS[name]
    following = b"GET /next HTTP/1.1\r\n\r\n"
    reader = RequestReader()
    rest, items = data + following, []
    while len(rest) > len(following):
        used, found = reader.feed(rest)
        rest = rest[used:]
        items += found
    assert rest == following
    assert joined(items) == expected
    assert reader.feed(rest) == (len(following), [request("GET", "/next"), Complete()])


def test_a_reader_stops_behind_a_head_so_that_the_caller_can_act_on_it() -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"
    reader = RequestReader()
    assert reader.feed(head + b"abc") == (len(head), [request("POST", "/", LENGTH_3)])
    assert reader.within_body
    assert not reader.between_messages


def test_the_answer_to_a_head_request_has_no_body() -> None:
    reader = ResponseReader()
    for method in (b"HEAD", b"GET"):
        reader.expect(method)
    data = OK + b"Content-Length: 3\r\n\r\n"
    _, items = read(reader, [data + data + b"abc"])
    assert items == [status(200, LENGTH_3), Complete(), status(200, LENGTH_3), Body(data=b"abc"), Complete()]


def test_a_response_without_a_length_ends_when_the_server_closes() -> None:
    reader = ResponseReader()
    _, items = read(reader, [OK + b"\r\n", b"abc"])
    assert items == [status(200), Body(data=b"abc")]
    assert reader.within_body
    assert reader.close() == [Complete()]
    assert reader.between_messages


def test_a_message_that_was_cut_off_is_not_complete() -> None:
    for data in (b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab"):
        reader = RequestReader()
        read(reader, [data])
        assert reader.close() == []
        assert not reader.between_messages


def test_what_follows_an_upgrade_is_left_alone() -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    reader = ResponseReader()
    used, items = reader.feed(head + b"\x81\x00")
    assert (used, len(items), reader.upgraded, reader.within_body) == (len(head), 1, True, False)
    assert reader.feed(b"\x81\x00") == (0, [])


def bad(*lines: bytes, start: bytes = b"POST / HTTP/1.1") -> bytes:
    return b"\r\n".join((start, *lines, b"", b""))


SMUGGLING = {
    "both lengths": bad(b"Content-Length: 3", b"Transfer-Encoding: chunked"),
    "two lengths": bad(b"Content-Length: 3", b"Content-Length: 4"),
    "two lengths in one field": bad(b"Content-Length: 3, 4"),
    "a signed length": bad(b"Content-Length: +3"),
    "a negative length": bad(b"Content-Length: -1"),
    "a hexadecimal length": bad(b"Content-Length: 0x3"),
    "an empty length": bad(b"Content-Length:"),
    "a length with an underscore": bad(b"Content-Length: 1_0"),
    "a length beyond counting": bad(b"Content-Length: 1" + b"0" * 30),
    "chunked twice": bad(b"Transfer-Encoding: chunked, chunked"),
    "chunked not last": bad(b"Transfer-Encoding: chunked, gzip"),
    "a coding that is not chunked": bad(b"Transfer-Encoding: xchunked"),
    "a space before the colon": bad(b"Content-Length : 3"),
    "a field name with a control character": bad(b"Content\x0bLength: 3"),
    "a fold at the first field": bad(b" Content-Length: 3"),
    "a carriage return inside a value": bad(b"X: a\rContent-Length: 3"),
    "a zero byte": bad(b"X: a\0b"),
    "no colon": bad(b"Content-Length"),
    "a chunk size with a sign": bad(b"Transfer-Encoding: chunked") + b"+3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a prefix": bad(b"Transfer-Encoding: chunked") + b"0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with an underscore": bad(b"Transfer-Encoding: chunked") + b"1_0\r\n",
    "an empty chunk size": bad(b"Transfer-Encoding: chunked") + b"\r\n",
    "a chunk size beyond counting": bad(b"Transfer-Encoding: chunked") + b"f" * 17 + b"\r\n",
    "a chunk longer than it says": bad(b"Transfer-Encoding: chunked") + b"3\r\nabcd\r\n",
    "two spaces in a target": bad(start=b"GET /a b HTTP/1.1"),
    "another protocol": bad(start=b"GET / SPDY/3"),
    "HTTP/2": bad(start=b"PRI * HTTP/2.0"),
    "a method that is no token": bad(start=b"G(T / HTTP/1.1"),
    "a target with a control character": bad(start=b"GET /\x7f HTTP/1.1"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_framing_that_two_servers_could_read_differently_is_refused_however_it_is_cut(name: str) -> None:
    data = SMUGGLING[name]
    for reads in ([data], [data[n : n + 1] for n in range(len(data))]):
        reader = RequestReader()
        with pytest.raises(WireError) as refused:
            read(reader, reads)
        assert refused.value.status in (400, 501, 505)
        with pytest.raises(WireError) as again:
            reader.feed(b"GET / HTTP/1.1\r\n\r\n")
        assert again.value is refused.value


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"HTTP/1.1 99 Low\r\n\r\n", 400),
        (b"HTTP/2 200\r\n\r\n", 400),
        (b"HTTP/1.1 200OK\r\n\r\n", 400),
        (b"<html>\n\n", 400),
        (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    ],
)
def test_what_is_no_response_is_refused(data: bytes, code: int) -> None:
    with pytest.raises(WireError) as refused:
        read(ResponseReader(), [data])
    assert refused.value.status == code


LIMITS = HeadLimits(max_head_bytes=100, max_fields=3, max_line_bytes=20)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (bad(b"X: " + b"a" * 100), 431),
        (b"GET /" + b"a" * 200, 431),
        (bad(b"A: 1", b"B: 2", b"C: 3", b"D: 4"), 431),
        (bad(b"Transfer-Encoding: chunked") + b"1;" + b"x" * 30, 400),
        (bad(b"Transfer-Encoding: chunked") + b"0\r\n" + b"A: 1\r\n" * 60, 431),
        (bad(b"Transfer-Encoding: chunked") + b"0\r\nA: " + b"1" * 200, 431),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_what_a_reader_keeps_is_bounded(data: bytes, code: int, size: int) -> None:
    with pytest.raises(WireError) as refused:
        read(RequestReader(LIMITS), [data[n : n + size] for n in range(0, len(data), size)])
    assert refused.value.status == code


def test_a_head_of_exactly_the_limit_is_read() -> None:
    data = bad(b"X: " + b"a" * 100)
    limits = HeadLimits(max_head_bytes=len(data))
    for reads in ways(data):
        assert len(read(RequestReader(limits), reads)[1]) == 2
    with pytest.raises(WireError):
        read(RequestReader(HeadLimits(max_head_bytes=len(data) - 1)), [data])


ALPHABET = [b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n"]
PARTS = st.lists(st.sampled_from([*ALPHABET, b"\r\n", b"\n", b"2\r\nab\r\n", b"0\r\n", b"ab", b" "]) | st.binary())


@given(PARTS.map(b"".join), st.lists(st.integers(1, 9)), st.sampled_from([RequestReader, ResponseReader]))
def test_garbage_is_read_or_raises_exactly_wire_error_and_cuts_do_not_matter(
    data: bytes, cuts: list[int], make: Callable[[], Reader]
) -> None:
    reads, start = [], 0
    for cut in cuts:
        reads.append(data[start : start + cut])
        start += cut
    outcomes = []
    for way in ([data], [*reads, data[start:]]):
        reader, items = make(), []
        used = 0
        failed = False
        try:
            for part in way:
                while part and not reader.upgraded:
                    taken, found = reader.feed(part)
                    items += found
                    used += taken
                    part = part[taken:]
        except WireError:
            failed = True
        if not failed and not reader.upgraded:
            assert used == len(data)
        heads = [item for item in joined(items) if not isinstance(item, Body)]
        outcomes.append((failed, reader.upgraded, None if failed else heads))
    assert outcomes[0] == outcomes[1]


FIELD = st.tuples(st.text("abcXYZ-", min_size=1, max_size=8).map(str.encode), st.text("ab ,;=", max_size=8))


@given(st.lists(FIELD, max_size=5))
def test_a_rendered_head_reads_as_it_was(fields: list[tuple[bytes, str]]) -> None:
    headers: Headers = tuple((name, value.strip().encode()) for name, value in fields)
    data = render_head(b"GET / HTTP/1.1", headers)
    assert read(RequestReader(), [data])[1] == [request("GET", "/", *headers), Complete()]


@pytest.mark.parametrize(
    ("headers", "upgrade"),
    [
        (((b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")), True),
        (((b"upgrade", b"WebSocket"), (b"connection", b"keep-alive, upgrade")), True),
        (((b"Upgrade", b"h2c"), (b"Connection", b"Upgrade")), False),
        (((b"Upgrade", b"websocket"),), False),
        ((), False),
    ],
)
def test_an_upgrade_needs_both_fields(headers: Headers, upgrade: bool) -> None:
    assert is_websocket_upgrade(headers) is upgrade


@pytest.mark.parametrize(
    ("version", "connection", "closes"),
    [
        (b"HTTP/1.1", None, False),
        (b"HTTP/1.1", b"close", True),
        (b"HTTP/1.1", b"x, Close", True),
        (b"HTTP/1.0", None, True),
        (b"HTTP/1.0", b"Keep-Alive", False),
    ],
)
def test_a_connection_persists_by_version_and_field(version: bytes, connection: bytes | None, closes: bool) -> None:
    assert wants_close(version, () if connection is None else ((b"Connection", connection),)) is closes


def test_a_media_type_is_without_case_and_parameters() -> None:
    assert media_type(((b"content-Type", b"Text/Event-Stream ; charset=utf-8"),)) == b"text/event-stream"
    assert media_type(()) == b""
