"""What a run is, and where finished and unfinished ones are kept."""
