"""What ``emolab doctor`` looks at: one function per row of its table."""
