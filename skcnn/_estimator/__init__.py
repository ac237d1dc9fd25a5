"""What the estimators share, one file a subject. Only they and these know scikit-learn."""
