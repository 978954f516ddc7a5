"""What `modelfleet bench` measures: works of modelfleet beside the way people do the same without it."""
