"""What commands share on a terminal: tables, progress bars, warnings, and signals."""
