"""Training a fleet: the arithmetic of the training step, without Beam."""
