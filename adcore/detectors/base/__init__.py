"""What detectors build on: their interface, those of one network each, optimisers, averaged weights."""
