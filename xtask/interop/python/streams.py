"""One association on a TCP connection, from either end: sections 4, 5, 8 and 11.4 of proto/README.md."""

import os
import socket

import packets
from association import EPOCH_BITS, HANDLE_LIFETIME, ISSUER, Failed, expect
from bindings import association
from handshake import Initiator, Responder
from keys import KNOWN, LIGHT, STREAMS
from packets import CONTROL, DATA
from records import Sender
from resumption import Handle, LightGrant, LightInitiator, LightResponder
from schedule import EpochKey, ratchet

PATIENCE = 10.0
# Different Resumes of one handle that are answered.
TRIES = 4


class Ended(Failed):
    """The other end has ended the connection."""


class Connection:
    """A socket on which each packet has its length in front."""

    def __init__(self, stream):
        stream.settimeout(PATIENCE)
        self.stream, self.input = stream, stream.makefile("rb")

    @classmethod
    def to(cls, address):
        return cls(socket.create_connection(address))

    def write(self, packet):
        self.stream.sendall(packets.frame(packet))

    def read(self):
        packet = self._read(int.from_bytes(self._read(2), "big"))
        expect(packet, "an empty frame")
        return packet

    def _read(self, length):
        try:
            read = self.input.read(length)
        except ConnectionError:
            read = b""
        if len(read) < length:
            raise Ended("the connection ended")
        return read

    def ends(self):
        """Waits until it ends; nothing may come before."""
        try:
            packet = self.read()
        except Ended:
            return True
        raise Failed(f"a packet of type {packet[0]:02x} instead of the end")

    def close(self):
        # The reader keeps the socket open, too.
        self.input.close()
        self.stream.close()


class Receiver:
    """One direction's receiving end: sequences are implicit."""

    def __init__(self, traffic, suite, bits):
        self.traffic, self.suite, self.bits = traffic, suite, bits
        self.key, self.epoch, self.next = EpochKey(traffic, suite), 0, 0

    def open(self, packet):
        """Kind, flag and plaintext of a record; one that does not open ends the stream."""
        first = packet[0]
        expect(first & 0xF0 == 0x80 and first & 3 <= CONTROL, f"no record: {first:02x}")
        sequence, aad = self.next, len(packet).to_bytes(2, "big") + packet[:1]
        if first & 0x08:
            sequence = (self.epoch + 1) << self.bits
            aad += self.next.to_bytes(8, "big")
        while self.epoch < sequence >> self.bits:
            self.traffic = ratchet(self.traffic)
            self.key = EpochKey(self.traffic, self.suite)
            self.epoch += 1
        plain = self.key.open(sequence, aad, packet[1:])
        expect(plain is not None, "a record does not open")
        self.next = sequence + 1
        return first & 3, bool(first & 0x04), plain


class Stream:
    """An association over a connection, and the handle that it leaves."""

    def __init__(self, connection, secrets, credential, is_initiator, bits):
        self.connection, self.secrets, self.credential = connection, secrets, credential
        self.is_initiator, self.bits = is_initiator, bits
        forth, back = secrets.i2r, secrets.r2i
        if not is_initiator:
            forth, back = back, forth
        self.sender = Sender(forth, credential.suite, bits)
        self.receiver = Receiver(back, credential.suite, bits)
        # What a Resumed has brought counts when a record of the responder has opened.
        self.following, self.handle, self.window = None, None, None
        self.heard, self.granted, self.closed, self.text = False, False, None, b""

    def seal(self, kind, plain, confirm=False):
        sequence, _, boundary = self.sender.advance()
        header = packets.stream_header(len(plain), kind, boundary, confirm)
        skipped = self.sender.without_skip.to_bytes(8, "big") if boundary else b""
        return header[2:] + self.sender.key.seal(sequence, header + skipped, plain)

    def control(self, message, confirm=False):
        self.connection.write(self.seal(CONTROL, message.SerializeToString(), confirm))

    def receive(self):
        """Takes one record in."""
        kind, confirms, plain = self.receiver.open(self.connection.read())
        expect(not confirms, "a second confirmation")
        first, self.heard = not self.heard, True
        if first and self.following and self.is_initiator:
            self.handle = self.following
        if kind == DATA:
            self.text += plain
            return
        control = association.Control.FromString(plain)
        if control.HasField("close"):
            self.closed = control.close.reason
        if control.HasField("grant") and self.is_initiator:
            self.read_grant(control.grant)

    def read_grant(self, grant):
        if grant.HasField("window"):
            self.window = grant.window.from_seconds, grant.window.length_seconds
        if grant.tag and not self.granted:
            self.handle = Handle(self.secrets, self.credential, grant.tag, grant.modes, self.bits)
        self.granted = True

    def ask(self, line):
        """A line, and the line that answers it."""
        self.connection.write(self.seal(DATA, line.encode() + b"\n"))
        while b"\n" not in self.text:
            expect(self.closed is None, "closed")
            self.receive()
        answer, _, self.text = self.text.partition(b"\n")
        return answer

    def ends(self):
        """The reason of the authenticated end."""
        while self.closed is None:
            self.receive()
        return self.closed


class Client:
    """The initiator of one connection after the other."""

    def __init__(self, keys, address):
        self.keys, self.address = keys, address

    def offer(self, handle=None, mode=None):
        """An Initiate, or the Resume of a handle, and what can read the answer."""
        if mode == LIGHT:
            return LightInitiator(STREAMS, handle, os.urandom(8))
        credential, payload = handle or self.keys.credential, association.InitiatePayload()
        if credential.profile == KNOWN:
            payload.initiator, payload.key_id = credential.initiator, credential.key_id
        own = dict(static=self.keys.static, remote=self.keys.remote)
        message = payload.SerializeToString()
        return Initiator(STREAMS, credential, message, os.urandom(32), **own)

    def finish(self, connection, offer, answer):
        """The stream, not confirmed yet."""
        read = offer.read(answer if isinstance(offer, LightInitiator) else answer.message)
        expect(answer.index == b"" and read is not None, "the answer does not open")
        if isinstance(offer, LightInitiator):
            grant, handle = LightGrant.decode(read[0]), offer.credential
            expect(grant.index == b"", "an index on a stream")
            bits = min(handle.bits, grant.epoch_bits or EPOCH_BITS)
            stream = Stream(connection, read[1], handle, True, bits)
            stream.granted, stream.window = True, grant.window
            if grant.modes:
                stream.following = Handle(read[1], handle, grant.tag, grant.modes, bits)
            return stream
        payload = association.RespondPayload.FromString(read[0])
        expect(payload.index == b"", "an index on a stream")
        bits = min(EPOCH_BITS, payload.epoch_bits or EPOCH_BITS)
        return Stream(connection, read[1], offer.credential, True, bits)

    def associate(self, handle=None, mode=None):
        """By a handle if there is one. A Refuse is followed by an Initiate in the same connection."""
        connection, offer = Connection.to(self.address), self.offer(handle, mode)
        connection.write(offer.packet)
        answer, refused = packets.parse(connection.read()), False
        if isinstance(answer, packets.Refuse):
            expect(answer.reason == packets.NO_HANDLE, f"refused by reason {answer.reason}")
            expect(answer.echo == packets.packet_hash(offer.packet), "it names another packet")
            offer, refused = self.offer(), True
            connection.write(offer.packet)
            answer = packets.parse(connection.read())
        kind = packets.Resumed if handle and not refused else packets.Respond
        expect(isinstance(answer, kind), f"answered by {type(answer).__name__}")
        stream = self.finish(connection, offer, answer)
        stream.refused, stream.sizes = refused, (len(offer.packet),)
        stream.control(association.Control(), confirm=True)
        return stream


class Server:
    """The responder: who connects, and the handles that it has issued."""

    def __init__(self, keys):
        self.keys, self.issued, self.modes = keys, {}, 3
        # The Resumes that were answered, of each handle (S2).
        self.tried = {}
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE)
        self.port = self.listener.getsockname()[1]

    def accept(self):
        """Answers who connects, and confirms it."""
        connection = Connection(self.listener.accept()[0])
        packet, refused = connection.read(), False
        resume = packets.parse(packet)
        redeemed = None
        if isinstance(resume, packets.Resume):
            redeemed = self.issued.get(resume.id)
            tried = self.tried.setdefault(resume.id, set())
            is_good = redeemed and redeemed.tag == resume.tag and redeemed.allows(resume.mode)
            if not is_good or packet in tried or len(tried) >= TRIES:
                connection.write(packets.refuse_handle(packet, b""))
                packet, redeemed, refused = connection.read(), None, True
        respond = self.resume if redeemed else self.respond
        stream = respond(connection, packets.parse(packet), redeemed)
        if redeemed:
            tried.add(packet)
        stream.redeemed, stream.refused = redeemed, refused
        stream.by_light = redeemed is not None and resume.mode == LIGHT
        self.confirm(stream)
        return stream

    def respond(self, connection, initiate, _):
        expect(isinstance(initiate, packets.Initiate), f"{type(initiate).__name__}: no Initiate")
        expect(initiate.index == initiate.cookie == b"", "an index or a cookie on a stream")
        reverse = self.keys.reverse
        reverse.suite = initiate.suite
        keys = {"static": self.keys.static, "remote": self.keys.remote}
        responder = Responder(STREAMS, reverse, initiate, os.urandom(32), **keys)
        if reverse.profile == KNOWN:
            expect(responder.static_of_peer() == self.keys.remote, "another's static key")
        return self.answer(connection, responder, reverse)

    def answer(self, connection, responder, credential):
        payload = association.InitiatePayload.FromString(responder.payload)
        answer = association.RespondPayload().SerializeToString()
        packet, secrets = responder.respond(answer)
        connection.write(packet)
        bits = min(EPOCH_BITS, payload.epoch_bits or EPOCH_BITS)
        return Stream(connection, secrets, credential, False, bits)

    def resume(self, connection, resume, handle):
        expect(resume.index == resume.cookie == b"", "an index or a cookie on a stream")
        if resume.mode != LIGHT:
            responder = Responder(STREAMS, handle, resume, os.urandom(32))
            return self.answer(connection, responder, handle)
        responder, nonce = LightResponder(STREAMS, handle, resume), os.urandom(8)
        secrets = responder.light.secrets(packets.resumed_header(b""), nonce)[0]
        stream = Stream(connection, secrets, handle, False, handle.bits)
        stream.following = self.next_handle(stream)
        tag, lifetime = stream.following.tag, HANDLE_LIFETIME
        grant = LightGrant(b"", tag, self.modes, handle_lifetime=lifetime)
        connection.write(responder.respond(nonce, grant.encode())[0])
        return stream

    def next_handle(self, stream):
        tag = ISSUER + os.urandom(3)
        return Handle(stream.secrets, stream.credential, tag, self.modes, stream.bits)

    def confirm(self, stream):
        """The first record redeems the handle; its answer grants the next, unless the Resumed has."""
        kind, confirms, plain = stream.receiver.open(stream.connection.read())
        expect(kind == CONTROL and confirms, "the first record does not confirm")
        association.Control.FromString(plain)
        if stream.redeemed:
            del self.issued[stream.redeemed.id]
        answer = association.Control()
        if not stream.by_light:
            stream.following = self.next_handle(stream)
            answer.grant.tag, answer.grant.modes = stream.following.tag, self.modes
            answer.grant.handle_lifetime = HANDLE_LIFETIME
        self.issued[stream.following.id] = stream.following
        stream.control(answer)
