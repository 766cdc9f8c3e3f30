"""From probabilities to judgements: predictions, metrics, intervals, tests between groups."""
