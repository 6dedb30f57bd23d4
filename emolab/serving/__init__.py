"""USE: run exported models without torch."""
