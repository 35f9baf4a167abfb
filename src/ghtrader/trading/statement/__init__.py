"""After settlement: what our journal says of a trading day against what the venue's statement says, to the cent."""
