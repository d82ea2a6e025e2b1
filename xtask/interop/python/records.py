"""Sections 7 and 8 of proto/README.md: sequences, epochs and windows."""

from schedule import EpochKey, ratchet

REORDER = 5.0
AHEAD = 64
WINDOW = 128


class Sender:
    """One direction's sending end: which sequence, which key, how many bytes of it."""

    def __init__(self, traffic, suite, bits, now=0.0):
        self.traffic, self.suite, self.bits = traffic, suite, bits
        self.key = EpochKey(traffic, suite)
        self.next, self.epoch = 0, 0
        # Wide ones yet to come, from when the peer has been heard in this epoch on.
        self.last_sent, self.wide, self.heard = now, 32, False
        self.skip, self.without_skip = False, 0

    def ratchet(self):
        """The next record skips to the next epoch."""
        self.skip = True

    def hear(self):
        """A record of the peer, above all before it, has opened."""
        self.heard = True

    def advance(self, now=0.0):
        """The next record's sequence, whether it is wide, and whether it is a skip."""
        boundary = self.skip and self.next > self.epoch << self.bits
        self.without_skip = self.next
        if boundary:
            self.next = (self.epoch + 1) << self.bits
        self.skip = False
        while self.epoch < self.next >> self.bits:
            self.traffic = ratchet(self.traffic)
            self.key = EpochKey(self.traffic, self.suite)
            self.epoch += 1
            self.wide, self.heard = 32, False
        sequence = self.next
        silent = now - self.last_sent >= 5
        wide = boundary or silent or sequence % 32 == 0 or self.wide > 0
        self.wide -= self.heard and self.wide > 0
        self.next += 1
        self.last_sent = now
        return sequence, wide, boundary


def expand_sequence(low, bits, expected):
    window, half = 1 << bits, 1 << (bits - 1)
    candidate = expected & ~(window - 1) | low
    if candidate + half <= expected:
        return candidate + window
    if candidate > expected + half and candidate >= window:
        return candidate - window
    return candidate


class _Epoch:
    """A traffic secret, its key and what was received under it."""

    def __init__(self, number, traffic, suite, first):
        self.number, self.traffic = number, traffic
        self.key = EpochKey(traffic, suite)
        self.next, self.first, self.seen = first, first, set()

    def admits(self, sequence):
        if sequence < self.first or sequence + WINDOW < self.next:
            return False
        return sequence not in self.seen

    def mark(self, sequence):
        self.seen.add(sequence)
        self.next = max(self.next, sequence + 1)
        self.seen = {seen for seen in self.seen if seen + WINDOW >= self.next}


class Receiver:
    """One direction's receiving end."""

    def __init__(self, traffic, suite, bits):
        self.suite, self.bits = suite, bits
        self.current = _Epoch(0, traffic, suite, 0)
        self.previous, self.previous_until = None, 0.0

    @property
    def epoch(self):
        return self.current.number

    @property
    def expected(self):
        return self.current.next

    def open(self, sequence, aad, sealed, now=0.0):
        """The plaintext of a record; `None` when it is to be dropped."""
        number = sequence >> self.bits
        distance = number - self.current.number
        if distance == -1 and self.previous and now < self.previous_until:
            place = self.previous
        elif distance == 0:
            place = self.current
        elif 1 <= distance <= AHEAD:
            traffic = self.current.traffic
            for _ in range(distance):
                traffic = ratchet(traffic)
            place = _Epoch(number, traffic, self.suite, number << self.bits)
        else:
            return None
        plain = place.key.open(sequence, aad, sealed) if place.admits(sequence) else None
        if plain is None:
            return None
        if distance > 0:
            self.previous = self.current if distance == 1 else None
            self.previous_until = now + REORDER
            self.current = place
        place.mark(sequence)
        return plain
