"""Digest of an image's content, the key of its stored features."""

from functools import partial
from hashlib import blake2b

content_hash = partial(blake2b, digest_size=16)
"""`content_hash(data).digest()`: BLAKE2b, 16 bytes."""
