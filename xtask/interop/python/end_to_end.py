"""Writes the vectors of `crates/e2e/tests/vectors/`, from proto/README.md, section 18, alone.

python end_to_end.py FOLDER            write objects.json and session.json
python end_to_end.py FOLDER --check    fail if they are not what would be written
"""

import hashlib
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from noise.connection import Keypair, NoiseConnection

import packets
from bindings import association
from handshake import Initiator, Responder
from keys import AES_GCM, CHACHA_POLY, PSK, SUITES, VERSION, Credential, derive, f, lp, mac
from records import Sender
from schedule import expand_label

LETTERS, END_TO_END = 3, 5
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
EPOCH_BITS = 16


def public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def sign(private, statement):
    return Ed25519PrivateKey.from_private_bytes(private).sign(statement)


def times(begins, ends):
    return begins.to_bytes(8, "big") + ends.to_bytes(8, "big")


def record():
    """Section 18.1: the display's."""
    signing = Ed25519PrivateKey.from_private_bytes(SIGNING).public_key().public_bytes_raw()
    statement = b"refpoint/1 entity record" + f(DISPLAY.encode())
    statement += public(STATICS[DISPLAY]) + signing + times(0, ENDS)
    return {"statement": statement.hex(), "signature": sign(AUTHORITY, statement).hex()}


def pre_key(suite):
    """Section 18.2: the display's."""
    statement = b"refpoint/1 pre-key" + f(DISPLAY.encode()) + NUMBER.to_bytes(4, "big")
    statement += bytes([suite]) + public(PRE_KEYS[DISPLAY]) + times(BEGINS, ENDS)
    voucher_key = derive(KA, "voucher key", bytes([VERSION]), KEY_ID, DISPLAY.encode())
    return {
        "statement": statement.hex(),
        "signature": sign(SIGNING, statement).hex(),
        "voucher": mac(voucher_key, statement).hex(),
    }


def padded(content, multiple):
    if not multiple:
        return content
    content += b"\x80"
    return content + bytes(-len(content) % multiple)


def seal(suite, receiver, ephemeral, content, shared=False, group=b"", pad=0):
    """Section 18.4: an object from the sensor, its head and its prologue."""
    kind = 0b001_00000 | (0 if shared else 1 << 4) | (suite - 1) << 3 | (4 if pad else 0) | 1
    head = bytes([kind]) + (lp(KEY_ID) if shared else b"")
    head += NUMBER.to_bytes(2, "big") + EXPIRES.to_bytes(4, "big")
    sender = SENSOR.encode() if shared else b""
    fields = [head, sender, receiver.encode(), TARGET.encode(), group]
    prologue = b"refpoint/1 object" + b"".join(f(field) for field in fields)
    cipher = {CHACHA_POLY: "ChaChaPoly", AES_GCM: "AESGCM"}[suite]
    pattern = "Kpsk0" if shared else "X"
    noise = NoiseConnection.from_name(f"Noise_{pattern}_25519_{cipher}_SHA256".encode())
    noise.set_as_initiator()
    noise.set_prologue(prologue)
    if shared:
        ids = SENSOR.encode(), receiver.encode()
        noise.set_psks(derive(KA, "object psk", bytes([VERSION]), KEY_ID, *ids))
    noise.set_keypair_from_private_bytes(Keypair.STATIC, STATICS[SENSOR])
    noise.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, public(PRE_KEYS[receiver]))
    noise.set_keypair_from_private_bytes(Keypair.EPHEMERAL, ephemeral)
    noise.start_handshake()
    payload = (b"" if shared else lp(SENSOR.encode())) + padded(content, pad)
    return head + bytes(noise.write_message(payload)), prologue


def object_case(suite, shared, pad):
    sealed, prologue = seal(suite, DISPLAY, EPHEMERALS[0], CONTENT, shared, pad=pad)
    return {
        "suite": suite,
        "application_key": shared,
        "bucket": pad,
        "prologue": prologue.hex(),
        "object": sealed.hex(),
    }


def group_case(suite):
    """Section 18.5: for the display, with Ka, and the archive, without."""
    commitment = expand_label(CONTENT_KEY, "refpoint/1 content commitment", b"", 32)
    head = bytes([0b001_00000 | (suite - 1) << 3]) + EXPIRES.to_bytes(4, "big") + commitment
    key = expand_label(CONTENT_KEY, "refpoint/1 content key", b"", 32)
    aead = (ChaCha20Poly1305 if suite == CHACHA_POLY else AESGCM)(key)
    ciphertext = aead.encrypt(bytes(12), CONTENT, head)
    digest = hashlib.sha256(b"refpoint/1 group" + f(head) + ciphertext).digest()
    parts = [
        seal(CHACHA_POLY, DISPLAY, EPHEMERALS[0], CONTENT_KEY, True, digest)[0],
        seal(CHACHA_POLY, ARCHIVE, EPHEMERALS[1], CONTENT_KEY, False, digest)[0],
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
    head = bytes([0b1011_0000 | (4 if confirm else 0) | kind]) + index + sequence.to_bytes(5, "big")
    return {
        "sequence": sequence,
        "confirm": confirm,
        "kind": ("data", "control")[kind],
        "plaintext": plain.hex(),
        "letter": (head + sender.key.seal(sequence, head, plain)).hex(),
    }


def session_case(suite):
    connection_key = derive(KA, "end-to-end connection key")
    credential = Credential(connection_key, KEY_ID, END_TO_END, PSK, suite, SENSOR, DISPLAY)
    binding = hashlib.sha256(b"refpoint/1 letters" + f(TARGET.encode())).digest()
    own = dict(index=INDICES[0], binding=binding)
    initiator = Initiator(LETTERS, credential, b"", EPHEMERALS[0], **own)
    initiate = packets.parse(initiator.packet)
    responder = Responder(LETTERS, credential, initiate, EPHEMERALS[1], binding=binding)
    payload = association.RespondPayload(index=INDICES[1], epoch_bits=EPOCH_BITS)
    respond, secrets = responder.respond(payload.SerializeToString())
    assert initiator.read(packets.parse(respond).message)
    forth, back = (Sender(traffic, suite, EPOCH_BITS) for traffic in (secrets.i2r, secrets.r2i))
    letters = [letter(forth, INDICES[1], 0, b"first", True), letter(back, INDICES[0], 1, b"")]
    letters += [letter(forth, INDICES[1], 0, b"second"), letter(back, INDICES[0], 0, b"reply")]
    forth.ratchet()
    letters.append(letter(forth, INDICES[1], 0, b"of the next epoch"))
    for entry, end in zip(letters, "irIRi"):
        entry["from"] = "initiator" if end in "iI" else "responder"
    return {
        "suite": suite,
        "binding": binding.hex(),
        "initiate": initiator.packet.hex(),
        "respond": respond.hex(),
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
