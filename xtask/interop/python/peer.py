"""A peer of refpoint on X, over UDP and TCP, written from proto/README.md: runs against a gateway and tells how it went.

    python peer.py CREDENTIALS ADDRESS ADDRESS-OF-A-LOADED-GATEWAY ADDRESS-OF-A-SLOW-ONE ADDRESS-ON-TCP ADDRESS-OF-AN-END-POINT

It prints a JSON object a step: {"case", "step", "ok", "detail"}. It ends with 1 when a step has failed.
"""

import json
import secrets
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

import packets
from association import Endpoint, Failed, Keys, expect, waits
from bindings import association, primitive, request_pb2, response_pb2, x
from keys import PROFILES, SUITES, Credential, X
from resumed_steps import deferred_steps, resumption_steps, resumed_responder_steps
from sealed_steps import end_to_end_steps
from stream_steps import stream_responder_steps, stream_steps
from streams import Client

PATIENCE = 9.0
OK, IMPERSONATION = 2000, 4106
DONE = association.CLOSE_REASON_DONE


class Application:
    """An AE: it asks its gateway, and answers it."""

    def __init__(self, endpoint, entity, gateway):
        self.endpoint, self.entity, self.gateway = endpoint, entity, gateway
        self.responses, self.asked = {}, []
        self.exchange = secrets.randbits(32)
        endpoint.on_data = self.receive

    def receive(self, data):
        datagram = x.Datagram.FromString(data)
        body = datagram.WhichOneof("body")
        if body == "response":
            self.responses[datagram.exchange_id] = datagram.response.response.primitive
        elif body == "request":
            self.answer(datagram.exchange_id, datagram.request.request.primitive)

    def answer(self, exchange, request):
        self.asked.append(request)
        response = response_pb2.Response(result_code=OK, request_id=request.request_id)
        message = primitive.ResponseMessage(primitive=response)
        response = x.ExchangeResponse(response=message)
        datagram = x.Datagram(exchange_id=exchange, response=response)
        self.endpoint.send(datagram.SerializeToString())

    def request(self, target, sender=None):
        """A Retrieve, encoded once, and the number of its exchange."""
        self.exchange = (self.exchange + 1) % 2**32
        request = request_pb2.Request(
            operation=request_pb2.OPERATION_RETRIEVE,
            to=target,
            request_id=f"r-{self.exchange}-{secrets.token_hex(4)}",
        )
        setattr(request, "from", sender or self.entity)
        message = primitive.RequestMessage(primitive=request)
        message = x.ExchangeRequest(request=message, patience_ms=int(PATIENCE * 1000))
        datagram = x.Datagram(exchange_id=self.exchange, request=message)
        return self.exchange, datagram.SerializeToString()

    def response(self, exchange, datagram):
        """Repeats a request until its response has come."""
        start = time.monotonic()
        for wait in waits():
            expect(time.monotonic() < start + PATIENCE, "no response")
            self.endpoint.send(datagram)
            self.endpoint.run(wait, lambda: exchange in self.responses)
            if exchange in self.responses:
                return self.responses.pop(exchange)

    def ask(self, target, sender=None):
        return self.response(*self.request(target, sender))

    def state(self, target="/id-mn/state"):
        response = self.ask(target)
        expect(response.result_code == OK, f"result code {response.result_code}")
        return json.loads(response.content.data)


class Run:
    """The steps of one case; a failed one ends it."""

    def __init__(self, case, failures):
        self.case, self.failures, self.failed = case, failures, False

    def step(self, name, action):
        if self.failed:
            return
        try:
            detail = action()
        except Exception as error:  # a step that breaks has failed
            detail = f"{type(error).__name__}: {error}"
            self.failed = True
            self.failures.append(name)
        row = {"case": self.case, "step": name, "ok": not self.failed, "detail": detail}
        print(json.dumps(row), flush=True)


def initiator_steps(run, application):
    """Everything that an initiator does, in one association and its successor."""
    endpoint = application.endpoint

    def handshake():
        endpoint.lose_confirmation = True
        endpoint.last_try = endpoint.new_try()
        for wait in waits():
            endpoint.transmit(endpoint.last_try.packet)
            endpoint.run(wait, lambda: endpoint.current is not None)
            if endpoint.current:
                break
        endpoint.lose_confirmation = False
        lengths = len(endpoint.last_try.packet), len(endpoint.last_respond)
        return f"Initiate {lengths[0]} bytes, Respond {lengths[1]}"

    def repeated_initiate():
        respond, endpoint.last_respond = endpoint.last_respond, None
        endpoint.transmit(endpoint.last_try.packet)
        endpoint.run(2, lambda: endpoint.last_respond is not None)
        expect(endpoint.last_respond == respond, "another answer")
        return "the same Respond, byte for byte"

    def forged_respond():
        respond = packets.parse(endpoint.last_respond)
        forged = bytearray(respond.message)
        forged[-1] ^= 1
        expect(endpoint.last_try.read(bytes(forged)) is None, "a forged Respond opened")
        expect(endpoint.last_try.read(respond.message), "the genuine one no longer opens")
        return "the genuine one still opens"

    def confirmation():
        # The first confirmation was lost.
        expect(not endpoint.current.confirmed, "a record before the confirmation (H6)")
        endpoint.control(endpoint.current, association.Control())
        endpoint.run(2, lambda: endpoint.current.confirmed)
        expect(endpoint.current.confirmed, "no record of the responder")
        return "a lost one repeated, then answered"

    def request():
        state = application.state()
        expect(state["executed"] >= 1, "not executed")
        exported = endpoint.current.secrets.export(b"interop", b"python", 32).hex()
        expect(state["exported"] == exported, "both ends export different keys")
        return "2000, both ends export the same key"

    def repeated_request():
        exchange, datagram = application.request("/id-mn/state")
        first = application.response(exchange, datagram)
        second = application.response(exchange, datagram)
        expect(first == second, "another answer")
        before = json.loads(first.content.data)["executed"]
        expect(application.state()["executed"] == before + 1, "executed twice")
        return "executed once, answered twice"

    def impersonation():
        response = application.ask("/id-mn/state", sender="CAdmin")
        expect(response.result_code == IMPERSONATION, f"result code {response.result_code}")
        return "4106"

    def request_of_the_gateway():
        application.asked.clear()
        application.state("/id-mn/notify")
        endpoint.run(2, lambda: application.asked)
        expect(application.asked, "no request came")
        expect(getattr(application.asked[0], "from") == application.gateway, "from another")
        for _ in range(20):
            if application.state()["answer"]:
                return "asked and answered"
            endpoint.run(0.05)
        raise Failed("the answer did not arrive")

    def replayed_record():
        exchange, datagram = application.request("/id-mn/state")
        record = endpoint.current.seal(packets.DATA, datagram)
        endpoint.transmit(record)
        endpoint.run(2, lambda: exchange in application.responses)
        expect(application.responses.pop(exchange, None), "the record was not taken")
        endpoint.transmit(record)
        endpoint.run(0.3, lambda: exchange in application.responses)
        expect(exchange not in application.responses, "taken twice")
        return "dropped"

    def own_ratchet():
        held = endpoint.current
        late_exchange, datagram = application.request("/id-mn/state")
        late = held.seal(packets.DATA, datagram)
        held.sender.ratchet()
        state = application.state()
        expect(state["epochs"][1] == held.sender.epoch == 1, f"epochs {state['epochs']}")
        endpoint.transmit(late)
        endpoint.run(2, lambda: late_exchange in application.responses)
        expect(late_exchange in application.responses, "a late record was not opened")
        return "epoch 1, a late record of epoch 0 opened"

    def ratchet_of_the_gateway():
        time.sleep(2.1)
        application.state()
        epoch = endpoint.current.receiver.epoch
        expect(epoch >= 1, "its keys are the same after more than its 2 s")
        return f"epoch {epoch}"

    def many_records():
        for _ in range(100):
            endpoint.send(b"")
        expect(application.state()["executed"], "no answer")
        return "101 records, sequences of 2 and of 4 bytes"

    def outage():
        lost = 40_000
        for _ in range(lost):
            endpoint.current.sender.advance(time.monotonic())
        for sent in range(1, 33):
            exchange, datagram = application.request("/id-mn/state")
            endpoint.send(datagram)
            endpoint.run(0.03, lambda: exchange in application.responses)
            if exchange in application.responses:
                return f"{lost} records lost, record {sent} after them arrives"
        raise Failed("not heard again within 32 records")

    def refresh():
        old = endpoint.current
        application.state("/id-mn/renew")
        endpoint.run(4, lambda: endpoint.current is not old and endpoint.current.confirmed)
        expect(endpoint.current is not old, "no new association")
        expect(endpoint.current.confirmed, "the new association was not confirmed")
        application.state()
        return "inside the old association, then used"

    def close():
        index = endpoint.current.peer
        endpoint.close()
        endpoint.refuses.clear()
        endpoint.send(b"")
        endpoint.run(2, lambda: endpoint.refuses)
        expect(endpoint.refuses, "its association is still there")
        expect(endpoint.refuses[0].index == index, "the Refuse names another index")
        issuer = endpoint.refuses[0].issuer
        expect(issuer == endpoint.handle.tag[:1], "its issuer is not that of the handles")
        return "then a record meets a Refuse, which names the handles' issuer"

    run.step("handshake", handshake)
    run.step("repeated Initiate", repeated_initiate)
    run.step("forged Respond", forged_respond)
    run.step("confirmation", confirmation)
    run.step("request", request)
    run.step("repeated request", repeated_request)
    run.step("impersonation", impersonation)
    run.step("request of the gateway", request_of_the_gateway)
    run.step("replayed record", replayed_record)
    run.step("ratchet", own_ratchet)
    run.step("ratchet of the gateway", ratchet_of_the_gateway)
    run.step("many records", many_records)
    run.step("outage", outage)
    run.step("refresh", refresh)
    run.step("close", close)


def responder_steps(run, application):
    """The gateway initiates."""
    endpoint = application.endpoint

    def called():
        endpoint.associate()
        application.asked.clear()
        application.state("/id-mn/call")
        endpoint.run(5, lambda: not endpoint.current.is_initiator and application.asked)
        expect(not endpoint.current.is_initiator, "no Initiate came")
        expect(application.asked, "no request came")
        return "answered, confirmed, asked"

    def closed():
        held = endpoint.current
        application.state()
        application.state("/id-mn/close")
        endpoint.run(2, lambda: held.closed is not None)
        expect(held.closed == DONE, f"closed by reason {held.closed}")
        return "by the gateway, reason done"

    run.step("handshake as responder", called)
    run.step("close", closed)


def retry_steps(run, application):
    """A loaded gateway wants a cookie."""

    def cookie():
        application.endpoint.associate()
        expect(application.endpoint.retries == 1, f"{application.endpoint.retries} Retries")
        application.state()
        application.endpoint.close()
        return "a Retry, then a new Initiate with its cookie"

    run.step("cookie", cookie)


def version_steps(run, application):
    """Another version is refused, and the Refuse names this one."""
    endpoint = application.endpoint

    def version():
        packet = bytearray(endpoint.new_try().packet)
        packet[1] = 2
        endpoint.transmit(bytes(packet))
        endpoint.run(2, lambda: endpoint.refuses)
        expect(endpoint.refuses, "no Refuse")
        refuse = endpoint.refuses[0]
        expect(refuse.echo == packets.packet_hash(bytes(packet)), "it names another packet")
        expect(refuse.versions == b"\x01", f"versions {refuse.versions.hex()}")
        return "refused, versions: 1"

    run.step("other version", version)


def keys(file, entry, suite):
    """Those of one entry of the credentials."""

    def public(private):
        key = X25519PrivateKey.from_private_bytes(bytes.fromhex(private))
        return key.public_key().public_bytes_raw()

    gateway = file["gateway"]
    shared = bytes.fromhex(entry["connection_key"]), bytes.fromhex(entry["key_id"])
    terms = X, PROFILES[entry["profile"]], SUITES[suite]
    forth = Credential(*shared, *terms, entry["id"], gateway["id"])
    back = Credential(*shared, *terms, gateway["id"], entry["id"])
    return Keys(forth, bytes.fromhex(entry["static"]), public(gateway["static"]), back)


def application(file, entry, suite, address):
    """The AE of one entry of the credentials."""
    endpoint = Endpoint(keys(file, entry, suite), address)
    return Application(endpoint, entry["id"], file["gateway"]["id"])


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def main():
    file = json.loads(Path(sys.argv[1]).read_text())
    gateway, loaded, slow, streams, end_point = map(address, sys.argv[2:7])
    failures = []
    for entry in file["applications"]:
        for suite in SUITES:
            name = f"{entry['profile']} {suite}"
            initiator_steps(Run(name, failures), application(file, entry, suite, gateway))
            made = lambda: application(file, entry, suite, gateway)
            resumption_steps(Run(name, failures), made)
            client = Client(keys(file, entry, suite), streams)
            stream_steps(Run(name, failures), client)
        name, suite = entry["profile"], "chacha-poly"
        client = Client(keys(file, entry, suite), streams)
        stream_responder_steps(Run(name, failures), client)
        responder_steps(Run(name, failures), application(file, entry, suite, gateway))
        resumed_responder_steps(Run(name, failures), application(file, entry, suite, gateway))
        retry_steps(Run(name, failures), application(file, entry, suite, loaded))
        deferred_steps(Run(name, failures), lambda: application(file, entry, suite, slow))
    entry = file["applications"][0]
    version_steps(Run("any", failures), application(file, entry, "chacha-poly", gateway))
    end_to_end_steps(lambda name: Run(name, failures), file["end_to_end"], end_point)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
