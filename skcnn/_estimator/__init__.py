"""Code shared by the two estimators, one file per subject."""
