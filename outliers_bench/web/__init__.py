"""Safe serving over HTTP: limits of connections and requests, hosts, cross-site requests."""
