"""The transcripts of section 11.4 on both carriages, and of hints: `resumption.json`, `stream_resumption.json`."""

import hashlib

import packets
from bindings import association
from handshake import Initiator, Responder
from keys import DATAGRAMS, PROFILES, STREAMS, SUITES, mac
from packets import DATA
from resumption import Handle, LightGrant, LightInitiator, LightResponder
from transcript import (
    COOKIE,
    EPHEMERALS,
    EPOCH_BITS,
    INDICES,
    LATER_EPHEMERALS,
    LIFETIME,
    STATICS,
    Records,
    Transcript,
    inputs,
    public,
)

# The responder's free choices, inputs of the vectors: what its handles are worth, and when its initiators should
# renew (from, length), in the associations by a full handshake, by `light` and by `fresh`.
MODES, HANDLE_LIFETIME = 3, 76
WINDOWS = {"full": (29_480, 10), "light": (29_480, 10), "fresh": (29_480, 10)}
LIGHT_INDICES = INDICES[0], bytes.fromhex("44400001")
FRESH_INDICES = INDICES[0], bytes.fromhex("44400002")
# When the associations are made, in seconds after the start.
LIGHT_AT, FRESH_AT = 10, 20
SLOT = 90_000


def tag(id_):
    """A responder's own affair: here as the implementation that is tested makes it, by its first draw."""
    issuer = mac(EPHEMERALS[1], b"refpoint/1 issuer")[:1]
    return issuer + mac(EPHEMERALS[1], b"refpoint/1 handle tag" + id_)[:3]


def nonce(draw):
    """From 32 drawn bytes, as the implementation that is tested makes it; the boot counter is 0."""
    return hashlib.sha256(b"refpoint/1 nonce" + bytes(8) + draw).digest()[:8]


def handle_of(secrets, credential):
    handle = Handle(secrets, credential, bytes(4), MODES, EPOCH_BITS)
    handle.tag = tag(handle.id)
    return handle


def handle_json(handle):
    return {
        "resumption": handle.secret.hex(),
        "id": handle.id.hex(),
        "tag": handle.tag.hex(),
        "mac_key": handle.mac_key.hex(),
        "hint_key": handle.hint_key.hex(),
        "light_key": handle.light_key.hex(),
        "fresh_psk": handle.fresh_psk.hex(),
    }


def control_grant(handle, window):
    grant = association.Grant(tag=handle.tag, modes=MODES, handle_lifetime=HANDLE_LIFETIME)
    grant.window.from_seconds, grant.window.length_seconds = window
    return association.Control(grant=grant).SerializeToString()


def grant_json(window):
    return {"modes": MODES, "handle_lifetime": HANDLE_LIFETIME, "window": window}


def secrets_json(secrets):
    return {"master": secrets.master.hex(), "exporter": secrets.exporter.hex()}


class Way:
    """What differs between the carriages."""

    def __init__(self, carriage):
        self.carriage, self.stream = carriage, carriage == STREAMS

    def indices(self, indices):
        return (b"", b"") if self.stream else indices

    def framed(self, packet):
        return (packets.frame(packet) if self.stream else packet).hex()

    def records(self, secrets, suite, indices):
        return Records(secrets, suite, indices, self.stream)

    def refusal(self, resume):
        """The answer to a Resume whose handle cannot be redeemed (S6)."""
        return self.framed(packets.refuse_handle(resume, packets.parse(resume).index))


def talk(records, at):
    return [records.record(0, DATA, b"up", at=at), records.record(1, DATA, b"down", at=at)]


def light_case(way, handle):
    """The device has lost its power and redeems what it kept."""
    nonces = nonce(LATER_EPHEMERALS[0]), nonce(LATER_EPHEMERALS[1])
    indices = way.indices(LIGHT_INDICES)
    initiator = LightInitiator(way.carriage, handle, nonces[0], indices[0])
    responder = LightResponder(way.carriage, handle, packets.parse(initiator.packet))
    # The next handle's id follows from the keys, which do not depend on the grant.
    secrets = responder.light.secrets(packets.resumed_header(indices[0]), nonces[1])[0]
    following = handle_of(secrets, handle)
    grant = LightGrant(
        indices[1],
        following.tag,
        MODES,
        WINDOWS["light"],
        epoch_bits=EPOCH_BITS,
        handle_lifetime=HANDLE_LIFETIME,
    )
    resumed, secrets = responder.respond(nonces[1], grant.encode())
    read, own = initiator.read(packets.parse(resumed))
    assert read == grant.encode() and own.master == secrets.master
    assert LightGrant.decode(read).encode() == read
    records = way.records(secrets, handle.suite, indices)
    confirmed = records.confirmed(b"", at=LIGHT_AT)
    return following, {
        "initiator_nonce": nonces[0].hex(),
        "responder_nonce": nonces[1].hex(),
        "covered": initiator.light.covered.hex(),
        "mac": initiator.light.mac.hex(),
        "resume": way.framed(initiator.packet),
        "h": secrets.handshake_hash.hex(),
        **secrets_json(secrets),
        "grant_key": responder.key.hex(),
        "grant_iv": responder.iv.hex(),
        "grant": grant_json(WINDOWS["light"]),
        "grant_plaintext": grant.encode().hex(),
        "resumed": way.framed(resumed),
        "refusal": way.refusal(initiator.packet),
        "records": confirmed + talk(records, LIGHT_AT),
        "export": records.export(b"label", b"context", 48),
        "next_handle": handle_json(following),
    }


def fresh_case(way, handle):
    """It has lost its power again; now its policy wants a DH."""
    payload = association.InitiatePayload(lifetime=LIFETIME).SerializeToString()
    indices = way.indices(FRESH_INDICES)
    answer = association.RespondPayload(index=indices[1], epoch_bits=EPOCH_BITS)
    answer = answer.SerializeToString()
    initiator = Initiator(way.carriage, handle, payload, LATER_EPHEMERALS[0], index=indices[0])
    responder = Responder(
        way.carriage, handle, packets.parse(initiator.packet), LATER_EPHEMERALS[1]
    )
    assert responder.payload == payload
    resumed, secrets = responder.respond(answer)
    read, own = initiator.read(packets.parse(resumed).message)
    assert read == answer and own.master == secrets.master
    following = handle_of(secrets, handle)
    records = way.records(secrets, handle.suite, indices)
    confirmed = records.confirmed(control_grant(following, WINDOWS["fresh"]), at=FRESH_AT)
    return {
        "prologue": initiator.prologue.hex(),
        "initiate_payload": payload.hex(),
        "resume": way.framed(initiator.packet),
        "respond_payload": answer.hex(),
        "resumed": way.framed(resumed),
        "h": secrets.handshake_hash.hex(),
        "k1": secrets.k1.hex(),
        "k2": secrets.k2.hex(),
        **secrets_json(secrets),
        "grant": grant_json(WINDOWS["fresh"]),
        "refusal": way.refusal(initiator.packet),
        "records": confirmed + talk(records, FRESH_AT),
        "export": records.export(b"label", b"context", 48),
        "next_handle": handle_json(following),
    }


def hint_json(name, packet, key, slot=0):
    """A Retry of this packet, and the key that its MAC is by (T3)."""
    hint = lambda covered: mac(key, covered)[:8]
    index, echo = packets.parse(packet).index, packets.packet_hash(packet)
    retry = packets.retry(index, echo, COOKIE, slot, hint)
    return {"answers": name, "slot": slot, "key": key.hex(), "retry": retry.hex()}


def hints(transcript, light, fresh, handles):
    """Retries, which only datagrams have."""
    full = transcript.credential.hint_key(public(STATICS[1]))
    made = [
        hint_json("initiate", transcript.initiator.packet, full),
        hint_json("initiate", transcript.initiator.packet, full, SLOT),
    ]
    for name, case, held in (("light", light, handles[0]), ("fresh", fresh, handles[1])):
        packet = bytes.fromhex(case["resume"])
        made += [hint_json(name, packet, held.hint_key, slot) for slot in (0, SLOT)]
    return made


def resumption_case(way, profile, suite):
    transcript = Transcript(way.carriage, profile, suite)
    handle = handle_of(transcript.secrets, transcript.credential)
    records = transcript.confirmed(control_grant(handle, WINDOWS["full"]))
    following, light = light_case(way, handle)
    fresh = fresh_case(way, following)
    case = {
        "profile": PROFILES[profile],
        "suite": SUITES[suite],
        **transcript.handshake(),
        "grant": grant_json(WINDOWS["full"]),
        "handle": handle_json(handle),
        "records": records,
        "light": light,
        "fresh": fresh,
    }
    if not way.stream:
        case["hints"] = hints(transcript, light, fresh, (handle, following))
    return case


def document(carriage):
    way = Way(carriage)
    cases = [resumption_case(way, profile, suite) for profile in PROFILES for suite in SUITES]
    file = {**inputs(), "light_at": LIGHT_AT, "fresh_at": FRESH_AT}
    if not way.stream:
        file["cookie"] = COOKIE.hex()
    return {**file, "cases": cases}
