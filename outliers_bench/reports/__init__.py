"""Leaderboard and pictures."""
