"""Assignment of labeled images to train, query, and gallery."""
