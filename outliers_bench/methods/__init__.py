"""Ways to rank a gallery. One protocol: extract, fit, rank."""
