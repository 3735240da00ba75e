"""Galleries of finished runs, loaded again and searched with new photos."""
