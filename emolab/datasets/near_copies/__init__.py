"""Images that are nearly the same: candidates found by short vectors, confirmed by comparing pixels, grouped."""
