"""Section 4 of proto/README.md: packets."""

import hashlib
from collections import namedtuple

from keys import FRESH, KNOWN, LIGHT, PINNED, VERSION

INITIATE, RESPOND, RESUME, RESUMED, RETRY, REFUSE = 1, 2, 4, 5, 6, 7
DATA, CONTROL = 0, 1
COOKIE_PRESENT, NO_CLOCK = 0x80, 0x40
HANDLE_LENGTH = 12
NO_ASSOCIATION, OTHER_VERSION, NO_HANDLE = 1, 2, 3

Initiate = namedtuple("Initiate", "profile suite point index key_id cookie header message tag")
Respond = namedtuple("Respond", "index message")
Resume = namedtuple("Resume", "mode suite point no_clock index id tag cookie header mac message")
Resumed = namedtuple("Resumed", "index head message")
Retry = namedtuple("Retry", "index echo cookie slot mac covered")
Refuse = namedtuple("Refuse", "reason index issuer echo versions", defaults=(b"", b"", b"", b""))
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


def resume_header(mode, suite, point, index, handle, cookie=b"", nonce=b"", no_clock=False):
    """The clear header of a Resume: with the nonce in `light`, which has none other than this."""
    terms = mode << 5 | suite << 3 | point
    flags = len(handle) | (COOKIE_PRESENT if cookie else 0) | (NO_CLOCK if no_clock else 0)
    head = handshake_type(RESUME, index) + bytes([VERSION, terms, flags])
    return head + index + handle + cookie + nonce


def resumed_header(index):
    return handshake_type(RESUMED, index) + index


def retry(index, echo, cookie, slot, hint):
    """A Retry; `hint` makes the MAC over what is before it."""
    head = handshake_type(RETRY, index) + index
    covered = head + echo + cookie + slot.to_bytes(4, "big")
    return covered + hint(covered)


def refuse_handle(resume, index):
    """The Refuse of a Resume whose handle cannot be redeemed."""
    return handshake_type(REFUSE, index) + bytes([NO_HANDLE]) + index + packet_hash(resume)


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
    if kind == RESUME:
        return _parse_resume(reader, index_length)
    if kind == RESUMED:
        index, head = reader.take(index_length), reader.packet[: reader.at]
        return Resumed(index, head, reader.rest())
    if kind == RETRY:
        fields = [reader.take(length) for length in (index_length, 8, 16, 4, 8)]
        reader.end()
        return Retry(*fields[:3], int.from_bytes(fields[3], "big"), fields[4], packet[:-8])
    if kind == REFUSE:
        return _parse_refuse(reader, index_length)
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


def _parse_refuse(reader, index_length):
    reason = reader.take(1)[0]
    if reason == OTHER_VERSION and index_length == 0:
        return Refuse(reason, echo=reader.take(8), versions=reader.rest())
    index = reader.take(index_length)
    if reason == NO_ASSOCIATION and index_length > 0:
        refuse = Refuse(reason, index, issuer=reader.take(1))
    elif reason == NO_HANDLE:
        refuse = Refuse(reason, index, echo=reader.take(8))
    else:
        raise Invalid("reason")
    reader.end()
    return refuse


def _parse_resume(reader, index_length):
    if reader.take(1)[0] != VERSION:
        raise Invalid("version")
    terms, flags = reader.take(2)
    mode, suite, point = terms >> 5, terms >> 3 & 3, terms & 7
    no_clock = bool(flags & NO_CLOCK)
    if mode not in (LIGHT, FRESH) or flags & 0x3F != HANDLE_LENGTH or no_clock and mode == FRESH:
        raise Invalid("terms")
    index, id_, tag = reader.take(index_length), reader.take(8), reader.take(4)
    cookie = reader.take(16) if flags & COOKIE_PRESENT else b""
    if mode == LIGHT:
        reader.take(8)
    header, mac = reader.packet[: reader.at], b""
    if mode == LIGHT:
        mac = reader.take(16)
        reader.end()
    return Resume(
        mode, suite, point, no_clock, index, id_, tag, cookie, header, mac, reader.rest()
    )


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
