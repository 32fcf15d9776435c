"""WHO is measured: one YAML a pair, one module an architecture; `interface.py` says what each must offer."""
