import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.coding import CODINGS, Decoder, Encoder, accepts, coding_of, decodable_only
from gp_replay.errors import WireError

RAW = zlib.compressobj(wbits=-15)
ENCODED = {
    "gzip": [gzip.compress(b"hello " * 50), gzip.compress(b"hel") + gzip.compress(b"lo")],
    "deflate": [zlib.compress(b"hello " * 50), RAW.compress(b"raw deflate") + RAW.flush()],
    "": [b"as it is", b"\x1f\x8b\x08"],
}
PLAIN = {"gzip": [b"hello " * 50, b"hello"], "deflate": [b"hello " * 50, b"raw deflate"], "": ENCODED[""]}
CASES = [
    (coding, data, plain) for coding in ENCODED for data, plain in zip(ENCODED[coding], PLAIN[coding], strict=True)
]


@pytest.mark.parametrize(("coding", "data", "plain"), CASES)
def test_a_body_decodes_the_same_however_it_is_cut(coding: str, data: bytes, plain: bytes) -> None:
    assert Decoder(coding).feed(data) == plain
    decoder = Decoder(coding)
    assert b"".join(decoder.feed(data[n : n + 1]) for n in range(len(data))) == plain
    for cut in range(len(data)):
        decoder = Decoder(coding)
        assert decoder.feed(data[:cut]) + decoder.feed(data[cut:]) == plain


@pytest.mark.parametrize(("coding", "data"), [("deflate", ENCODED["deflate"][0])])
def test_bytes_after_the_end_of_a_deflate_body_are_not_content(coding: str, data: bytes) -> None:
    decoder = Decoder(coding)
    assert decoder.feed(data + b"trailing") == PLAIN[coding][0]
    assert decoder.feed(b"more") == b""


@given(st.sampled_from(sorted(CODINGS | {""})), st.lists(st.binary(max_size=50)))
def test_every_piece_can_be_decoded_as_soon_as_it_was_encoded(coding: str, pieces: list[bytes]) -> None:
    encoder, decoder = Encoder(coding), Decoder(coding)
    for piece in pieces:
        assert decoder.feed(encoder.feed(piece)) == piece
    assert decoder.feed(encoder.finish()) == b""


@given(st.sampled_from(sorted(CODINGS)), st.lists(st.binary(max_size=50)))
def test_another_decoder_reads_what_was_encoded(coding: str, pieces: list[bytes]) -> None:
    encoder = Encoder(coding)
    data = b"".join([*map(encoder.feed, pieces), encoder.finish()])
    assert (gzip.decompress if coding == "gzip" else zlib.decompress)(data) == b"".join(pieces)


@given(st.sampled_from(sorted(CODINGS)), st.lists(st.binary(max_size=30)))
def test_garbage_is_decoded_or_raises_exactly_wire_error(coding: str, pieces: list[bytes]) -> None:
    decoder = Decoder(coding, max_piece_bytes=1_000)
    try:
        for piece in pieces:
            assert len(decoder.feed(piece)) <= 1_000
    except WireError:
        pass


@pytest.mark.parametrize("coding", sorted(CODINGS))
def test_a_bomb_is_refused(coding: str) -> None:
    data = (gzip.compress if coding == "gzip" else zlib.compress)(bytes(1_000_000))
    assert len(Decoder(coding, max_piece_bytes=1_000_000).feed(data)) == 1_000_000
    with pytest.raises(WireError, match="beyond 999999 bytes"):
        Decoder(coding, max_piece_bytes=999_999).feed(data)


def test_a_bomb_of_many_small_members_is_refused() -> None:
    with pytest.raises(WireError, match="beyond"):
        Decoder("gzip", max_piece_bytes=10_000).feed(gzip.compress(bytes(500)) * 50)


@pytest.mark.parametrize(
    ("values", "coding"),
    [
        ([], ""),
        ([b""], ""),
        ([b"identity"], ""),
        ([b"GZIP"], "gzip"),
        ([b"x-gzip"], "gzip"),
        ([b"identity, deflate"], "deflate"),
        ([b"br"], None),
        ([b"gzip, gzip"], None),
        ([b"gzip", b"br"], None),
    ],
)
def test_a_body_s_coding_is_read_from_its_fields(values: list[bytes], coding: str | None) -> None:
    assert coding_of(tuple((b"Content-Encoding", value) for value in values)) == coding


@pytest.mark.parametrize(
    ("values", "coding", "taken"),
    [
        ([], "gzip", False),
        ([b"gzip"], "gzip", True),
        ([b"x-gzip"], "gzip", True),
        ([b"GZIP;q=0.5"], "gzip", True),
        ([b"gzip;q=0"], "gzip", False),
        ([b"gzip; q=0.000"], "gzip", False),
        ([b"*"], "gzip", True),
        ([b"*;q=0"], "gzip", False),
        ([b"*, gzip;q=0"], "gzip", False),
        ([b"br", b"deflate"], "deflate", True),
        ([b"br"], "gzip", False),
    ],
)
def test_a_client_says_what_it_takes(values: list[bytes], coding: str, taken: bool) -> None:
    assert accepts(tuple((b"accept-encoding", value) for value in values), coding) is taken


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"gzip, deflate, br, zstd", b"gzip, deflate"),
        (b"br, gzip;q=0.8", b"gzip;q=0.8"),
        (b"br", b"identity"),
        (b"", b"identity"),
        (b"*", b"identity"),
        (b"identity;q=1, *;q=0", b"identity;q=1"),
    ],
)
def test_upstreams_are_asked_only_for_what_can_be_decoded(value: bytes, kept: bytes) -> None:
    assert decodable_only(value) == kept
