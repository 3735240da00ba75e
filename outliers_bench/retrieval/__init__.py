"""Vectors in, rankings out: reduction and indexes."""
