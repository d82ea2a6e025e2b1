"""Writes the transcripts of `crates/association/tests/vectors/`, from proto/README.md alone.

python transcripts.py FOLDER            write its JSON files, and print the worked example
python transcripts.py FOLDER --check    fail if they, or the example, are not what would be written;
                                        check `noiseprotocol` against noise.json, too
"""

import json
import sys
from pathlib import Path

from noise.connection import Keypair, NoiseConnection

import packets
import resumption_transcripts
from bindings import PROTO, association
from keys import DATAGRAMS, PROFILES, STREAMS, SUITES
from packets import CONTROL, DATA
from transcript import (
    CLOSE,
    COOKIE,
    EPHEMERALS,
    EPOCH_BITS,
    INDICES,
    LATER_EPHEMERALS,
    LATER_INDICES,
    Transcript,
    inputs,
)


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
    hint = lambda covered: first.credential.hint(b"", covered)
    retry = packets.retry(INDICES[0], echo, COOKIE, 0, hint)
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


def stream_refresh_case():
    """A refresh inside a stream: each direction moves at its `switched` (rules L1 and R7)."""
    old = Transcript(STREAMS, "psk", "chacha-poly")
    records = old.confirmed()
    binding = old.secrets.export(b"refpoint/1 refresh", b"", 32)
    new = Transcript(STREAMS, "psk", "chacha-poly", LATER_EPHEMERALS, binding=binding)
    controls = {
        "refresh": association.Control(refresh=new.initiator.packet),
        "refreshed": association.Control(refreshed=new.respond),
        "switched": association.Control(switched=True),
    }
    controls = {name: control.SerializeToString() for name, control in controls.items()}
    records.append(old.record(0, CONTROL, controls["refresh"]))
    # The old association goes on meanwhile, in both directions.
    records.append(old.record(0, DATA, b"up"))
    records.append(old.record(1, DATA, b"down"))
    records.append(old.record(1, CONTROL, controls["refreshed"]))
    records.append(old.record(0, CONTROL, controls["switched"]))
    records.append(new.record(0, CONTROL, b"", confirm=True))
    records.append(old.record(1, CONTROL, controls["switched"]))
    records.append(new.record(1, CONTROL, b""))
    records.append(new.record(0, DATA, b"up in the new"))
    records.append(new.record(1, DATA, b"down in the new"))
    return {
        "binding": binding.hex(),
        "records": records,
        "initiate": new.initiator.packet.hex(),
        "prologue": new.initiator.prologue.hex(),
        "respond": new.respond.hex(),
        "export": new.export(b"label", b"context", 48),
    }


def document(carriage):
    cases = [association_case(carriage, profile, suite) for profile in PROFILES for suite in SUITES]
    both = inputs()
    if carriage == STREAMS:
        return {**both, "cases": cases, "refresh": stream_refresh_case()}
    return {**both, "cases": cases, "retry": retry_case(), "refresh": refresh_case()}


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
    files = {
        "streams.json": document(STREAMS),
        "resumption.json": resumption_transcripts.document(DATAGRAMS),
        "stream_resumption.json": resumption_transcripts.document(STREAMS),
        "datagrams.json": document(DATAGRAMS),
    }
    for name, file in files.items():
        text = json.dumps(file, indent=2) + "\n"
        if not check:
            (folder / name).write_text(text)
        elif (folder / name).read_text() != text:
            sys.exit(f"{name} is not what transcripts.py writes")
    if not check:
        print(example(files["datagrams.json"]))
    elif example(files["datagrams.json"]) not in (PROTO / "README.md").read_text():
        sys.exit("the worked example of proto/README.md is not that of datagrams.json")
    if check:
        check_noise(folder)


if __name__ == "__main__":
    main()
