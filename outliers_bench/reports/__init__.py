"""Reports of a run: terminal, number formats, contact sheets, match sheets and curves."""
