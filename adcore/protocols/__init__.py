"""Which images are used for training, validation and test; torch is not imported until something is drawn."""
