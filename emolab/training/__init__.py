"""TRAIN: fine-tune a CNN on vote distributions, judge, calibrate and predict."""
