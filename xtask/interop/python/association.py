"""One association on a UDP socket, from either end: sections 5, 7, 9 and 11 of proto/README.md."""

import functools
import os
import random
import socket
import time

import packets
from bindings import association
from handshake import Initiator, Responder
from keys import DATAGRAMS, FRESH, KNOWN, LIGHT
from packets import CONTROL, DATA
from records import Receiver, Sender, expand_sequence
from resumption import Handle, LightGrant, LightInitiator, LightResponder

EPOCH_BITS = 20
HANDSHAKE_TIME = 8.0
# Of the handles that this end issues: the first byte of their tags, and 2^16 s.
ISSUER, HANDLE_LIFETIME = b"\x77", 64


class Failed(Exception):
    """What the specification promises did not happen."""


def expect(condition, otherwise):
    if not condition:
        raise Failed(otherwise)


def waits():
    """Section 5.5: how long to wait before each repetition."""
    repeats = 0
    while True:
        yield 0.1 + random.random() * min(0.5 * 2**repeats, 4.0)
        repeats += 1


class Keys:
    """The ids and keys of this end and its peer; `reverse` is for the other direction of initiation."""

    def __init__(self, credential, static, remote, reverse=None):
        self.credential, self.static, self.remote = credential, static, remote
        self.reverse = reverse


class Association:
    """Secrets, indices and records, once a handshake is done."""

    def __init__(self, secrets, credential, is_initiator, own, peer, bits):
        self.secrets, self.credential, self.is_initiator = secrets, credential, is_initiator
        self.own, self.peer, self.bits = own, peer, bits
        # When to renew, as the responder said; the handle redeemed for this, and the next one.
        self.window, self.redeemed, self.following = None, None, None
        self.by_light = False
        suite = credential.suite
        forth, back = secrets.i2r, secrets.r2i
        if not is_initiator:
            forth, back = back, forth
        self.sender = Sender(forth, suite, bits, time.monotonic())
        self.receiver = Receiver(back, suite, bits)
        self.confirmed = False
        self.closed = None

    def seal(self, kind, plain, confirm=None):
        """A record. Until it is confirmed, each of an initiator's carries the flag (H6)."""
        if confirm is None:
            confirm = self.is_initiator and not self.confirmed
        sequence, wide, _ = self.sender.advance(time.monotonic())
        header = packets.record_header(self.peer, sequence, wide, kind, confirm)
        return header + self.sender.key.seal(sequence, header, plain)

    def open(self, record):
        """The plaintext of a record; `None` when it is dropped."""
        expected = self.receiver.expected
        sequence = expand_sequence(record.low, record.bits, expected)
        plain = self.receiver.open(sequence, record.header, record.sealed, time.monotonic())
        if plain is not None and sequence >= expected:
            self.sender.hear()
        return plain


class Endpoint:
    """A socket, the association that it has, and its successor while there is one."""

    def __init__(self, keys, peer):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.keys, self.peer = keys, peer
        self.associations = {}
        self.current = None
        self.tries = {}
        self.answers = {}
        self.last_try, self.last_respond = None, None
        self.refuses = []
        self.retries = 0
        self.refreshing = None
        self.next_index = 0
        self.on_data = None
        self.lose_confirmation = False
        # The handle that this end holds, those that it has issued, and what it grants next.
        self.handle, self.issued, self.modes = None, {}, 3
        self.slots, self.granted = [], 0

    # Sending

    def transmit(self, packet):
        self.socket.sendto(packet, self.peer)

    def send(self, data):
        self.transmit(self.current.seal(DATA, data))

    def control(self, held, message, confirm=None):
        self.transmit(held.seal(CONTROL, message.SerializeToString(), confirm))

    def close(self):
        reason = association.CLOSE_REASON_DONE
        self.control(self.current, association.Control(close=association.Close(reason=reason)))
        del self.associations[self.current.own]

    def index(self):
        self.next_index += 1
        return bytes([self.next_index])

    # Handshakes

    def new_try(self, cookie=b"", binding=b"", handle=None, mode=None):
        """A new Initiate or Resume with a new ephemeral and index; earlier ones stay answerable (H2)."""
        credential, index = handle or self.keys.credential, self.index()
        payload = association.InitiatePayload()
        if credential.profile == KNOWN:
            payload.initiator, payload.key_id = credential.initiator, credential.key_id
        if mode == LIGHT:
            initiator = LightInitiator(DATAGRAMS, handle, os.urandom(8), index, cookie)
        else:
            initiator = Initiator(
                DATAGRAMS,
                credential,
                payload.SerializeToString(),
                os.urandom(32),
                static=self.keys.static,
                remote=self.keys.remote,
                index=index,
                cookie=cookie,
                binding=binding,
            )
        initiator.mode = mode
        initiator.again = functools.partial(self.new_try, handle=handle, mode=mode)
        self.tries[index] = initiator
        return initiator

    def resume(self, mode):
        """As `associate`, by the handle that this end holds."""
        expect(self.handle and self.handle.allows(mode), "no handle for this mode")
        return self.associate(functools.partial(self.new_try, handle=self.handle, mode=mode))

    def associate(self, begin=None):
        """Initiates, and waits until a record of the responder has opened."""
        self.last_try = (begin or self.new_try)()
        before, self.patience = self.current, time.monotonic() + HANDSHAKE_TIME
        for wait in waits():
            if time.monotonic() > self.patience:
                raise Failed("no answer")
            if self.current is before:
                self.transmit(self.last_try.packet)
            elif not self.current.confirmed:
                self.control(self.current, association.Control())
            self.run(wait, lambda: self.current is not before and self.current.confirmed)
            if self.current is not before and self.current.confirmed:
                return self.current

    def read_respond(self, respond, inside=None):
        initiator = self.tries.get(respond.index)
        is_refresh = initiator is not None and initiator is self.refreshing
        if initiator is None or is_refresh != (inside is not None):
            return
        read = initiator.read(respond.message)
        if read is None:
            return
        payload, secrets = association.RespondPayload.FromString(read[0]), read[1]
        if not 1 <= len(payload.index) <= 4:
            raise Failed("the responder states no index")
        bits = min(EPOCH_BITS, payload.epoch_bits or EPOCH_BITS)
        self.begin(
            Association(secrets, initiator.credential, True, respond.index, payload.index, bits)
        )

    def read_resumed(self, resumed):
        initiator = self.tries.get(resumed.index)
        if initiator is None or initiator.mode is None:
            return
        if initiator.mode == FRESH:
            return self.read_respond(resumed)
        read = initiator.read(resumed)
        if read is None:
            return
        grant, handle = LightGrant.decode(read[0]), initiator.credential
        bits = min(handle.bits, grant.epoch_bits or EPOCH_BITS)
        held = Association(read[1], handle, True, resumed.index, grant.index, bits)
        if grant.modes:
            held.following = Handle(held.secrets, handle, grant.tag, grant.modes, bits)
        held.window = grant.window
        self.begin(held)

    def begin(self, held):
        """As the initiator, with what has come of one of its tries."""
        self.tries.clear()
        self.refreshing = None
        self.associations[held.own] = held
        self.current = held
        if not self.lose_confirmation:
            self.control(held, association.Control())

    def refresh(self, held):
        """A handshake inside the association (L1)."""
        binding = held.secrets.export(b"refpoint/1 refresh", b"", 32)
        self.refreshing = self.new_try(binding=binding)
        self.control(held, association.Control(refresh=self.refreshing.packet))

    def read_initiate(self, packet):
        """This end as the responder."""
        reverse = self.keys.reverse
        if reverse is None:
            return
        if packet not in self.answers:
            initiate = packets.parse(packet)
            terms = initiate.profile, initiate.point
            if terms != (reverse.profile, reverse.point):
                return
            reverse.suite = initiate.suite
            keys = {"static": self.keys.static, "remote": self.keys.remote}
            try:
                responder = Responder(DATAGRAMS, reverse, initiate, os.urandom(32), **keys)
            except Exception:  # whatever the library makes of forged bytes
                return
            payload = association.InitiatePayload.FromString(responder.payload)
            if reverse.profile == KNOWN:
                claim = payload.initiator, payload.key_id, responder.static_of_peer()
                if claim != (reverse.initiator, reverse.key_id, self.keys.remote):
                    raise Failed("the initiator is not whom its static key says")
            index = self.index()
            answer = association.RespondPayload(index=index)
            respond, secrets = responder.respond(answer.SerializeToString())
            self.answers[packet] = respond
            bits = min(EPOCH_BITS, payload.epoch_bits or EPOCH_BITS)
            held = Association(secrets, reverse, False, index, initiate.index, bits)
            self.associations[index] = held
        self.transmit(self.answers[packet])

    def issue(self, held):
        """The next handle; it can be redeemed from the association's first record on."""
        tag = ISSUER + os.urandom(3)
        return Handle(held.secrets, held.credential, tag, self.modes, held.bits)

    def read_resume(self, packet):
        """This end as the responder (S2): repeated bytes get the same answer."""
        if packet not in self.answers:
            resume = packets.parse(packet)
            handle = self.issued.get(resume.id)
            if not handle or handle.tag != resume.tag or not handle.allows(resume.mode):
                return self.transmit(packets.refuse_handle(packet, resume.index))
            try:
                self.redeem(packet, resume, handle)
            except Exception:  # whatever the library makes of forged bytes
                return
        self.transmit(self.answers[packet])

    def redeem(self, packet, resume, handle):
        index = self.index()
        if resume.mode == LIGHT:
            responder, nonce = LightResponder(DATAGRAMS, handle, resume), os.urandom(8)
            head = packets.resumed_header(resume.index)
            secrets = responder.light.secrets(head, nonce)[0]
            held = Association(secrets, handle, False, index, resume.index, handle.bits)
            held.following, held.by_light = self.issue(held), True
            grant = LightGrant(
                index, held.following.tag, self.modes, handle_lifetime=HANDLE_LIFETIME
            )
            self.answers[packet] = responder.respond(nonce, grant.encode())[0]
        else:
            responder = Responder(DATAGRAMS, handle, resume, os.urandom(32))
            payload = association.InitiatePayload.FromString(responder.payload)
            bits = min(EPOCH_BITS, payload.epoch_bits or EPOCH_BITS)
            answer = association.RespondPayload(index=index).SerializeToString()
            self.answers[packet], secrets = responder.respond(answer)
            held = Association(secrets, handle, False, index, resume.index, bits)
        held.redeemed = handle
        self.associations[index] = held

    def read_retry(self, retry):
        initiator = self.tries.get(retry.index)
        if initiator is None or packets.packet_hash(initiator.packet) != retry.echo:
            return
        if retry.mac != initiator.credential.hint(self.keys.remote, retry.covered):
            return
        if initiator is not self.last_try:
            return
        if len(self.tries) >= 4:
            del self.tries[next(iter(self.tries))]
        if retry.slot:
            # Nothing is sent before, and the attempt has its time from then on.
            self.slots.append(retry.slot)
            time.sleep(min(retry.slot, 60_000) / 1000)
            self.patience = time.monotonic() + HANDSHAKE_TIME
        self.retries += 1
        self.last_try = initiator.again(cookie=retry.cookie)
        self.transmit(self.last_try.packet)

    def read_refuse(self, refuse):
        """A handle that was refused is tried once more, and a full handshake beside it (S6)."""
        self.refuses.append(refuse)
        initiator = self.tries.get(refuse.index)
        if refuse.reason != packets.NO_HANDLE or initiator is None or initiator.mode is None:
            return
        if initiator is self.last_try and packets.packet_hash(initiator.packet) == refuse.echo:
            self.transmit(initiator.again().packet)
            self.last_try = self.new_try()
            self.transmit(self.last_try.packet)

    # Receiving

    def run(self, seconds, done=lambda: False):
        """Takes packets in for so long, or until it is done."""
        until = time.monotonic() + seconds
        while not done() and (left := until - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                packet, address = self.socket.recvfrom(65536)
            except (TimeoutError, ConnectionRefusedError):
                continue
            if address == self.peer:
                self.receive(packet)

    def receive(self, packet):
        try:
            parsed = packets.parse(packet)
        except packets.Invalid:
            return
        if isinstance(parsed, packets.Record):
            self.read_record(parsed)
        elif isinstance(parsed, packets.Respond):
            self.last_respond = packet
            self.read_respond(parsed)
        elif isinstance(parsed, packets.Retry):
            self.read_retry(parsed)
        elif isinstance(parsed, packets.Refuse):
            self.read_refuse(parsed)
        elif isinstance(parsed, packets.Resumed):
            self.last_respond = packet
            self.read_resumed(parsed)
        elif isinstance(parsed, packets.Initiate):
            self.read_initiate(packet)
        elif isinstance(parsed, packets.Resume):
            self.read_resume(packet)

    def read_record(self, record):
        held = self.associations.get(record.index)
        plain = held.open(record) if held else None
        if plain is None:
            return
        first, held.confirmed = not held.confirmed, True
        if first:
            self.confirmed(held)
        if record.confirm and not held.is_initiator:
            self.control(held, self.answer_to_confirm(held), confirm=False)
        if record.kind == DATA:
            self.on_data(plain)
        else:
            self.read_control(held, association.Control.FromString(plain))

    def confirmed(self, held):
        """The first record of the peer has opened: what was redeemed is gone, the next is there."""
        if held.is_initiator:
            self.handle = held.following or self.handle
            return
        self.current = held
        if held.redeemed and self.issued.pop(held.redeemed.id, None) is None:
            raise Failed("a handle was redeemed twice")
        if held.following:
            self.issued[held.following.id] = held.following

    def answer_to_confirm(self, held):
        """The grant, unless the Resumed has brought it."""
        if held.by_light:
            return association.Control()
        if held.following is None:
            held.following = self.issue(held)
            self.issued[held.following.id] = held.following
        tag, lifetime = held.following.tag, HANDLE_LIFETIME
        grant = association.Grant(tag=tag, modes=self.modes, handle_lifetime=lifetime)
        return association.Control(grant=grant)

    def read_grant(self, held, grant):
        """From the responder: a handle, a renewal window, both or neither."""
        self.granted += 1
        if grant.tag:
            held.following = Handle(held.secrets, held.credential, grant.tag, grant.modes, held.bits)
            self.handle = held.following
        if grant.HasField("window"):
            held.window = grant.window.from_seconds, grant.window.length_seconds

    def read_control(self, held, control):
        if control.HasField("close"):
            held.closed = control.close.reason
            del self.associations[held.own]
            return
        if control.challenge:
            self.control(held, association.Control(response=control.challenge))
        if control.refreshed:
            self.read_respond(packets.parse(control.refreshed), inside=held)
        if control.HasField("grant") and held.is_initiator:
            self.read_grant(held, control.grant)
        if control.renew_now and held.is_initiator and self.refreshing is None:
            self.refresh(held)
