"""Made voices: vowels by formants, with pitch, energy and tempo by emotion. No download, no real person."""
