"""Search of a finished run's gallery with new photos."""
