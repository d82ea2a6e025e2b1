"""Bindings generated from `proto/`, when first imported, into the folder `REFPOINT_BINDINGS` (or beside the caches)."""

import os
import sys
import tempfile
from pathlib import Path

PROTO = Path(__file__).resolve().parents[3] / "proto"


def _generate():
    from grpc_tools import protoc

    home = Path(
        os.environ.get("REFPOINT_BINDINGS") or tempfile.mkdtemp(prefix="refpoint-bindings-")
    )
    home.mkdir(parents=True, exist_ok=True)
    sources = [str(path) for path in sorted(PROTO.rglob("*.proto"))]
    if protoc.main(["protoc", f"--proto_path={PROTO}", f"--python_out={home}", *sources]) != 0:
        sys.exit("cannot generate bindings")
    sys.path.insert(0, str(home))


_generate()

from refpoint.association.v1 import association_pb2 as association
from refpoint.e2e.v1 import inner_pb2, key_pb2, sealed_pb2
from refpoint.primitive.v1 import content_pb2
from refpoint.primitive.v1 import message_pb2 as primitive
from refpoint.primitive.v1 import request_pb2, response_pb2
from refpoint.x.v1 import x_pb2 as x

__all__ = [
    "PROTO",
    "association",
    "content_pb2",
    "inner_pb2",
    "key_pb2",
    "primitive",
    "request_pb2",
    "response_pb2",
    "sealed_pb2",
    "x",
]
