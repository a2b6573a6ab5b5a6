"""The process's environment: CPUs, devices, standard streams."""
