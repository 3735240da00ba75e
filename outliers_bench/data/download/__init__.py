"""Downloads: fetch files, verify them against published digests, and unpack them."""
