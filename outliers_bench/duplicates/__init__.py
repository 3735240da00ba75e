"""Exact and near duplicates in a set of images."""
