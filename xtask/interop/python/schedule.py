"""Section 6 of proto/README.md: the key schedule."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from keys import CHACHA_POLY, expand, extract, f, lp


def expand_label(secret, label, context, length):
    return expand(secret, lp(label.encode()) + context, length)


def export(exporter, label, context, length):
    return expand_label(exporter, "refpoint/1 export", f(label) + f(context), length)


class Secrets:
    """What a handshake ends in."""

    def __init__(self, handshake_hash, k1, k2, initiator, responder):
        self.handshake_hash, self.k1, self.k2 = handshake_hash, k1, k2
        self.master = extract(handshake_hash, k1 + k2)
        context = f(initiator.encode()) + f(responder.encode())
        self.i2r = expand_label(self.master, "refpoint/1 i2r", context, 32)
        self.r2i = expand_label(self.master, "refpoint/1 r2i", context, 32)
        self.exporter = expand_label(self.master, "refpoint/1 exporter", context, 32)

    def export(self, label, context, length):
        return export(self.exporter, label, context, length)


def ratchet(traffic):
    return expand_label(traffic, "refpoint/1 ratchet", b"", 32)


class Aead:
    """The suite's AEAD under one key."""

    def __init__(self, key, suite):
        self.cipher = (ChaCha20Poly1305 if suite == CHACHA_POLY else AESGCM)(key)

    def seal(self, nonce, aad, data):
        return self.cipher.encrypt(nonce, data, aad)

    def open(self, nonce, aad, sealed):
        """The plaintext; `None` when it does not open."""
        try:
            return self.cipher.decrypt(nonce, sealed, aad)
        except (InvalidTag, ValueError):
            return None


class EpochKey:
    """The key and iv of one direction and epoch."""

    def __init__(self, traffic, suite):
        okm = expand_label(traffic, "refpoint/1 epoch", b"", 44)
        self.key, self.iv = okm[:32], okm[32:]
        self.aead = Aead(self.key, suite)

    def nonce(self, sequence):
        number = bytes(4) + sequence.to_bytes(8, "big")
        return bytes(a ^ b for a, b in zip(self.iv, number))

    def seal(self, sequence, aad, data):
        return self.aead.seal(self.nonce(sequence), aad, data)

    def open(self, sequence, aad, sealed):
        """The plaintext; `None` when it does not open."""
        return self.aead.open(self.nonce(sequence), aad, sealed)
