"""The science: data sets, protocols, networks, losses, detectors and training. Imports neither Ray nor MLflow."""
