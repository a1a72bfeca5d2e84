"""Content codings (RFC 9110 section 8.4.1): decoded piece by piece when recording, encoded piece by piece when
replaying.

Only gzip and deflate: the standard library decodes them as a stream, and every client takes one of them. The recorder
asks upstreams for nothing else, since what cannot be decoded cannot be searched for secrets.
"""

from __future__ import annotations

import zlib

from gp_replay.core.model import Headers, header_values
from gp_replay.errors import WireError

__all__ = ["CODINGS", "Decoder", "Encoder", "accepts", "coding_of", "decodable_only"]

CODINGS = frozenset({"gzip", "deflate"})
_MAX_MEMBERS = 1_000
_NAMES = {"x-gzip": "gzip"}


class Decoder:
    """Undoes one content coding.

    Args:
        coding: "gzip" or "deflate"; "" passes bytes through.
        max_piece_bytes: what one read may inflate to; beyond it is a bomb, not an answer.
    """

    def __init__(self, coding: str, *, max_piece_bytes: int = 64 * 1024 * 1024) -> None:
        self._coding = coding
        self._max = max_piece_bytes
        # deflate means zlib by the book and raw deflate in the wild; the first byte tells (RFC 1950 section 2.2).
        self._inflate = zlib.decompressobj(wbits=31) if coding == "gzip" else None

    def feed(self, data: bytes) -> bytes:
        """Decoded bytes of this piece; may be empty.

        Raises:
            WireError: the bytes are not of the coding, or inflate beyond the limit.
        """
        if not self._coding or not data:
            return data
        if self._inflate is None:
            self._inflate = zlib.decompressobj(wbits=15 if data[0] & 0x0F == 8 else -15)
        try:
            out = self._inflate.decompress(data, self._max)
            for _ in range(_MAX_MEMBERS):
                # A gzip body may be several members one after the other (RFC 1952 section 2.2).
                data = self._inflate.unused_data
                if not self._inflate.eof or not data or self._coding != "gzip" or len(out) > self._max:
                    break
                self._inflate = zlib.decompressobj(wbits=31)
                out += self._inflate.decompress(data, self._max)
        except zlib.error as error:
            raise WireError(f"content coding {self._coding}: {error}") from error
        if self._inflate.unconsumed_tail or len(out) > self._max:
            raise WireError(f"content coding {self._coding}: one piece inflates beyond {self._max} bytes")
        return out


class Encoder:
    """Applies one content coding, flushing after each piece so that a stream stays a stream."""

    def __init__(self, coding: str) -> None:
        self._deflate = zlib.compressobj(wbits=31 if coding == "gzip" else 15) if coding else None

    def feed(self, data: bytes) -> bytes:
        """Encoded bytes that let a client decode all of ``data``; nothing for an empty piece."""
        if self._deflate is None or not data:
            return data
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        """What ends the coding."""
        return b"" if self._deflate is None else self._deflate.flush()


def coding_of(headers: Headers) -> str | None:
    """The content coding a body has: "" for none, None for one (or a pile of them) that cannot be decoded here."""
    items = [
        item.strip().lower() for value in header_values(headers, b"content-encoding") for item in value.split(b",")
    ]
    names = [name for name in (item.decode("latin-1") for item in items) if name not in ("", "identity")]
    if not names:
        return ""
    name = _NAMES.get(names[0], names[0])
    return name if len(names) == 1 and name in CODINGS else None


def _quality(item: bytes) -> tuple[str, bool]:
    name, _, parameters = item.partition(b";")
    quality = parameters.strip().lower()
    refused = quality.startswith(b"q=") and not quality[2:].strip(b"0. ")
    return name.strip().lower().decode("latin-1"), not refused


def accepts(headers: Headers, coding: str) -> bool:
    """Whether a client takes this coding (RFC 9110 section 12.5.3). Without the header only identity is sure."""
    offered = dict(_quality(item) for value in header_values(headers, b"accept-encoding") for item in value.split(b","))
    wanted = [name for name, known in (*_NAMES.items(), (coding, coding)) if known == coding]
    named = [offered[name] for name in wanted if name in offered]
    return any(named) if named else offered.get("*", False)


def decodable_only(value: bytes) -> bytes:
    """An ``Accept-Encoding`` value without what cannot be decoded here; b"identity" when nothing is left."""
    kept = [item for item in value.split(b",") if _quality(item)[0] in CODINGS | {"identity", *_NAMES}]
    return b",".join(kept).strip() or b"identity"
