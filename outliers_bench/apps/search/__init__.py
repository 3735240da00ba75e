"""Searching the gallery of a finished run with a photo of one's own."""
