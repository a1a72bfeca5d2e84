"""Cassettes as what was said on their connections."""

from __future__ import annotations

from dataclasses import replace

from dialogue import CLIENT, SERVER, ask, cassette, chat

from gp_replay.contracts.said import Ear, Said, What, said_in
from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import Epoch, Gone, How, Message, Opcode, Ping, ResponseHead


def kinds(all_said: list[Said]) -> list[tuple[int, What]]:
    return [(said.connection, said.what) for said in all_said]


def test_all_connections_are_told_in_the_order_of_time_and_exchanges_are_left_out() -> None:
    tape = cassette(
        chat(1, '10 > {"type":"a"}', '30 < {"type":"b"}', owner="alice"), chat(2, "20 < [1]", at=5), ask(3, "GET", "/x")
    )
    all_said = list(said_in(tape))
    assert [said.at_us for said in all_said] == sorted(said.at_us for said in all_said)
    assert [said.what for said in all_said if said.connection == 1] == [
        What.OPENED,
        What.ACCEPTED,
        What.MESSAGE,
        What.MESSAGE,
        What.CLOSED,
        What.CLOSED,
    ]
    messages = [said for said in all_said if said.is_message]
    assert [(said.connection, said.index, said.side, said.owner, said.kind) for said in messages] == [
        (1, 0, CLIENT, "alice", "object"),
        (2, 0, SERVER, None, "array"),
        (1, 1, SERVER, "alice", "object"),
    ]
    assert [said.message for said in messages] == [{"type": "a"}, None, {"type": "b"}]
    assert not [said for said in all_said if said.connection == 3]


def test_the_handshake_tells_what_was_offered_and_selected() -> None:
    offer = ((b"Sec-WebSocket-Protocol", b"jwt-auth, jwt.abc"), (b"sec-websocket-protocol", b"other"))
    first = next(iter(said_in(cassette(chat(1, headers=offer)))))
    assert first.offered == ("jwt-auth", "jwt.abc", "other")
    head = ((b"Sec-WebSocket-Protocol", b"jwt-auth"),)
    answer = ResponseHead(at_us=1, stream=1, side=SERVER, version=b"HTTP/1.1", status=101, reason=b"", headers=head)
    said = Ear().hear(answer)
    assert said is not None
    assert (said.what, said.selected) == (What.ACCEPTED, "jwt-auth")


def test_a_refused_upgrade_and_a_broken_transport_are_said_and_a_ping_is_not() -> None:
    ear = Ear(owner="alice", role="chat")
    head = ResponseHead(at_us=1, stream=1, side=SERVER, version=b"HTTP/1.1", status=403, reason=b"", headers=())
    refused, gone = ear.hear(head), ear.hear(Gone(at_us=2, stream=1, side=CLIENT, how=How.RESET))
    assert refused is not None
    assert (refused.what, refused.status, refused.owner, refused.role) == (What.REFUSED, 403, "alice", "chat")
    assert gone is not None
    assert (gone.what, gone.how) == (What.GONE, How.RESET)
    assert ear.hear(Ping(at_us=3, stream=1, side=SERVER, data=b"")) is None


def test_what_is_no_json_object_says_what_it_is() -> None:
    def kind(data: bytes, opcode: Opcode = Opcode.TEXT) -> str:
        said = Ear().hear(Message(at_us=1, stream=1, side=SERVER, opcode=opcode, data=data))
        assert said is not None
        assert (said.message is None) == (said.kind != "object")
        return said.kind

    assert [kind(data) for data in (b"{}", b"[]", b"1", b'"x"', b"true", b"null", b"{", b"\xff")] == [
        *("object", "array", "number", "string", "boolean", "null", "text", "text")
    ]
    assert kind(b"{}", Opcode.BINARY) == "binary"


def test_a_later_epoch_comes_after_an_earlier_one_whatever_its_clock_says() -> None:
    events = [*chat(1, "500 < {}"), *chat(2, "1 < {}")]
    tape = cassette(events)
    header = replace(tape.header, epochs=(Epoch(recorded_at="2026-11-26T10:00:00Z", first_stream=2),))
    assert [said.connection for said in said_in(MemoryCassette(header, events))] == [1] * 5 + [2] * 5
