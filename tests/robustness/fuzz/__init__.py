"""Random input, good and bad, each trial of which can be repeated by a line it prints."""
