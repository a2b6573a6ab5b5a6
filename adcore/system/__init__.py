"""What the process runs on: CPUs, devices, standard streams, slow imports."""
