"""One association between two ends, with the inputs that all transcripts share."""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

import packets
from bindings import association
from handshake import Initiator, Responder
from keys import KNOWN, PROFILES, STREAMS, SUITES, Credential, X
from packets import CONTROL
from records import Sender

INITIATOR, RESPONDER = "//sp.example.com/id-mn/CSensor1", "//sp.example.com/id-mn"
CONNECTION_KEY, KEY_ID = bytes([7]) * 32, b"k001"
STATICS = bytes([1]) * 32, bytes([2]) * 32
EPHEMERALS = bytes(range(0x20, 0x40)), bytes(range(0x40, 0x60))
LATER_EPHEMERALS = bytes(range(0x60, 0x80)), bytes(range(0x80, 0xA0))
INDICES = b"\x00", bytes.fromhex("44400000")
LATER_INDICES = b"\x01", bytes.fromhex("44400001")
COOKIE = bytes(range(0xC0, 0xD0))
GRANTS_NOTHING = association.Control(grant=association.Grant()).SerializeToString()
CLOSE = association.Control(close=association.Close(reason=association.CLOSE_REASON_DONE))

# Both ends' policies: the initiator offers 2^16 * 1.25 s, the responder epochs of 2^16 records.
LIFETIME, EPOCH_BITS = 65, 16


def public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def inputs():
    """What all transcripts state before their cases."""
    return {
        "source": "written by xtask/interop/python/transcripts.py, an implementation of proto/README.md alone",
        "initiator": INITIATOR,
        "responder": RESPONDER,
        "point": X,
        "connection_key": CONNECTION_KEY.hex(),
        "key_id": KEY_ID.hex(),
        "initiator_static": STATICS[0].hex(),
        "responder_static": STATICS[1].hex(),
        "initiator_ephemeral": EPHEMERALS[0].hex(),
        "responder_ephemeral": EPHEMERALS[1].hex(),
        "later_initiator_ephemeral": LATER_EPHEMERALS[0].hex(),
        "later_responder_ephemeral": LATER_EPHEMERALS[1].hex(),
        "lifetime": LIFETIME,
        "epoch_bits": EPOCH_BITS,
    }


class Records:
    """What both ends of one association seal."""

    def __init__(self, secrets, suite, indices, stream=False):
        self.secrets, self.suite = secrets, suite
        self.indices, self.stream = indices, stream
        self.senders = [
            Sender(traffic, suite, EPOCH_BITS) for traffic in (secrets.i2r, secrets.r2i)
        ]
        self.epochs = []
        self.note_epoch(0)
        self.note_epoch(1)

    def note_epoch(self, end):
        sender = self.senders[end]
        self.epochs.append(
            {
                "direction": ("i2r", "r2i")[end],
                "epoch": sender.epoch,
                "traffic": sender.traffic.hex(),
                "key": sender.key.key.hex(),
                "iv": sender.key.iv.hex(),
            }
        )

    def record(self, end, kind, plain, confirm=False, skip=False, at=1):
        """The next record of an end (0: the initiator's), as JSON, sent so many seconds after the start."""
        sender = self.senders[end]
        epoch = sender.epoch
        if skip:
            sender.ratchet()
        # What makes a sequence wide is in the sequence itself here, in the skip, or in what was heard.
        sequence, wide, boundary = sender.advance()
        # It arrives, before anything else is sent.
        self.senders[1 - end].hear()
        if sender.epoch != epoch:
            self.note_epoch(end)
        if self.stream:
            header = packets.stream_header(len(plain), kind, boundary, confirm)
        else:
            header = packets.record_header(self.indices[1 - end], sequence, wide, kind, confirm)
        skipped = sender.without_skip.to_bytes(8, "big") if self.stream and boundary else b""
        packet = header + sender.key.seal(sequence, header + skipped, plain)
        return {
            "from": ("initiator", "responder")[end],
            "at": at,
            "kind": ("data", "control")[kind],
            "confirm": confirm,
            "sequence": sequence,
            "plaintext": plain.hex(),
            "packet": packet.hex(),
        }

    def export(self, label, context, length):
        return {
            "label": label.hex(),
            "context": context.hex(),
            "value": self.secrets.export(label, context, length).hex(),
        }

    def confirmed(self, answer=None, at=0):
        """The record that confirms, and its answer."""
        if answer is None:
            answer = b"" if self.stream else GRANTS_NOTHING
        return [
            self.record(0, CONTROL, b"", confirm=True, at=at),
            self.record(1, CONTROL, answer, at=at),
        ]


class Transcript(Records):
    """Both ends of one association, from its handshake on."""

    def __init__(self, carriage, profile, suite, ephemerals=EPHEMERALS, indices=INDICES, **options):
        self.carriage, self.suite = carriage, SUITES[suite]
        self.profile = PROFILES[profile]
        self.stream = carriage == STREAMS
        ids = INITIATOR, RESPONDER
        key = CONNECTION_KEY, KEY_ID, X, self.profile, self.suite
        self.credential = Credential(*key, *ids)
        self.indices = (b"", b"") if self.stream else indices
        publics = [public(private) for private in STATICS]
        payload = association.InitiatePayload(lifetime=LIFETIME)
        if self.profile == KNOWN:
            payload.initiator, payload.key_id = INITIATOR, KEY_ID
        self.payloads = [payload.SerializeToString()]
        own = dict(static=STATICS[0], remote=publics[1], index=self.indices[0], **options)
        self.initiator = Initiator(
            carriage, self.credential, self.payloads[0], ephemerals[0], **own
        )
        initiate = packets.parse(self.initiator.packet)
        options.pop("cookie", None)
        own = dict(static=STATICS[1], remote=publics[0], **options)
        responder = Responder(carriage, self.credential, initiate, ephemerals[1], **own)
        assert responder.payload == self.payloads[0]
        payload = association.RespondPayload(index=self.indices[1], epoch_bits=EPOCH_BITS)
        self.payloads.append(payload.SerializeToString())
        self.respond, self.secrets = responder.respond(self.payloads[1])
        read, secrets = self.initiator.read(packets.parse(self.respond).message)
        assert read == self.payloads[1] and secrets.master == self.secrets.master
        super().__init__(self.secrets, self.suite, self.indices, self.stream)

    def framed(self, packet):
        return (packets.frame(packet) if self.stream else packet).hex()

    def handshake(self):
        return {
            "psk": self.credential.psk().hex(),
            "prologue": self.initiator.prologue.hex(),
            "initiate_payload": self.payloads[0].hex(),
            "initiate": self.framed(self.initiator.packet),
            "respond_payload": self.payloads[1].hex(),
            "respond": self.framed(self.respond),
            "handshake_hash": self.secrets.handshake_hash.hex(),
            "k1": self.secrets.k1.hex(),
            "k2": self.secrets.k2.hex(),
            "master": self.secrets.master.hex(),
            "exporter": self.secrets.exporter.hex(),
        }
