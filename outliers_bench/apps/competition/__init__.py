"""Server of a retrieval competition: accepts submissions, scores them, shows a leaderboard."""
