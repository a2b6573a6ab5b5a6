"""Which images a training sees, which validate and which test: free of torch until something is drawn."""
