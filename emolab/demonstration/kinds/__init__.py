"""What can be demonstrated: one file per kind of sample, with what is made, how it is learned and what it is called."""
