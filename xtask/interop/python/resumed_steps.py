"""The steps of `peer.py` about resumption, renewal windows and slots."""

import time

import packets
from association import expect
from keys import FRESH, LIGHT

SLOTS_ASKED = 20


def restarted(make, handle):
    """A client that has lost all but the handle that it kept: another socket, other nonces."""
    application = make()
    application.endpoint.handle = handle
    return application


def check_use(application):
    state = application.state()
    held = application.endpoint.current
    exported = held.secrets.export(b"interop", b"python", 32).hex()
    expect(state["exported"] == exported, "both ends export different keys")


def resumption_steps(run, make):
    """As the initiator; each step is a client that has been restarted and has what was kept."""
    kept = {}

    def granted():
        application = make()
        endpoint = application.endpoint
        held = endpoint.associate()
        expect(endpoint.handle, "no handle")
        expect(held.window, "no renewal window")
        start, length = held.window
        kept["first"] = kept["newest"] = endpoint.handle
        return f"modes {endpoint.handle.modes}, to renew in {start} to {start + length} s"

    def resumed(mode):
        def step():
            application = restarted(make, kept["newest"])
            endpoint = application.endpoint
            held = endpoint.resume(mode)
            expect(held.credential is kept["newest"], "another handshake")
            expect(not endpoint.refuses, "refused")
            sizes = len(endpoint.last_try.packet), len(endpoint.last_respond)
            expect(endpoint.last_respond[0] >> 3 == packets.RESUMED, "no Resumed")
            check_use(application)
            expect(endpoint.handle is not kept["newest"], "no next handle")
            kept["newest"] = endpoint.handle
            return f"Resume {sizes[0]} bytes, Resumed {sizes[1]}, then used"

        return step

    def repeated():
        # Two answers to one handle wait; the same bytes get the same one.
        application = restarted(make, kept["newest"])
        endpoint = application.endpoint
        resume = endpoint.new_try(handle=endpoint.handle, mode=LIGHT).packet
        endpoint.tries.clear()
        answers = []
        for _ in range(2):
            endpoint.last_respond = None
            endpoint.transmit(resume)
            endpoint.run(2, lambda: endpoint.last_respond)
            answers.append(endpoint.last_respond)
        expect(answers[0] and answers[0] == answers[1], "another answer")
        held = endpoint.resume(LIGHT)
        expect(held.credential is kept["newest"], "the other answer is in the way")
        check_use(application)
        kept["newest"] = endpoint.handle
        # The first one cannot be confirmed any more: the handle is redeemed.
        return "the same Resumed, byte for byte; another Resume redeems the handle"

    def redeemed():
        application = restarted(make, kept["first"])
        endpoint = application.endpoint
        held = endpoint.resume(LIGHT)
        expect(held.credential is not kept["first"], "redeemed twice")
        refuses = [refuse.reason for refuse in endpoint.refuses]
        expect(packets.NO_HANDLE in refuses, f"refused by {refuses}")
        check_use(application)
        kept["newest"], kept["application"] = endpoint.handle, application
        return "refused by reason 3, then a full handshake"

    def forged():
        # Under the handle's own name, by who does not know its secret.
        application = restarted(make, kept["newest"])
        endpoint = application.endpoint
        forged = bytearray(endpoint.new_try(handle=endpoint.handle, mode=LIGHT).packet)
        forged[-1] ^= 1
        endpoint.transmit(bytes(forged))
        endpoint.run(0.3, lambda: endpoint.last_respond or endpoint.refuses)
        expect(not endpoint.last_respond and not endpoint.refuses, "answered")
        endpoint.resume(LIGHT)
        check_use(application)
        kept["newest"], kept["application"] = endpoint.handle, application
        return "dropped, and the handle still works"

    def moved():
        application = kept["application"]
        endpoint = application.endpoint
        held, handle = endpoint.current, endpoint.handle
        granted = endpoint.granted
        application.state("/id-mn/move")
        endpoint.run(2, lambda: endpoint.granted > granted)
        expect(held.window == (60, 30), f"the window is {held.window}")
        expect(endpoint.handle is handle, "the handle is another")
        return "to renew in 60 to 90 s; the handle stays"

    run.step("grant", granted)
    run.step("light", resumed(LIGHT))
    run.step("repeated Resume", repeated)
    run.step("fresh", resumed(FRESH))
    run.step("redeemed handle", redeemed)
    run.step("forged Resume", forged)
    run.step("moved window", moved)


def resumed_responder_steps(run, application):
    """The gateway initiates, and redeems what it was granted."""
    endpoint = application.endpoint

    def called():
        before = endpoint.current
        application.asked.clear()
        application.state("/id-mn/call")
        # The gateway sends a request as soon as it has the association.
        changed = lambda: endpoint.current is not before and application.asked
        endpoint.run(8, changed)
        expect(changed(), "no request came over another association")
        expect(not endpoint.current.is_initiator, "nobody initiated")
        return endpoint.current

    def light():
        endpoint.associate()
        expect(called().redeemed is None, "resumed from nothing")
        handle = endpoint.current.following
        # What it grants in the Resumed may be redeemed by `fresh` only.
        endpoint.modes = 2
        expect(called().redeemed is handle and endpoint.current.by_light, "not by light")
        check_use(application)
        return "the gateway resumes by the handle that it was granted"

    def fresh():
        handle = endpoint.current.following
        expect(called().redeemed is handle and not endpoint.current.by_light, "not by fresh")
        check_use(application)
        return "the next handle allows nothing else"

    def refused():
        endpoint.issued.clear()
        held = called()
        expect(held.redeemed is None, "redeemed what is not there")
        check_use(application)
        return "refused by reason 3, then its full handshake"

    run.step("light as responder", light)
    run.step("fresh as responder", fresh)
    run.step("refused as responder", refused)


def deferred_steps(run, make):
    """A gateway that makes one handshake a second."""
    kept = {}

    def deferred(begin):
        for asked in range(1, SLOTS_ASKED + 1):
            application = make()
            endpoint, start = application.endpoint, time.monotonic()
            begin(application)
            kept["handle"] = endpoint.handle
            if endpoint.slots:
                waited = time.monotonic() - start
                # In its slot it may be given another one, when others have come before it.
                expect(len(endpoint.slots) <= 5, f"deferred again: {endpoint.slots}")
                expect(waited * 1000 >= sum(endpoint.slots), "it did not wait")
                check_use(application)
                slots = " and ".join(map(str, endpoint.slots))
                return f"attempt {asked} is deferred by {slots} ms, then served"
        expect(False, "never deferred")

    def slot():
        return deferred(lambda application: application.endpoint.associate())

    def slot_of_a_resume():
        def begin(application):
            application.endpoint.handle = handle = kept["handle"]
            held = application.endpoint.resume(FRESH)
            expect(held.credential is handle, "another handshake")

        return deferred(begin)

    run.step("slot", slot)
    run.step("slot of a Resume", slot_of_a_resume)
