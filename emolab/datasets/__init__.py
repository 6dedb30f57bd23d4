"""COLLECT and MERGE: from files and open datasets to samples, duplicates, splits and views."""
