"""What a ranking is worth: plain numpy, importable without TensorFlow, Hydra or MLflow."""
