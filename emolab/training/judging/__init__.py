"""How good a model is: calibration, comparison with an opponent, report, and model card."""
