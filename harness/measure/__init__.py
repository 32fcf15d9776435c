"""Time, memory and agreement: numbers with units. Nothing here prints."""
