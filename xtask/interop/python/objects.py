"""Sections 18.1 to 18.5 of proto/README.md: records, pre-keys, padding, objects, groups."""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from noise.connection import Keypair, NoiseConnection

from keys import AES_GCM, CHACHA_POLY, VERSION, derive, f, lp, mac
from schedule import Aead, expand_label

CIPHERS = {CHACHA_POLY: "ChaChaPoly", AES_GCM: "AESGCM"}


class Refused(Exception):
    """Something sealed that is not taken, and why."""


def public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def signing_public(private):
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def sign(private, statement):
    return Ed25519PrivateKey.from_private_bytes(private).sign(statement)


def verify(public_, signature, statement):
    try:
        Ed25519PublicKey.from_public_bytes(public_).verify(signature, statement)
    except InvalidSignature:
        raise Refused("signature") from None


def times(begins, ends):
    return begins.to_bytes(8, "big") + ends.to_bytes(8, "big")


def record_statement(entity, sealing, signing, begins, ends):
    """Section 18.1: what an authority signs."""
    return b"refpoint/1 entity record" + f(entity.encode()) + sealing + signing + times(begins, ends)


def pre_key_statement(owner, number, suite, key, begins, ends):
    """Section 18.2: what an owner signs."""
    statement = b"refpoint/1 pre-key" + f(owner.encode()) + number.to_bytes(4, "big")
    return statement + bytes([suite]) + key + times(begins, ends)


class Shared:
    """A Ka, as section 3 uses it end to end."""

    def __init__(self, key, key_id):
        self.key, self.key_id = key, key_id

    def psk(self, sender, receiver):
        ids = sender.encode(), receiver.encode()
        return derive(self.key, "object psk", bytes([VERSION]), self.key_id, *ids)

    def voucher(self, owner, statement):
        key = derive(self.key, "voucher key", bytes([VERSION]), self.key_id, owner.encode())
        return mac(key, statement)

    def connection_key(self):
        return derive(self.key, "end-to-end connection key")


def padded(content, multiple):
    """Section 18.3."""
    if not multiple:
        return content
    content += b"\x80"
    return content + bytes(-len(content) % multiple)


def unpadded(content):
    content = content.rstrip(b"\x00")
    if not content.endswith(b"\x80"):
        raise Refused("padding")
    return content[:-1]


class Head:
    """The clear part of an object (18.4)."""

    def __init__(self, suite, number, expires, key_id=b"", is_padded=False):
        self.suite, self.number, self.expires = suite, number, expires
        self.key_id, self.is_padded = key_id, is_padded

    def encode(self):
        number = self.number.to_bytes(max(1, -(-self.number.bit_length() // 8)), "big")
        kind = 0b001_00000 | (self.suite - 1) << 3 | len(number) - 1
        kind |= (0 if self.key_id else 1 << 4) | (4 if self.is_padded else 0)
        shared = lp(self.key_id) if self.key_id else b""
        return bytes([kind]) + shared + number + self.expires.to_bytes(4, "big")

    @classmethod
    def parse(cls, sealed):
        """The head, its bytes, and the Noise message."""
        kind, at, key_id = sealed[0], 1, b""
        if kind >> 5 != 0b001:
            raise Refused("version")
        if not kind & 1 << 4:
            at = 2 + sealed[1]
            key_id = sealed[2:at]
        end = at + (kind & 3) + 1
        number, expires = (int.from_bytes(part, "big") for part in (sealed[at:end], sealed[end : end + 4]))
        head = cls((kind >> 3 & 1) + 1, number, expires, key_id, bool(kind & 4))
        if head.encode() != sealed[: end + 4]:
            raise Refused("head")
        return head, sealed[: end + 4], sealed[end + 4 :]


def prologue(head, sender, receiver, target, group=b""):
    fields = [head, sender, receiver.encode(), target.encode(), group]
    return b"refpoint/1 object" + b"".join(f(field) for field in fields)


def _noise(head, prologue_, is_sender, static, remote, psk):
    pattern = "Kpsk0" if psk else "X"
    noise = NoiseConnection.from_name(f"Noise_{pattern}_25519_{CIPHERS[head.suite]}_SHA256".encode())
    noise.set_as_initiator() if is_sender else noise.set_as_responder()
    noise.set_prologue(prologue_)
    if psk:
        noise.set_psks(psk)
    noise.set_keypair_from_private_bytes(Keypair.STATIC, static)
    if remote:
        noise.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, remote)
    return noise


def seal(head, ids, target, keys, content, ephemeral, shared=None, group=b"", multiple=0):
    """An object: `ids` are those of sender and receiver, `keys` the sender's private and the pre-key's public one."""
    sender, receiver = ids
    encoded = head.encode()
    named = sender.encode() if shared else b""
    prologue_ = prologue(encoded, named, receiver, target, group)
    psk = shared.psk(sender, receiver) if shared else None
    noise = _noise(head, prologue_, True, *keys, psk)
    noise.set_keypair_from_private_bytes(Keypair.EPHEMERAL, ephemeral)
    noise.start_handshake()
    payload = (b"" if shared else lp(sender.encode())) + padded(content, multiple)
    return encoded + bytes(noise.write_message(payload)), prologue_


class Opener:
    """A receiver with its pre-keys, and the senders that it knows: their public keys by id."""

    def __init__(self, entity, target, shared, senders):
        self.entity, self.target, self.shared, self.senders = entity, target, shared, senders
        self.pre_keys, self.opened = {}, set()

    def open(self, sealed, now, group=b""):
        """Sender and content."""
        head, encoded, message = Head.parse(sealed)
        if head.expires <= now:
            raise Refused("expired")
        if head.key_id not in (b"", self.shared.key_id):
            raise Refused("sender")
        suite, private = self.pre_keys.get(head.number, (None, None))
        if suite != head.suite:
            raise Refused("pre-key")
        if message[:32] in self.opened:
            raise Refused("replayed")
        sender, psk, remote = "", None, None
        if head.key_id:
            # One Ka, one other end: whose it is comes with the key.
            (sender,) = self.senders
            psk, remote = self.shared.psk(sender, self.entity), self.senders[sender]
        prologue_ = prologue(encoded, sender.encode(), self.entity, self.target, group)
        noise = _noise(head, prologue_, False, private, remote, psk)
        noise.start_handshake()
        state = noise.noise_protocol.handshake_state
        try:
            payload = bytes(noise.read_message(message))
        except Exception:  # whatever the library makes of forged bytes
            raise Refused("does not open") from None
        if not head.key_id:
            stated, payload = payload[1 : 1 + payload[0]].decode(), payload[1 + payload[0] :]
            if self.senders.get(stated) != state.rs.public_bytes:
                raise Refused("impersonation")
            sender = stated
        content = unpadded(payload) if head.is_padded else payload
        self.opened.add(message[:32])
        return sender, content

    def open_group(self, group, now):
        """Section 18.5: sender and content of a `refpoint.e2e.v1.Group`."""
        digest = group_digest(group.head, group.ciphertext)
        refused = Refused("no part")
        for part in group.parts:
            try:
                sender, key = self.open(part, now, digest)
            except Refused as error:
                refused = error
                continue
            if content_key(key, "commitment") != group.head[5:]:
                raise Refused("commitment")
            suite = (group.head[0] >> 3 & 1) + 1
            content = Aead(content_key(key, "key"), suite).open(bytes(12), group.head, group.ciphertext)
            if content is None:
                raise Refused("does not open")
            return sender, unpadded(content) if group.head[0] & 4 else content
        raise refused


def content_key(key, use):
    """What a group's content key is used by."""
    return expand_label(key, f"refpoint/1 content {use}", b"", 32)


def group_digest(head, ciphertext):
    return hashlib.sha256(b"refpoint/1 group" + f(head) + ciphertext).digest()


def seal_content(suite, expires, key, content):
    """Head and ciphertext of a group."""
    kind = bytes([0b001_00000 | (suite - 1) << 3])
    head = kind + expires.to_bytes(4, "big") + content_key(key, "commitment")
    aead = (ChaCha20Poly1305 if suite == CHACHA_POLY else AESGCM)(content_key(key, "key"))
    return head, aead.encrypt(bytes(12), content, head)
