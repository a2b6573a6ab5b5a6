"""A trained detector on the test part: scores, thresholds, figures."""
