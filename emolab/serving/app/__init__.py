"""The HTTP API: a front like the command line. It reads a request, asks what lies below, and answers."""
