"""The cards: every factor declared once, a file per group. Notation: `cards.declare`."""
