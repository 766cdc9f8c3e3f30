"""Commands of the classifiers: from splits to trained, judged and questioned heads."""
