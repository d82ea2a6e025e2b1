"""End to end, live: objects, groups and a session with an end point of refpoint's, by section 18 alone.

It speaks lines of JSON to that end point, which stands for all nodes in between: what is sealed is a
`refpoint.e2e.v1.Sealed`, in hexadecimal.
"""

import json
import secrets
import socket
import time

from bindings import association, content_pb2, inner_pb2, key_pb2, sealed_pb2
from keys import SUITES
from letters import CONTROL, DATA, Offer, accept, credential
from objects import (
    Head,
    Opener,
    Refused,
    Shared,
    group_digest,
    pre_key_statement,
    public,
    record_statement,
    seal,
    seal_content,
    sign,
    signing_public,
    verify,
)
from association import expect

LIFE, DAY = 3600, 86_400
RATCHET = 6 * 3600


class Other:
    """The end point at the other end of the wire."""

    def __init__(self, address, suite):
        self.stream = socket.create_connection(address).makefile("rw")
        self.introduction = self.ask(suite=suite)

    def ask(self, do="begin", **errand):
        self.stream.write(json.dumps({"do": do, **errand}) + "\n")
        self.stream.flush()
        answer = json.loads(self.stream.readline())
        expect("broken" not in answer, answer.get("broken"))
        return answer

    def take(self, form, sealed):
        """What it makes of something sealed."""
        return self.ask("take", sealed=sealed_pb2.Sealed(**{form: sealed}).SerializeToString().hex())

    def refuses(self, form, sealed, why):
        answer = self.take(form, sealed)
        expect(why in answer.get("refused", ""), f"not refused as {why}: {answer}")

    def give(self, do, **errand):
        """Something sealed that it gives, without its wrapping."""
        answer = self.ask(do, **errand)
        expect("sealed" in answer, answer)
        return unwrapped(answer["sealed"])


def unwrapped(text):
    sealed = sealed_pb2.Sealed.FromString(bytes.fromhex(text))
    return getattr(sealed, sealed.WhichOneof("form"))


class Correspondent:
    """The Python end: its keys, and what it knows of the other."""

    def __init__(self, file, suite, other):
        secret = lambda name, of="python": bytes.fromhex(file[of][name])
        self.suite, self.other, self.target = suite, other, file["target"]
        self.id, self.peer = file["python"]["id"], file["rust"]["id"]
        self.static, self.signing = secret("static"), secret("signing")
        self.shared = Shared(bytes.fromhex(file["application_key"]), bytes.fromhex(file["key_id"]))
        self.authority = signing_public(bytes.fromhex(file["authority"]))
        # Only the public halves of the other end's keys are used.
        self.peer_sealing = public(secret("static", "rust"))
        self.peer_signing = signing_public(secret("signing", "rust"))
        self.opener = Opener(self.id, self.target, self.shared, {self.peer: self.peer_sealing})
        self.now, self.asked = int(time.time()), 0

    def read_record(self):
        record = key_pb2.EntityRecord.FromString(bytes.fromhex(self.other.introduction["record"]))
        keys = record.sealing_key, record.signing_key
        expect(keys == (self.peer_sealing, self.peer_signing), "other keys")
        statement = record_statement(record.id, *keys, record.not_before, record.not_after)
        verify(self.authority, record.signature, statement)

    def read_pre_key(self, proof):
        """The other end's pre-key, its proof checked."""
        pre_key = key_pb2.PreKey.FromString(bytes.fromhex(self.other.introduction[proof]))
        expect(pre_key.suite == self.suite and pre_key.owner == self.peer, "another's")
        expect(pre_key.not_before <= self.now + 1 < pre_key.not_after, "it does not hold")
        fields = pre_key.owner, pre_key.number, pre_key.suite, pre_key.key
        statement = pre_key_statement(*fields, pre_key.not_before, pre_key.not_after)
        if proof == "signed":
            verify(self.peer_signing, pre_key.signature, statement)
        else:
            voucher = self.shared.voucher(self.peer, statement)
            expect(voucher == pre_key.voucher, "another voucher")
        return pre_key

    def publish(self):
        """A pre-key of this end."""
        private, number = secrets.token_bytes(32), secrets.randbelow(1 << 15) + 1
        self.opener.pre_keys[number] = self.suite, private
        key, times = public(private), (self.now - 5, self.now + DAY)
        statement = pre_key_statement(self.id, number, self.suite, key, *times)
        return key_pb2.PreKey(
            owner=self.id,
            number=number,
            suite=self.suite,
            key=key,
            not_before=times[0],
            not_after=times[1],
            signature=sign(self.signing, statement),
        )

    def seal(self, content, shared, pad=0, target=None, group=b""):
        pre_key = self.read_pre_key("signed")
        key_id = self.shared.key_id if shared else b""
        head = Head(self.suite, pre_key.number, self.now + LIFE, key_id, pad > 0)
        keys, ids = (self.static, pre_key.key), (self.id, self.peer)
        shared = self.shared if shared else None
        ephemeral = secrets.token_bytes(32)
        target = target or self.target
        return seal(head, ids, target, keys, content, ephemeral, shared, group, pad)[0]

    def inner(self, content, target=None, expires=None):
        self.asked += 1
        content = content_pb2.Content(serialization=content_pb2.SERIALIZATION_JSON, data=content)
        return inner_pb2.Inner(
            target=target or self.target,
            request_id=f"python-{self.asked}",
            expires=expires or self.now + 30 * DAY,
            content=content,
        ).SerializeToString()


PROOFS = {True: "application key", False: "static key"}


def object_steps(run, end):
    other = end.other

    def published():
        end.read_record()
        signed, vouched = (end.read_pre_key(proof) for proof in ("signed", "vouched"))
        expect(signed.key == vouched.key, "two pre-keys")
        return "record, signature and voucher verify"

    def opens(shared, pad=0):
        content = secrets.token_hex(20).encode()
        sealed = end.seal(content, shared, pad)
        opened = other.take("object", sealed)
        expect(opened.get("content") == content.hex(), opened)
        expect(opened["sender"] == end.id and opened["proof"] == PROOFS[shared], opened)
        other.refuses("object", sealed, "opened before")
        altered = end.seal(content, shared, pad)
        altered = altered[:-1] + bytes([altered[-1] ^ 1])
        other.refuses("object", altered, "does not open")
        elsewhere = end.seal(content, shared, pad, target="//sp.example.com/id-in/x")
        other.refuses("object", elsewhere, "does not open")
        return f"{len(sealed)} bytes for {len(content)}: opened, a copy and what was altered refused"

    def opened(shared, pad=False):
        content = secrets.token_hex(20).encode()
        pre_key = end.publish().SerializeToString().hex()
        errand = dict(pre_key=pre_key, shared=shared, padded=pad, content=content.hex())
        sealed = other.give("seal", **errand)
        expect(Head.parse(sealed)[0].is_padded == pad, "not padded as asked")
        altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
        for what, broken in ("does not open", altered), ("expired", sealed):
            now = end.now + (2 * LIFE if what == "expired" else 0)
            refused(lambda: end.opener.open(broken, now), what)
        expect(end.opener.open(sealed, end.now) == (end.peer, content), "something else")
        refused(lambda: end.opener.open(sealed, end.now), "replayed")
        return f"{len(sealed)} bytes for {len(content)}: opened once"

    def opened_group(shared):
        content = secrets.token_bytes(3000)
        pre_key = end.publish().SerializeToString().hex()
        group = other.give("seal", pre_key=pre_key, shared=shared, group=True, content=content.hex())
        expect(end.opener.open_group(group, end.now) == (end.peer, content), "something else")

    def opens_group(shared):
        content, key = secrets.token_bytes(3000), secrets.token_bytes(32)
        head, ciphertext = seal_content(end.suite, end.now + LIFE, key, content)
        digest = group_digest(head, ciphertext)
        parts = [end.seal(key, shared, group=digest)]
        group = sealed_pb2.Group(head=head, ciphertext=ciphertext, parts=parts)
        opened = other.take("group", group)
        expect(opened.get("content") == content.hex(), opened)
        swapped = sealed_pb2.Group(head=head, ciphertext=ciphertext[:-1] + b"x", parts=parts)
        expect("refused" in other.take("group", swapped), "another ciphertext opened")

    def groups():
        for shared in True, False:
            opens_group(shared)
            opened_group(shared)
        return "both ways, with and without Ka; a swapped ciphertext refused"

    run.step("published keys", published)
    for shared, name in (True, "with Ka"), (False, "without Ka"):
        run.step(f"object {name}, opened", lambda: opened(shared))
        run.step(f"object {name}, sealed", lambda: opens(shared))
    run.step("padded, opened", lambda: opened(True, True) + "; " + opened(False, True))
    run.step("padded, sealed", lambda: opens(True, 64) + "; " + opens(False, 64))
    run.step("groups", groups)


def refused(action, why):
    try:
        action()
    except Refused as error:
        expect(str(error) == why, f"refused as {error}")
        return
    raise Refused(f"not refused as {why}")


class Post:
    """Letters between this end's session and the other end."""

    def __init__(self, end, session):
        self.end, self.other, self.session = end, end.other, session

    def say(self, text, **options):
        """Sends content; the answer, whose letter is opened, and the letter that was sent."""
        letter = self.session.seal(DATA, self.end.inner(text, **options))
        return self.post(letter), letter

    def post(self, letter):
        answer = self.other.take("packet", letter)
        if answer.get("reply"):
            self.hear(unwrapped(answer["reply"]))
        return answer

    def hear(self, letter):
        """Kind and content of a letter of the other end's."""
        opened = self.session.open(letter)
        expect(opened is not None, "a letter does not open")
        kind, plain, wants = opened
        if wants:
            self.other.take("packet", self.session.seal(CONTROL, b""))
        return kind, plain

    def hears(self, text):
        letter = self.other.give("send", content=text.hex())
        kind, plain = self.hear(letter)
        inner = inner_pb2.Inner.FromString(plain)
        expect(kind == DATA and inner.content.data == text, "something else")
        expect(inner.target == self.end.target, "for something else")
        return letter


def session_steps(run, end):
    other, posts = end.other, {}
    shared, suite = end.shared, end.suite

    def begun():
        offer = Offer(credential(shared, suite, end.id, end.peer), end.target)
        respond = unwrapped(other.take("packet", offer.packet)["reply"])
        again = unwrapped(other.take("packet", offer.packet)["reply"])
        expect(respond == again, "another Respond to the same Initiate")
        forged = respond[:-1] + bytes([respond[-1] ^ 1])
        expect(offer.read(forged) is None, "a forged Respond opened")
        post = posts["own"] = Post(end, offer.read(respond))
        answer, letter = post.say(b'"first"')
        expect(answer.get("content") == b'"first"'.hex() and answer["confirmed"], answer)
        expect(post.session.confirmed, "not answered")
        return f"Initiate {len(offer.packet)} bytes, Respond {len(respond)}, letter {len(letter)}"

    def both_ways(post):
        letters = [post.say(f'"{number}"'.encode()) for number in range(3)]
        expect(all(answer.get("content") for answer, _ in letters), letters)
        heard = [post.hears(f'"{number}"'.encode()) for number in range(3)]
        other.refuses("packet", letters[1][1], "")
        expect(post.session.open(heard[1]) is None, "a copy opened")
        return "three each way, copies refused"

    def out_of_order(post):
        session = post.session
        ours = [session.seal(DATA, end.inner(f'"{n}"'.encode())) for n in range(4)]
        for letter in reversed(ours):
            expect(post.post(letter).get("content"), "a late letter was refused")
        theirs = [other.give("send", content=b'"late"'.hex()) for _ in range(4)]
        for letter in reversed(theirs):
            post.hear(letter)
        return "four each way, the last first"

    def ratchets(post):
        session = post.session
        late, own = session.seal(DATA, end.inner(b'"late"')), session.sender.epoch
        session.sender.ratchet()
        answer, _ = post.say(b'"ratcheted"')
        expect(session.sender.epoch == own + 1 and answer.get("content"), answer)
        expect(post.post(late).get("content"), "a late letter of the epoch before was refused")
        kept, before = other.give("send", content=b'"kept"'.hex()), session.receiver.newest
        other.ask("wait", seconds=RATCHET + 60)
        post.hears(b'"ratcheted"')
        expect(session.receiver.newest == before + 1, "the other end did not ratchet")
        post.hear(kept)
        return "at both ends; hours later the epoch before still opens"

    def wrong(post):
        answer, _ = post.say(b'"x"', target="//sp.example.com/id-in/x")
        expect("refused" in answer, "another target was taken")
        answer, _ = post.say(b'"x"', expires=end.now - 1)
        expect("refused" in answer, "what has expired was taken")
        letter = bytearray(post.session.seal(DATA, end.inner(b'"x"')))
        letter[-1] ^= 1
        expect("refused" in other.take("packet", bytes(letter)), "an altered letter opened")
        return "another target, expired, altered: refused"

    def called():
        initiate = other.give("initiate")
        key = credential(shared, suite, end.peer, end.id)
        respond, session = accept(key, end.target, initiate)
        answer = other.take("packet", respond)
        expect(answer.get("established"), answer)
        posts["called"] = post = Post(end, session)
        letter = other.give("send", content=b'"called"'.hex())
        opened = session.open(letter)
        expect(opened and opened[2], "its first letter does not ask for an answer (H6)")
        answer = other.take("packet", session.seal(CONTROL, b""))
        expect(answer.get("confirmed"), answer)
        return "answered, confirmed by its first letter"

    def renewed(post):
        kind, plain = post.hear(other.give("ask"))
        control = association.Control.FromString(plain)
        expect(kind == CONTROL and control.renew_now, "it does not ask for a successor")
        old = post.session
        begun()
        late = old.seal(DATA, end.inner(b'"by the old one"'))
        expect(other.take("packet", late).get("content"), "the old one no longer receives")
        return "asked for, made; the old one still receives"

    def closed(post):
        kind, plain = post.hear(other.give("close"))
        reason = association.Control.FromString(plain).close.reason
        expect(kind == CONTROL and reason == association.CLOSE_REASON_DONE, "no Close")
        return "by the other end, reason done"

    run.step("session", begun)
    run.step("letters", lambda: both_ways(posts["own"]))
    run.step("letters out of order", lambda: out_of_order(posts["own"]))
    run.step("ratchet of letters", lambda: ratchets(posts["own"]))
    run.step("letters refused", lambda: wrong(posts["own"]))
    run.step("successor", lambda: renewed(posts["own"]))
    run.step("session as responder", called)
    run.step("letters as responder", lambda: both_ways(posts["called"]))
    run.step("close of a session", lambda: closed(posts["called"]))


def end_to_end_steps(run, file, address):
    """Everything of section 18, with every suite; `run` makes the steps of a case."""
    for name, suite in SUITES.items():
        end = Correspondent(file, suite, Other(address, suite))
        object_steps(run(f"e2e {name}"), end)
        session_steps(run(f"e2e {name}"), end)
