"""Whether a model at work is still right: what it sees now beside what it saw when it was judged.

Words (those of NannyML): the *reference* is a period of which one is content, a *window* is a stretch of what the model
has seen since, an accuracy is *estimated* without labels and *realized* with them. NumPy and SciPy only.
"""
