"""Small classifiers on frozen features, many at once: batches, weights, training, tuning."""
