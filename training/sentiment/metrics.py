"""Measures of a three-class sentiment prediction."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def macro_recall(probabilities: Floats, labels: Ints) -> float:
    """Return the mean recall over the classes that occur in `labels` (TweetEval's measure)."""
    guesses = probabilities.argmax(1)
    return float(np.mean([(guesses[labels == k] == k).mean() for k in np.unique(labels)]))


def accuracy(probabilities: Floats, labels: Ints) -> float:
    """Return the share of texts whose likeliest class is the label."""
    return float((probabilities.argmax(1) == labels).mean())


def calibration_error(probabilities: Floats, labels: Ints, bins: int = 15) -> float:
    """Return the expected calibration error: the mean gap of confidence and accuracy by bin."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        (place == k).mean() * abs(right[place == k].mean() - confidence[place == k].mean())
        for k in np.unique(place)
    ]
    return float(np.sum(gaps))
