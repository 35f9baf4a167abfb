"""Labels: continuous values with void reasons; classes are derived on the training fold."""
