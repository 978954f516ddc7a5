"""What a fleet will need and cost, from figures that were measured and prices that can be replaced."""
