"""A file on a test server."""

import hashlib

import numpy as np

from outliers_bench.data.download.checksum import RemoteFile

BODY = np.random.default_rng(0).bytes(300_000)


def remote_file(server, body=BODY, **others):
    digest = hashlib.sha256(body).hexdigest()
    return RemoteFile("photos.zip", f"{server.url}/photos.zip", len(body), digest, **others)


def ranges(server):
    return [request.headers.get("range") for request in server.requests]
