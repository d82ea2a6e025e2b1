"""Sections 2 and 3 of proto/README.md: codes and keys."""

import hashlib
import hmac

X, Y, Y_PRIME, Z = 1, 2, 3, 4
PSK, PINNED, KNOWN = 1, 2, 3
LIGHT, FRESH = 5, 6
CHACHA_POLY, AES_GCM = 1, 2
DATAGRAMS, STREAMS = 1, 2
VERSION = 1

PROFILES = {"psk": PSK, "pinned": PINNED, "known": KNOWN}
SUITES = {"chacha-poly": CHACHA_POLY, "aes-gcm": AES_GCM}


def lp(field):
    return bytes([len(field)]) + field


def f(field):
    return len(field).to_bytes(2, "big") + field


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def extract(salt, ikm):
    return mac(salt, ikm)


def expand(prk, info, length):
    out, block = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = mac(prk, block + info + bytes([counter]))
        out += block
    return out[:length]


def derive(key, label, *fields):
    info = lp(label.encode()) + b"".join(lp(field) for field in fields)
    return expand(extract(b"refpoint keys v1", key), info, 32)


class Credential:
    """What both ends know of each other at one reference point."""

    def __init__(self, connection_key, key_id, point, profile, suite, initiator, responder):
        self.connection_key, self.key_id = connection_key, key_id
        self.point, self.profile, self.suite = point, profile, suite
        self.initiator, self.responder = initiator, responder

    def _derive(self, label):
        codes = [bytes([code]) for code in (VERSION, self.profile, self.point)]
        ids = [self.initiator.encode(), self.responder.encode()]
        return derive(self.connection_key, label, *codes, self.key_id, *ids)

    def psk(self):
        return self._derive("association psk")

    def hint_key(self, responder_public):
        """The key of the MAC over a Retry (T3)."""
        if self.profile == KNOWN:
            return mac(b"refpoint/1 hint", responder_public)
        return self._derive("hint key")

    def hint(self, responder_public, covered):
        """The MAC over a Retry (T3)."""
        return mac(self.hint_key(responder_public), covered)[:8]

    def tag_key(self):
        return self._derive("tag key")
