"""Which images are copies of each other, exactly or nearly."""
