"""Section 11.4 of proto/README.md: handles, and redeeming them in mode `light`.

Mode `fresh` is a Noise handshake: `handshake.Initiator` and `handshake.Responder` take a `Handle` for its credential.
"""

import hashlib
import hmac

from handshake import prologue
from keys import FRESH, LIGHT, f, mac
from packets import resume_header, resumed_header
from schedule import Aead, Secrets, expand_label

MODES = {LIGHT: 1, FRESH: 2}
_LIGHT, _FRESH, _NO_CLOCK, _WINDOW = 1, 2, 4, 8


class Handle:
    """A name for a secret that both ends derive from an association, and what they agreed on in it."""

    # What it is when it stands for a credential, in `fresh`.
    profile = FRESH

    def __init__(self, secrets, credential, tag, modes, bits):
        self.suite, self.point = credential.suite, credential.point
        self.initiator, self.responder = credential.initiator, credential.responder
        self.tag, self.modes, self.bits = tag, modes, bits
        self.secret = expand_label(secrets.exporter, "refpoint/1 resumption", b"", 32)
        self.id = self._derive("refpoint/1 handle", 8)
        self.mac_key = self._derive("refpoint/1 resume mac")
        self.hint_key = self._derive("refpoint/1 resume hint")
        self.light_key = self._derive("refpoint/1 light")
        self.fresh_psk = self._derive("refpoint/1 fresh")

    def _derive(self, label, length=32):
        return expand_label(self.secret, label, b"", length)

    @property
    def name(self):
        return self.id + self.tag

    def allows(self, mode):
        return bool(self.modes & MODES[mode])

    def psk(self):
        return self.fresh_psk

    def hint(self, _, covered):
        """The MAC over a Retry (T3)."""
        return mac(self.hint_key, covered)[:8]


class LightGrant:
    """What a Resumed of mode `light` brings; the fields that are 0 say nothing."""

    def __init__(self, index, tag=bytes(4), modes=0, window=None, **numbers):
        self.index, self.tag, self.modes, self.window = index, tag, modes, window
        self.limits = numbers.get("limits", (0, 0, 0, 0))
        self.epoch_bits = numbers.get("epoch_bits", 0)
        self.remaining = numbers.get("remaining", 0)
        self.handle_lifetime = numbers.get("handle_lifetime", 0)
        self.no_clock = numbers.get("no_clock", False)

    def encode(self):
        flags = self.modes | (_NO_CLOCK if self.no_clock else 0) | (_WINDOW if self.window else 0)
        start, length = self.window or (0, 0)
        fields = bytes([flags, len(self.index)]) + self.index
        fields += bytes([*self.limits, self.epoch_bits]) + self.remaining.to_bytes(4, "big")
        fields += start.to_bytes(3, "big") + length.to_bytes(2, "big")
        return fields + bytes([self.handle_lifetime]) + self.tag

    @classmethod
    def decode(cls, plain):
        flags, length = plain[:2]
        if length > 4 or len(plain) != 21 + length:
            raise ValueError("grant")
        rest = plain[2 + length :]
        number = lambda start, end: int.from_bytes(rest[start:end], "big")
        return cls(
            plain[2 : 2 + length],
            rest[15:],
            flags & (_LIGHT | _FRESH),
            (number(9, 12), number(12, 14)) if flags & _WINDOW else None,
            limits=tuple(rest[:4]),
            epoch_bits=rest[4],
            remaining=number(5, 9),
            handle_lifetime=rest[14],
            no_clock=bool(flags & _NO_CLOCK),
        )


class _Light:
    """What both ends derive, one after the other; vectors show each."""

    def __init__(self, carriage, handle, header):
        self.handle = handle
        self.covered = prologue(carriage, header, handle)
        self.mac = mac(handle.mac_key, self.covered)[:16]

    def secrets(self, head, nonce):
        hashed = hashlib.sha256(self.covered + self.mac + f(head) + nonce).digest()
        ids = self.handle.initiator, self.handle.responder
        secrets = Secrets(hashed, self.handle.light_key, b"", *ids)
        okm = expand_label(secrets.master, "refpoint/1 grant", b"", 44)
        return secrets, okm[:32], okm[32:]


class LightInitiator:
    """A Resume of mode `light`, and what can read its answer."""

    def __init__(self, carriage, handle, nonce, index=b"", cookie=b""):
        self.credential, self.index = handle, index
        terms = LIGHT, handle.suite, handle.point
        header = resume_header(*terms, index, handle.name, cookie, nonce)
        self.light = _Light(carriage, handle, header)
        self.packet = header + self.light.mac

    def read(self, resumed):
        """The grant and the secrets; `None` when it does not open."""
        nonce, sealed = resumed.message[:8], resumed.message[8:]
        secrets, key, iv = self.light.secrets(resumed.head, nonce)
        plain = Aead(key, self.credential.suite).open(iv, resumed.head + nonce, sealed)
        return plain and (plain, secrets)


class LightResponder:
    """Answers a Resume (`packets.Resume`); raises when its MAC is wrong."""

    def __init__(self, carriage, handle, resume):
        self.light, self.index = _Light(carriage, handle, resume.header), resume.index
        if not hmac.compare_digest(self.light.mac, resume.mac):
            raise ValueError("MAC")

    def respond(self, nonce, grant):
        """The Resumed and the secrets."""
        head = resumed_header(self.index)
        secrets, self.key, self.iv = self.light.secrets(head, nonce)
        cipher = Aead(self.key, self.light.handle.suite)
        return head + nonce + cipher.seal(self.iv, head + nonce, grant), secrets
