"""The `index=` options: what finds the nearest vectors, exactly or nearly."""
