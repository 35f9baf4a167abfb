"""Models, training, evaluation, significance and the audit that looks for leaks."""
