"""Section 5 of proto/README.md: the handshake, by PyPI's `noiseprotocol`."""

from noise.connection import Keypair, NoiseConnection

from keys import CHACHA_POLY, FRESH, KNOWN, PINNED, PSK, f, mac
from packets import initiate_header, respond_header, resume_header, resumed_header
from schedule import Secrets

PATTERNS = {PSK: "NNpsk0", PINNED: "KKpsk2", KNOWN: "IKpsk2", FRESH: "NNpsk0"}
WITH_STATIC_KEYS = PINNED, KNOWN


def prologue(carriage, header, credential, binding=b""):
    initiator = b"" if credential.profile == KNOWN else credential.initiator.encode()
    fields = [header, initiator, credential.responder.encode(), binding]
    return b"refpoint/1" + bytes([carriage]) + b"".join(f(field) for field in fields)


def _noise(credential, is_initiator, prologue_, static, remote, ephemeral, psk):
    cipher = "ChaChaPoly" if credential.suite == CHACHA_POLY else "AESGCM"
    pattern = PATTERNS[credential.profile]
    noise = NoiseConnection.from_name(f"Noise_{pattern}_25519_{cipher}_SHA256".encode())
    noise.set_as_initiator() if is_initiator else noise.set_as_responder()
    noise.set_prologue(prologue_)
    noise.set_psks(psk)
    if static and credential.profile in WITH_STATIC_KEYS:
        noise.set_keypair_from_private_bytes(Keypair.STATIC, static)
    if remote and credential.profile in WITH_STATIC_KEYS:
        noise.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, remote)
    noise.set_keypair_from_private_bytes(Keypair.EPHEMERAL, ephemeral)
    noise.start_handshake()
    return noise


def _header(credential, index, cookie):
    """The clear header of message 1; in mode `fresh` the credential is a handle."""
    if credential.profile == FRESH:
        terms = FRESH, credential.suite, credential.point
        return resume_header(*terms, index, credential.name, cookie)
    return initiate_header(credential, index, cookie)


def _secrets(noise, is_initiator, credential):
    protocol = noise.noise_protocol
    own, peer = protocol.cipher_state_encrypt.k, protocol.cipher_state_decrypt.k
    k1, k2 = (own, peer) if is_initiator else (peer, own)
    ids = credential.initiator, credential.responder
    return Secrets(bytes(noise.get_handshake_hash()), k1, k2, *ids)


class Initiator:
    """An Initiate, encoded once, and what can read its answer.

    `noiseprotocol` does not restore its state after a failed read. Therefore each read starts from a new state with the
    same ephemeral, which writes the same message 1 again.
    """

    def __init__(self, carriage, credential, payload, ephemeral, **options):
        self.carriage, self.credential, self.ephemeral = carriage, credential, ephemeral
        self.static, self.remote = options.get("static"), options.get("remote")
        self.payload = payload
        self.index = options.get("index", b"")
        header = _header(credential, self.index, options.get("cookie", b""))
        self.prologue = prologue(carriage, header, credential, options.get("binding", b""))
        self.message = bytes(self._noise()[1])
        self.packet = header + self.message
        if credential.profile == PINNED:
            self.packet += mac(credential.tag_key(), self.packet)[:8]

    def _noise(self):
        credential = self.credential
        keys = self.static, self.remote, self.ephemeral, credential.psk()
        noise = _noise(credential, True, self.prologue, *keys)
        return noise, noise.write_message(self.payload)

    def read(self, message):
        """The payload of message 2 and the secrets; `None` when it does not open."""
        noise, _ = self._noise()
        try:
            payload = bytes(noise.read_message(message))
        except Exception:  # whatever the library makes of forged bytes
            return None
        return payload, _secrets(noise, True, self.credential)


class Responder:
    """Reads an Initiate (`packets.Initiate`); raises when it does not open."""

    def __init__(self, carriage, credential, initiate, ephemeral, **options):
        self.credential, self.index = credential, initiate.index
        prologue_ = prologue(carriage, initiate.header, credential, options.get("binding", b""))
        static, remote = options.get("static"), options.get("remote")
        remote = None if credential.profile == KNOWN else remote
        keys = static, remote, ephemeral, credential.psk()
        self.noise = _noise(credential, False, prologue_, *keys)
        self.payload = bytes(self.noise.read_message(initiate.message))

    def static_of_peer(self):
        return self.noise.noise_protocol.handshake_state.rs.public_bytes

    def respond(self, payload):
        """The Respond and the secrets."""
        header = resumed_header if self.credential.profile == FRESH else respond_header
        packet = header(self.index) + bytes(self.noise.write_message(payload))
        return packet, _secrets(self.noise, False, self.credential)
