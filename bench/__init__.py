"""Measurements: `python -m bench` and `reelway bench`. Nothing of the product imports this but the command."""
