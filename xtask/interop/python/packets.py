"""Section 4 of proto/README.md: packets."""

import hashlib
from collections import namedtuple

from keys import KNOWN, PINNED, VERSION

INITIATE, RESPOND, RETRY, REFUSE = 1, 2, 6, 7
DATA, CONTROL = 0, 1
COOKIE_PRESENT = 0x80
NO_ASSOCIATION, OTHER_VERSION = 1, 2

Initiate = namedtuple("Initiate", "profile suite point index key_id cookie header message tag")
Respond = namedtuple("Respond", "index message")
Retry = namedtuple("Retry", "index echo cookie slot mac covered")
Refuse = namedtuple("Refuse", "reason index echo versions")
Record = namedtuple("Record", "index kind confirm low bits header sealed")


class Invalid(Exception):
    """Bytes that are no packet: they are dropped."""


def packet_hash(packet):
    return hashlib.sha256(packet).digest()[:8]


def handshake_type(kind, index):
    return bytes([kind << 3 | len(index)])


def initiate_header(credential, index, cookie=b""):
    key_id = b"" if credential.profile == KNOWN else credential.key_id
    terms = credential.profile << 5 | credential.suite << 3 | credential.point
    lengths = len(key_id) | (COOKIE_PRESENT if cookie else 0)
    head = handshake_type(INITIATE, index) + bytes([VERSION, terms, lengths])
    return head + index + key_id + cookie


def respond_header(index):
    return handshake_type(RESPOND, index) + index


def record_header(index, sequence, wide, kind, confirm):
    first = 0x80 | (len(index) - 1) << 4 | kind
    first |= (0x40 if wide else 0) | (0x04 if confirm else 0)
    return bytes([first]) + index + sequence.to_bytes(8, "big")[-4 if wide else -2 :]


def stream_header(length, kind, boundary, confirm):
    """The length and type of a record on a stream whose plaintext has `length` bytes."""
    first = 0x80 | kind | (0x08 if boundary else 0) | (0x04 if confirm else 0)
    return (1 + length + 16).to_bytes(2, "big") + bytes([first])


def frame(packet):
    return len(packet).to_bytes(2, "big") + packet


class _Reader:
    def __init__(self, packet):
        self.packet, self.at = packet, 0

    def take(self, length):
        if length < 0 or self.at + length > len(self.packet):
            raise Invalid("truncated")
        self.at += length
        return self.packet[self.at - length : self.at]

    def rest(self):
        return self.take(len(self.packet) - self.at)

    def end(self):
        if self.at != len(self.packet):
            raise Invalid("too long")


def parse(packet):
    reader = _Reader(packet)
    first = reader.take(1)[0]
    if first & 0x80:
        return _parse_record(reader, first)
    index_length = first & 7
    if index_length > 4:
        raise Invalid("index length")
    kind = first >> 3
    if kind == INITIATE:
        return _parse_initiate(reader, index_length)
    if kind == RESPOND:
        return Respond(reader.take(index_length), reader.rest())
    if kind == RETRY:
        fields = [reader.take(length) for length in (index_length, 8, 16, 4, 8)]
        reader.end()
        return Retry(*fields[:3], int.from_bytes(fields[3], "big"), fields[4], packet[:-8])
    if kind == REFUSE:
        reason = reader.take(1)[0]
        if reason == NO_ASSOCIATION and index_length > 0:
            refuse = Refuse(reason, reader.take(index_length), b"", b"")
            reader.take(1)  # which handles the sender of the Refuse knows
            reader.end()
            return refuse
        if reason == OTHER_VERSION and index_length == 0:
            return Refuse(reason, b"", reader.take(8), reader.rest())
    raise Invalid("packet type")


def _parse_initiate(reader, index_length):
    if reader.take(1)[0] != VERSION:
        raise Invalid("version")
    terms, lengths = reader.take(2)
    profile, suite, point = terms >> 5, terms >> 3 & 3, terms & 7
    index = reader.take(index_length)
    key_id = reader.take(lengths & ~COOKIE_PRESENT)
    if len(key_id) > 32 or (profile == KNOWN) != (key_id == b""):
        raise Invalid("key id")
    cookie = reader.take(16) if lengths & COOKIE_PRESENT else b""
    header, message = reader.packet[: reader.at], reader.rest()
    tag = b""
    if profile == PINNED:
        if len(message) < 8:
            raise Invalid("tag")
        message, tag = message[:-8], message[-8:]
    return Initiate(profile, suite, point, index, key_id, cookie, header, message, tag)


def _parse_record(reader, first):
    if first & 0x08 or first & 0x03 > CONTROL:
        raise Invalid("packet type")
    index = reader.take((first >> 4 & 3) + 1)
    width = 4 if first & 0x40 else 2
    low = int.from_bytes(reader.take(width), "big")
    header, sealed = reader.packet[: reader.at], reader.rest()
    if len(sealed) < 16:
        raise Invalid("tag")
    return Record(index, first & 3, bool(first & 0x04), low, 8 * width, header, sealed)
