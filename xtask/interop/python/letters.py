"""Section 18.6 of proto/README.md: sessions, whose records are letters."""

import hashlib
import secrets

import packets
from bindings import association
from handshake import Initiator, Responder
from keys import PSK, Credential, f
from records import AHEAD, Sender
from schedule import EpochKey, ratchet

LETTERS, END_TO_END = 3, 5
DATA, CONTROL = 0, 1
EPOCH_BITS = 16


def binding(target):
    return hashlib.sha256(b"refpoint/1 letters" + f(target.encode())).digest()


def letter_header(index, sequence, kind, confirm=False, is_padded=False):
    kind |= 0b1011_0000 | (4 if confirm else 0) | (0x40 if is_padded else 0)
    return bytes([kind]) + index + sequence.to_bytes(5, "big")


class Letters:
    """The receiving direction of a session: every epoch's key is kept, and what has opened under it."""

    def __init__(self, traffic, suite, bits):
        self.suite, self.bits = suite, bits
        self.newest, self.traffic = 0, traffic
        self.keys, self.seen = {0: EpochKey(traffic, suite)}, set()

    def open(self, sequence, aad, sealed):
        """The plaintext; `None` when it is to be dropped."""
        epoch = sequence >> self.bits
        if sequence in self.seen or epoch > self.newest + AHEAD:
            return None
        keys, traffic = {}, self.traffic
        for number in range(self.newest + 1, epoch + 1):
            traffic = ratchet(traffic)
            keys[number] = EpochKey(traffic, self.suite)
        key = keys.get(epoch) or self.keys.get(epoch)
        plain = key.open(sequence, aad, sealed) if key else None
        if plain is not None:
            self.seen.add(sequence)
            self.keys |= keys
            if epoch > self.newest:
                self.newest, self.traffic = epoch, traffic
        return plain


class Session:
    """A session after its handshake."""

    def __init__(self, made, is_initiator, suite, indices, bits):
        self.is_initiator, self.own, self.peer = is_initiator, *indices
        forth, back = (made.i2r, made.r2i) if is_initiator else (made.r2i, made.i2r)
        self.sender, self.receiver = Sender(forth, suite, bits), Letters(back, suite, bits)
        self.confirmed = False

    def seal(self, kind, plain, is_padded=False):
        """The next letter; an initiator's asks for an answer until one has come (H6)."""
        sequence, _, _ = self.sender.advance()
        confirm = self.is_initiator and not self.confirmed
        head = letter_header(self.peer, sequence, kind, confirm, is_padded)
        return head + self.sender.key.seal(sequence, head, plain)

    def open(self, letter):
        """Kind, plaintext, and whether an answer is wanted; `None` when it is to be dropped."""
        head, sealed = letter[:10], letter[10:]
        if head[0] & 0b1011_1000 != 0b1011_0000 or head[1:5] != self.own:
            return None
        plain = self.receiver.open(int.from_bytes(head[5:], "big"), head, sealed)
        if plain is None:
            return None
        self.confirmed = True
        return head[0] & 3, plain, bool(head[0] & 4)


class Offer:
    """An Initiate, and the session that its Respond makes."""

    def __init__(self, credential, target, ephemeral=None, index=None, payload=b""):
        self.suite, self.index = credential.suite, index or secrets.token_bytes(4)
        own = dict(index=self.index, binding=binding(target))
        ephemeral = ephemeral or secrets.token_bytes(32)
        self.initiator = Initiator(LETTERS, credential, payload, ephemeral, **own)
        self.packet = self.initiator.packet

    def read(self, packet):
        """The session; `None` when the Respond does not open."""
        respond = packets.parse(packet)
        read = self.initiator.read(respond.message) if respond.index == self.index else None
        if read is None:
            return None
        payload = association.RespondPayload.FromString(read[0])
        bits = min(payload.epoch_bits or 20, 20)
        return Session(read[1], True, self.suite, (self.index, payload.index), bits)


def accept(credential, target, packet):
    """The Respond to an Initiate, and the session."""
    initiate, index = packets.parse(packet), secrets.token_bytes(4)
    ephemeral = secrets.token_bytes(32)
    responder = Responder(LETTERS, credential, initiate, ephemeral, binding=binding(target))
    offered = association.InitiatePayload.FromString(responder.payload)
    payload = association.RespondPayload(index=index, epoch_bits=EPOCH_BITS)
    respond, made = responder.respond(payload.SerializeToString())
    bits = min(offered.epoch_bits or 20, EPOCH_BITS)
    return respond, Session(made, False, credential.suite, (index, initiate.index), bits)


def credential(shared, suite, initiator, responder):
    key = shared.connection_key(), shared.key_id
    return Credential(*key, END_TO_END, PSK, suite, initiator, responder)
