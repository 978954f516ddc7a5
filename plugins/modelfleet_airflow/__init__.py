"""What the DAG files are made of: reaches the loop by `modelfleet`, and Beam only by a command line."""
