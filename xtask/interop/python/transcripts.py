"""Writes the transcripts of `crates/association/tests/vectors/`, from proto/README.md alone.

python transcripts.py FOLDER            write streams.json and datagrams.json, and print the worked example
python transcripts.py FOLDER --check    fail if they, or the example, are not what would be written;
                                        check `noiseprotocol` against noise.json, too
"""

import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from noise.connection import Keypair, NoiseConnection

import packets
from bindings import PROTO, association
from handshake import Initiator, Responder
from keys import DATAGRAMS, KNOWN, PROFILES, STREAMS, SUITES, Credential, X
from packets import CONTROL, DATA
from records import Sender

INITIATOR, RESPONDER = "//sp.example.com/id-mn/CSensor1", "//sp.example.com/id-mn"
CONNECTION_KEY, KEY_ID = bytes([7]) * 32, b"k001"
STATICS = bytes([1]) * 32, bytes([2]) * 32
EPHEMERALS = bytes(range(0x20, 0x40)), bytes(range(0x40, 0x60))
LATER_EPHEMERALS = bytes(range(0x60, 0x80)), bytes(range(0x80, 0xA0))
INDICES = b"\x00", bytes.fromhex("44400000")
LATER_INDICES = b"\x01", bytes.fromhex("44400001")
COOKIE = bytes(range(0xC0, 0xD0))
SLOT = bytes(4)
GRANTS_NOTHING = association.Control(grant=association.Grant()).SerializeToString()
CLOSE = association.Control(close=association.Close(reason=association.CLOSE_REASON_DONE))

# Both ends' policies: the initiator offers 2^16 * 1.25 s, the responder epochs of 2^16 records.
LIFETIME, EPOCH_BITS = 65, 16


def public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


class Transcript:
    """Both ends of one association."""

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
        self.senders = [
            Sender(traffic, self.suite, EPOCH_BITS) for traffic in (secrets.i2r, secrets.r2i)
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
        # What makes a sequence wide is in the sequence itself here, or in the skip.
        sequence, wide, boundary = sender.advance()
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

    def export(self, label, context, length):
        return {
            "label": label.hex(),
            "context": context.hex(),
            "value": self.secrets.export(label, context, length).hex(),
        }

    def confirmed(self):
        return [
            self.record(0, CONTROL, b"", confirm=True, at=0),
            self.record(1, CONTROL, b"" if self.stream else GRANTS_NOTHING, at=0),
        ]


def association_case(carriage, profile, suite):
    transcript = Transcript(carriage, profile, suite)
    case = {"profile": PROFILES[profile], "suite": SUITES[suite], **transcript.handshake()}
    records = transcript.confirmed()
    records.append(transcript.record(0, DATA, b"up"))
    records.append(transcript.record(1, DATA, b"down"))
    if carriage == DATAGRAMS:
        records += [transcript.record(0, DATA, bytes([n])) for n in range(2, 35)]
    records.append(transcript.record(0, DATA, b"of the next epoch", skip=True, at=130))
    records.append(transcript.record(0, DATA, b"", at=130))
    records.append(transcript.record(1, CONTROL, CLOSE.SerializeToString(), skip=True, at=130))
    case["epochs"] = transcript.epochs
    case["export"] = transcript.export(b"label", b"context", 48)
    case["records"] = records
    return case


def retry_case():
    """An Initiate, the Retry that answers it, and the Initiate that answers that."""
    first = Transcript(DATAGRAMS, "psk", "chacha-poly")
    echo = packets.packet_hash(first.initiator.packet)
    head = packets.handshake_type(packets.RETRY, INDICES[0]) + INDICES[0]
    covered = head + echo + COOKIE + SLOT
    retry = covered + first.credential.hint(b"", covered)
    indices = LATER_INDICES[0], INDICES[1]
    ephemerals = LATER_EPHEMERALS[0], EPHEMERALS[1]
    second = Transcript(DATAGRAMS, "psk", "chacha-poly", ephemerals, indices, cookie=COOKIE)
    return {
        "initiate": first.initiator.packet.hex(),
        "retry": retry.hex(),
        "initiate_with_cookie": second.initiator.packet.hex(),
        "prologue": second.initiator.prologue.hex(),
        "respond": second.respond.hex(),
        "confirm": second.confirmed()[0]["packet"],
    }


def refresh_case():
    """A refresh inside an association, and the record that confirms it (rule L1)."""
    old = Transcript(DATAGRAMS, "psk", "chacha-poly")
    records = old.confirmed()
    binding = old.secrets.export(b"refpoint/1 refresh", b"", 32)
    new = Transcript(
        DATAGRAMS, "psk", "chacha-poly", LATER_EPHEMERALS, LATER_INDICES, binding=binding
    )
    refresh = association.Control(refresh=new.initiator.packet).SerializeToString()
    refreshed = association.Control(refreshed=new.respond).SerializeToString()
    records.append(old.record(0, CONTROL, refresh))
    records.append(old.record(1, CONTROL, refreshed))
    return {
        "binding": binding.hex(),
        "records": records,
        "initiate": new.initiator.packet.hex(),
        "prologue": new.initiator.prologue.hex(),
        "respond": new.respond.hex(),
        "confirmation": [{**record, "at": 1} for record in new.confirmed()],
        "export": new.export(b"label", b"context", 48),
    }


def document(carriage):
    cases = [association_case(carriage, profile, suite) for profile in PROFILES for suite in SUITES]
    both = {
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
        "lifetime": LIFETIME,
        "epoch_bits": EPOCH_BITS,
    }
    if carriage == STREAMS:
        return {**both, "cases": cases}
    return {
        **both,
        "later_initiator_ephemeral": LATER_EPHEMERALS[0].hex(),
        "later_responder_ephemeral": LATER_EPHEMERALS[1].hex(),
        "cases": cases,
        "retry": retry_case(),
        "refresh": refresh_case(),
    }


def check_noise(folder):
    """Whether `noiseprotocol` gives the vectors of cacophony for the patterns used here."""
    vectors = json.loads((folder / "noise.json").read_text())["vectors"]
    for vector in vectors:
        ends = []
        for end, initiator in (("init", True), ("resp", False)):
            noise = NoiseConnection.from_name(vector["protocol_name"].encode())
            noise.set_as_initiator() if initiator else noise.set_as_responder()
            noise.set_prologue(bytes.fromhex(vector[f"{end}_prologue"]))
            noise.set_psks(psks=[bytes.fromhex(psk) for psk in vector[f"{end}_psks"]])
            for name, keypair in (("ephemeral", Keypair.EPHEMERAL), ("static", Keypair.STATIC)):
                if secret := vector.get(f"{end}_{name}"):
                    noise.set_keypair_from_private_bytes(keypair, bytes.fromhex(secret))
            if remote := vector.get(f"{end}_remote_static"):
                noise.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, bytes.fromhex(remote))
            noise.start_handshake()
            ends.append(noise)
        for turn, message in enumerate(vector["messages"][:2]):
            payload = bytes.fromhex(message["payload"])
            written = bytes(ends[turn].write_message(payload))
            assert written.hex() == message["ciphertext"], vector["protocol_name"]
            assert bytes(ends[1 - turn].read_message(written)) == payload
        hashes = {bytes(end.get_handshake_hash()).hex() for end in ends}
        assert hashes == {vector["handshake_hash"]}, vector["protocol_name"]
    return len(vectors)


def spaced(packet, *lengths):
    """Hexadecimal with a space after each of these lengths of bytes, a dot for none."""
    parts = []
    for length in lengths:
        parts.append(packet[: 2 * length])
        packet = packet[2 * length :]
    return " ".join(parts + [packet] if packet else parts)


def example(file):
    """Section 15 of proto/README.md: profile `psk`, suite 1, on datagrams."""
    case = file["cases"][0]
    record = {(record["from"], record["sequence"]): record["packet"] for record in case["records"]}
    epoch = {(epoch["direction"], epoch["epoch"]): epoch for epoch in case["epochs"]}
    boundary = 1 << EPOCH_BITS
    rows = [
        ("AssociationPsk", case["psk"]),
        ("payload 1", case["initiate_payload"]),
        ("Initiate", spaced(case["initiate"], 1, 1, 1, 1, 1, 4)),
        ("prologue", case["prologue"]),
        ("payload 2", case["respond_payload"]),
        ("Respond", spaced(case["respond"], 1, 1)),
        ("h", case["handshake_hash"]),
        ("k1", case["k1"]),
        ("k2", case["k2"]),
        ("master", case["master"]),
        ("i2r traffic 0", epoch["i2r", 0]["traffic"]),
        ("i2r key 0", epoch["i2r", 0]["key"]),
        ("i2r iv 0", epoch["i2r", 0]["iv"]),
        ("r2i traffic 0", epoch["r2i", 0]["traffic"]),
        ("exporter", case["exporter"]),
        ("confirm, 0", spaced(record["initiator", 0], 1, 4, 4)),
        ("answer, 0", spaced(record["responder", 0], 1, 1, 4)),
        ("data, 1", spaced(record["initiator", 1], 1, 4, 4, 2)),
        ("data, 33", spaced(record["initiator", 33], 1, 4, 2, 1)),
        ("i2r traffic 1", epoch["i2r", 1]["traffic"]),
        (f"data, {boundary}", spaced(record["initiator", boundary], 1, 4, 4)),
        ("close", spaced(record["responder", boundary], 1, 1, 4)),
    ]
    return "\n".join(line for name, value in rows for line in wrapped(name, value))


def wrapped(name, value, width=112):
    lines = [value[at : at + width] for at in range(0, len(value), width)]
    return [f"{name if at == 0 else '':<15}{line}" for at, line in enumerate(lines)]


def main():
    folder, check = Path(sys.argv[1]), "--check" in sys.argv[2:]
    for name, carriage in (("streams.json", STREAMS), ("datagrams.json", DATAGRAMS)):
        file = document(carriage)
        text = json.dumps(file, indent=2) + "\n"
        if not check:
            (folder / name).write_text(text)
        elif (folder / name).read_text() != text:
            sys.exit(f"{name} is not what transcripts.py writes")
    if not check:
        print(example(file))
    elif example(file) not in (PROTO / "README.md").read_text():
        sys.exit("the worked example of proto/README.md is not that of datagrams.json")
    if check:
        check_noise(folder)


if __name__ == "__main__":
    main()
