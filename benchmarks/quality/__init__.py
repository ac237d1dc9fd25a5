"""Accuracy, log loss, calibration and time of the untouched default beside other classifiers."""
