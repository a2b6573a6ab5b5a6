"""Ray, nodes, code, data, folders and signals: what a sweep runs on."""
