"""Costs, progress, command lines and invocations of the running process."""
