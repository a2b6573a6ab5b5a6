"""The record of a sweep: an Optuna study and the files beside it."""
