"""near_copies."""
