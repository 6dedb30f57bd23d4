"""What people agreed to, what is held about them, and how it is erased."""
