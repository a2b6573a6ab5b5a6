"""Trained detectors on new images: scores, decisions, error maps, and the scoring network as an ONNX file."""
