"""Tables as people have them: kinds of files, dialects of text, names of columns, image paths."""
