"""The other sides: how people train, score and register many models without modelfleet, one process each."""
