"""Writes the vectors of `crates/e2e/tests/vectors/`, from proto/README.md, section 18, alone.

python end_to_end.py FOLDER            write objects.json and session.json
python end_to_end.py FOLDER --check    fail if they are not what would be written
"""

import json
import sys
from pathlib import Path

import packets
from bindings import association
from handshake import Responder
from keys import CHACHA_POLY, SUITES
from letters import EPOCH_BITS, LETTERS, Offer, binding, credential, letter_header
from objects import (
    Head,
    Shared,
    group_digest,
    pre_key_statement,
    public,
    record_statement,
    seal,
    seal_content,
    sign,
    signing_public,
)
from records import Sender

SENSOR, DISPLAY = "//sp.example.com/id-mn/CSensor1", "//sp.example.com/id-in/CDisplay1"
ARCHIVE = "//sp.example.com/id-in/CArchive1"
TARGET = "//sp.example.com/id-in/cse-in/display/readings"
KA, KEY_ID = bytes([7]) * 32, b"a001"
STATICS = {SENSOR: bytes([1]) * 32, DISPLAY: bytes([2]) * 32, ARCHIVE: bytes([4]) * 32}
SIGNING, AUTHORITY = bytes([5]) * 32, bytes([0xAA]) * 32
PRE_KEYS = {DISPLAY: bytes([9]) * 32, ARCHIVE: bytes([10]) * 32}
NUMBER, BEGINS, ENDS, EXPIRES = 0x1234, 1_800_000_000, 1_800_172_800, 1_800_086_400
EPHEMERALS = bytes(range(0x20, 0x40)), bytes(range(0x40, 0x60))
CONTENT_KEY, CONTENT = bytes(range(0x80, 0xA0)), b'{"t":21.5}'
INDICES = bytes.fromhex("11223344"), bytes.fromhex("55667788")


SHARED = Shared(KA, KEY_ID)


def record():
    """Section 18.1: the display's."""
    keys = public(STATICS[DISPLAY]), signing_public(SIGNING)
    statement = record_statement(DISPLAY, *keys, 0, ENDS)
    return {"statement": statement.hex(), "signature": sign(AUTHORITY, statement).hex()}


def pre_key(suite):
    """Section 18.2: the display's."""
    key = public(PRE_KEYS[DISPLAY])
    statement = pre_key_statement(DISPLAY, NUMBER, suite, key, BEGINS, ENDS)
    return {
        "statement": statement.hex(),
        "signature": sign(SIGNING, statement).hex(),
        "voucher": SHARED.voucher(DISPLAY, statement).hex(),
    }


def sealed(suite, receiver, ephemeral, content, shared=False, group=b"", pad=0):
    """Section 18.4: an object from the sensor, and its prologue."""
    head = Head(suite, NUMBER, EXPIRES, KEY_ID if shared else b"", pad > 0)
    keys, ids = (STATICS[SENSOR], public(PRE_KEYS[receiver])), (SENSOR, receiver)
    shared = SHARED if shared else None
    return seal(head, ids, TARGET, keys, content, ephemeral, shared, group, pad)


def object_case(suite, shared, pad):
    object_, prologue = sealed(suite, DISPLAY, EPHEMERALS[0], CONTENT, shared, pad=pad)
    return {
        "suite": suite,
        "application_key": shared,
        "bucket": pad,
        "prologue": prologue.hex(),
        "object": object_.hex(),
    }


def group_case(suite):
    """Section 18.5: for the display, with Ka, and the archive, without."""
    head, ciphertext = seal_content(suite, EXPIRES, CONTENT_KEY, CONTENT)
    digest = group_digest(head, ciphertext)
    parts = [
        sealed(CHACHA_POLY, DISPLAY, EPHEMERALS[0], CONTENT_KEY, True, digest)[0],
        sealed(CHACHA_POLY, ARCHIVE, EPHEMERALS[1], CONTENT_KEY, False, digest)[0],
    ]
    return {
        "suite": suite,
        "content_key": CONTENT_KEY.hex(),
        "head": head.hex(),
        "ciphertext": ciphertext.hex(),
        "digest": digest.hex(),
        "parts": [part.hex() for part in parts],
    }


def objects():
    suites = SUITES.values()
    return {
        "source": SOURCE,
        "sensor": SENSOR,
        "display": DISPLAY,
        "archive": ARCHIVE,
        "target": TARGET,
        "application_key": KA.hex(),
        "key_id": KEY_ID.hex(),
        "sensor_static": STATICS[SENSOR].hex(),
        "display_static": STATICS[DISPLAY].hex(),
        "signing_key": SIGNING.hex(),
        "authority_key": AUTHORITY.hex(),
        "display_pre_key": PRE_KEYS[DISPLAY].hex(),
        "archive_pre_key": PRE_KEYS[ARCHIVE].hex(),
        "number": NUMBER,
        "not_before": BEGINS,
        "not_after": ENDS,
        "expires": EXPIRES,
        "ephemerals": [ephemeral.hex() for ephemeral in EPHEMERALS],
        "content": CONTENT.hex(),
        "record": record(),
        "pre_key": pre_key(CHACHA_POLY),
        "objects": [
            object_case(suite, shared, pad)
            for suite in suites
            for shared in (True, False)
            for pad in (0, 64)
        ],
        "groups": [group_case(suite) for suite in suites],
    }


def letter(sender, index, kind, plain, confirm=False):
    """Section 18.6: the next letter of an end."""
    sequence, _, _ = sender.advance()
    head = letter_header(index, sequence, kind, confirm)
    return {
        "sequence": sequence,
        "confirm": confirm,
        "kind": ("data", "control")[kind],
        "plaintext": plain.hex(),
        "letter": (head + sender.key.seal(sequence, head, plain)).hex(),
    }


def epoch(direction, sender):
    """A direction's keys, as of its last letter."""
    key = sender.key
    return {
        "direction": direction,
        "epoch": sender.epoch,
        "traffic": sender.traffic.hex(),
        "key": key.key.hex(),
        "iv": key.iv.hex(),
    }


def session_case(suite):
    key = credential(SHARED, suite, SENSOR, DISPLAY)
    offer = Offer(key, TARGET, EPHEMERALS[0], INDICES[0])
    initiate, bound = packets.parse(offer.packet), binding(TARGET)
    responder = Responder(LETTERS, key, initiate, EPHEMERALS[1], binding=bound)
    payload = association.RespondPayload(index=INDICES[1], epoch_bits=EPOCH_BITS)
    respond, secrets = responder.respond(payload.SerializeToString())
    assert offer.read(respond)
    forth, back = (Sender(traffic, suite, EPOCH_BITS) for traffic in (secrets.i2r, secrets.r2i))
    letters = [letter(forth, INDICES[1], 0, b"first", True), letter(back, INDICES[0], 1, b"")]
    letters += [letter(forth, INDICES[1], 0, b"second"), letter(back, INDICES[0], 0, b"reply")]
    epochs = [epoch("i2r", forth), epoch("r2i", back)]
    forth.ratchet()
    letters.append(letter(forth, INDICES[1], 0, b"of the next epoch"))
    back.ratchet()
    back.advance()
    epochs += [epoch("i2r", forth), epoch("r2i", back)]
    for entry, end in zip(letters, "irIRi"):
        entry["from"] = "initiator" if end in "iI" else "responder"
    return {
        "suite": suite,
        "binding": bound.hex(),
        "initiate": offer.packet.hex(),
        "respond": respond.hex(),
        "psk": key.psk().hex(),
        "k1": secrets.k1.hex(),
        "k2": secrets.k2.hex(),
        "master": secrets.master.hex(),
        "exporter": secrets.exporter.hex(),
        "epochs": epochs,
        "letters": letters,
    }


def session():
    return {
        "source": SOURCE,
        "initiator": SENSOR,
        "responder": DISPLAY,
        "target": TARGET,
        "application_key": KA.hex(),
        "key_id": KEY_ID.hex(),
        "initiator_ephemeral": EPHEMERALS[0].hex(),
        "responder_ephemeral": EPHEMERALS[1].hex(),
        "initiator_index": INDICES[0].hex(),
        "responder_index": INDICES[1].hex(),
        "epoch_bits": EPOCH_BITS,
        "cases": [session_case(suite) for suite in SUITES.values()],
    }


SOURCE = "written by xtask/interop/python/end_to_end.py, an implementation of proto/README.md alone"


def main():
    folder, check = Path(sys.argv[1]), "--check" in sys.argv[2:]
    for name, file in (("objects.json", objects()), ("session.json", session())):
        text = json.dumps(file, indent=2) + "\n"
        if not check:
            (folder / name).write_text(text)
        elif (folder / name).read_text() != text:
            sys.exit(f"{name} is not what end_to_end.py writes")


if __name__ == "__main__":
    main()
