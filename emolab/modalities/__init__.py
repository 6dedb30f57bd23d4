"""What a sample is made of and how it is read: images today, audio and text to come."""
