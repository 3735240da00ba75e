"""Search of the galleries of finished runs with new photos."""
