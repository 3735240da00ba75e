"""Images from the web into class folders, politely, with where each came from."""
