"""Options of a run: their schema, the choices of each group, and what names in them mean."""
