"""Networks that learn from the train part: their layers, their losses, the loop, the record."""
