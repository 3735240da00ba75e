"""Engines that run a network: OpenVINO on a CPU, Keras on a GPU."""
