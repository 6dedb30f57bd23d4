"""Models of sentences that an encoder in a local folder carries: read, frozen or fine-tuned, kept, run."""
