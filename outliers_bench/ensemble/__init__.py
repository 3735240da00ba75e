"""Several methods as one: their vectors side by side, or their rankings fused."""
