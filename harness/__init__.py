"""How a pair is measured, and how its student is made; docs and DESIGN name the rooms."""
