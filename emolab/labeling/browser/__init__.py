"""Label Studio's page in a real browser, to see what annotators see; needs the extra ``browser`` and Chromium."""
