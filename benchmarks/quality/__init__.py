"""Accuracy, log loss, calibration and time of the default estimator and other classifiers."""
