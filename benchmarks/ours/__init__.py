"""Our sides: each module is a process that does one work of modelfleet once and prints what it took."""
