"""From a source on disk to a `Split`; the only place that decodes images."""
