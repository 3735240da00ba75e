"""Image formats: detection by content, headers, and decoders."""
