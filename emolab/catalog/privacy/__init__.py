"""What people agreed to, and what has been forgotten of them."""
