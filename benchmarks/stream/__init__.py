"""What a streaming job is measured with: a fleet whose answers tell which bundle gave them, load, and counting."""
