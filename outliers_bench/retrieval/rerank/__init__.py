"""Second looks at a ranking: the `rerank=` options that need nothing but vectors."""
