"""What is said in recordings, written down by a local whisper model: sentences with their time. No downloads."""
