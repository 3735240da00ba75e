"""Folders of images in tests of their layouts."""

CLASSES = ("cat", "dog")


def write(root, *names):
    """Images with contents of their own; the first bytes are all that a listing looks at."""
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\xff\xd8\xff" + name.encode())
    return root


def parts(root, *folders, n=4):
    return write(root, *(f"{f}/{c}/{i}.jpg" for f in folders for c in CLASSES for i in range(n)))


def labels(images):
    return {
        name: images.classes[label] for name, label in zip(images.names, images.labels, strict=True)
    }
