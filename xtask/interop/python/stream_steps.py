"""The steps of `peer.py` about streams: handshakes, and resumption by both modes."""

import json
import time

import packets
from association import expect
from bindings import association
from keys import FRESH, LIGHT
from streams import Connection, Ended, Server

DONE = association.CLOSE_REASON_DONE
CONFIRM = association.Control()


def state(stream):
    """What the gateway says of a stream; both ends have the same keys."""
    told = json.loads(stream.ask("state"))
    exported = stream.secrets.export(b"interop", b"python", 32).hex()
    expect(told["exported"] == exported, "both ends export different keys")
    return told


def resumed(stream):
    return state(stream)["resumed"]


def stream_steps(run, client):
    """As the initiator; each stream is a new connection."""
    kept = {}

    def handshake():
        stream = client.associate()
        expect(not resumed(stream), "resumed from nothing")
        expect(stream.handle and stream.window, "no handle, or no window")
        kept["first"] = kept["newest"] = stream.handle
        kept["stream"] = stream
        return f"Initiate {stream.sizes[0]} bytes, both ends export the same key"

    def ratchets():
        stream = kept["stream"]
        stream.sender.ratchet()
        told = state(stream)
        expect(told["epochs"][1] == stream.sender.epoch == 1, f"epochs {told['epochs']}")
        time.sleep(2.1)
        state(stream)
        expect(stream.receiver.epoch >= 1, "its keys are the same after more than its 2 s")
        return f"by boundaries, to epoch 1 and {stream.receiver.epoch}"

    def closed():
        stream = kept["stream"]
        stream.ask("close")
        reason = stream.ends()
        expect(reason == DONE, f"closed by reason {reason}")
        expect(stream.connection.ends(), "no end")
        return "by the gateway, reason done, then the connection ends"

    def by(mode):
        def step():
            stream = client.associate(kept["newest"], mode)
            expect(not stream.refused and resumed(stream), "a full handshake")
            expect(stream.handle and stream.handle is not kept["newest"], "no next handle")
            expect(stream.handle.modes == kept["newest"].modes, "other modes")
            kept["newest"], kept["stream"] = stream.handle, stream
            return f"Resume {stream.sizes[0]} bytes, resumed and used"

        return step

    def refused(handle):
        stream = client.associate(handle, LIGHT)
        expect(stream.refused and not resumed(stream), "resumed")
        kept["newest"], kept["stream"] = stream.handle, stream

    def unknown():
        handle = kept["newest"]
        genuine, handle.id = handle.id, bytes(8)
        refused(handle)
        handle.id = genuine
        # A full handshake ends the older handles.
        refused(handle)
        return "refused by reason 3, then a full handshake in the same connection"

    def redeemed():
        refused(kept["first"])
        return "refused by reason 3, then a full handshake in the same connection"

    def forged():
        for mode in LIGHT, FRESH:
            packet = bytearray(client.offer(kept["newest"], mode).packet)
            packet[-1] ^= 1
            connection = Connection.to(client.address)
            connection.write(bytes(packet))
            connection.ends()
        by(LIGHT)()
        return "light and fresh: the stream ends, and the handle still works"

    def offered(offer):
        """The answer to a first packet in a connection of its own."""
        connection = Connection.to(client.address)
        connection.write(offer.packet)
        return connection, connection.read()

    def replayed(mode):
        # The attacker has what the initiator sends, and sends it again before and after it is confirmed.
        offer = client.offer(kept["newest"], mode)
        genuine, answer = offered(offer)

        def replay():
            connection, answer = offered(offer)
            expect(isinstance(packets.parse(answer), packets.Refuse), "answered again")
            connection.close()

        replay()
        stream = client.finish(genuine, offer, packets.parse(answer))
        stream.control(CONFIRM, confirm=True)
        expect(resumed(stream), "the genuine one was not confirmed")
        kept["newest"], kept["stream"] = stream.handle, stream
        replay()

    def replays():
        replayed(LIGHT)
        replayed(FRESH)
        return "refused before and after the handle is redeemed; the genuine one works"

    def twice():
        # By who knows its secret, in two streams at once: it is redeemed in the first that confirms.
        handle, streams = kept["newest"], []
        for mode in LIGHT, FRESH:
            offer = client.offer(handle, mode)
            connection, answer = offered(offer)
            streams.append(client.finish(connection, offer, packets.parse(answer)))
        first, late = streams
        first.control(CONFIRM, confirm=True)
        expect(resumed(first), "the first one was not confirmed")
        late.control(CONFIRM, confirm=True)
        late.connection.ends()
        kept["newest"] = first.handle
        return "confirmed in the first stream; the other one's confirmation ends it"

    def second_resume():
        connection = Connection.to(client.address)
        connection.write(client.offer(kept["first"], LIGHT).packet)
        expect(isinstance(packets.parse(connection.read()), packets.Refuse), "not refused")
        connection.write(client.offer(kept["newest"], LIGHT).packet)
        connection.ends()
        by(LIGHT)()
        return "after a Refuse ends the stream, and its handle still works"

    run.step("stream", handshake)
    run.step("stream ratchets", ratchets)
    run.step("stream close", closed)
    run.step("stream light", by(LIGHT))
    run.step("stream fresh", by(FRESH))
    run.step("stream unknown handle", unknown)
    run.step("stream redeemed handle", redeemed)
    run.step("stream forged Resume", forged)
    run.step("stream replay", replays)
    run.step("stream handle twice", twice)
    run.step("stream second Resume", second_resume)


def stream_responder_steps(run, client):
    """The gateway connects, and redeems what it was granted."""
    server, kept = Server(client.keys), {}

    def called():
        kept["stream"].ask(f"call {server.port}")
        stream = server.accept()
        told = state(stream)
        expect(told["resumed"] == (stream.redeemed is not None), "the ends disagree")
        return stream

    def handshake():
        kept["stream"] = client.associate()
        stream = called()
        expect(stream.redeemed is None and not stream.refused, "resumed from nothing")
        kept["called"] = stream
        return "answered, confirmed, used"

    def by(mode, next_modes):
        def step():
            handle = kept["called"].following
            server.modes = next_modes
            stream = called()
            expect(stream.redeemed is handle, "not resumed")
            expect(stream.by_light == (mode == LIGHT), "by the other mode")
            kept["called"] = stream
            return "the gateway resumes by the handle that it was granted"

        return step

    def refused():
        server.issued.clear()
        stream = called()
        expect(stream.redeemed is None and stream.refused, "no Resume, or not refused")
        kept["called"] = stream
        return "refused by reason 3, then its full handshake in the same connection"

    def silent():
        # A Resumed that does not open; what follows is a full handshake in another connection.
        handle = kept["called"].following
        kept["stream"].ask(f"call {server.port}")
        connection = Connection(server.listener.accept()[0])
        resume = packets.parse(connection.read())
        expect(isinstance(resume, packets.Resume) and resume.id == handle.id, "no Resume")
        connection.write(packets.resumed_header(b"") + bytes(64))
        stream = server.accept()
        expect(stream.redeemed is None and not stream.refused, "not a full handshake")
        connection.ends()
        state(stream)
        return "a forged Resumed is followed by a full handshake in another connection"

    run.step("stream as responder", handshake)
    run.step("stream light as responder", by(LIGHT, 2))
    run.step("stream fresh as responder", by(FRESH, 3))
    run.step("stream refused as responder", refused)
    run.step("stream forged Resumed", silent)
