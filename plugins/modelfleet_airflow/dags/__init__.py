"""Pieces of the DAGs: the fleets they are built for, their schedules, Params, assets and task functions."""
