"""From a line of text to numbers: reading, masking, hashed n-grams and the model that stands on them."""
