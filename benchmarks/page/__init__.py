"""The sections of docs/results.md, each from a file of figures."""
