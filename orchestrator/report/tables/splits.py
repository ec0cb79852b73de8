"""Which split and epoch an accuracy is of, in a sentence."""

from __future__ import annotations

AT_CHOSEN = "Test is read at the epoch chosen on the validation split{}; (last) is the last epoch."
AT_LAST = "All training images are trained on (data.validation is 0): test is read at the last epoch."
