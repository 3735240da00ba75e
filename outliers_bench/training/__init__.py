"""Networks trained on the train part: layers, losses, the training loop, saved networks."""
