"""Names of the metrics that a training records of every epoch, as histories and MLflow know them. Imports no torch."""

from __future__ import annotations

VALIDATION = "validation/"  # prefix of what is measured on the validation split
VALIDATION_ACCURACY = "validation/accuracy"  # chooses the epoch
VALIDATION_LOSS = "validation/loss"
TEST_ACCURACY = "test/accuracy"  # where the test split is watched; nothing depends on it
TRAIN_ACCURACY = "train/accuracy"
