"""A retrieval competition's server: takes submissions, scores them, shows a leaderboard."""
