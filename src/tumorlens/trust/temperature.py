"""The temperature that makes a confidence mean what it says.

C. Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), section 4.2: all
logits are divided by one number, the one with the least negative log-likelihood on slices
that did not train the network. The most probable class stays the same.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.extras import require

__all__ = ["COLDEST", "WARMEST", "fit_temperature"]

COLDEST: Final = 0.05
"""Where the search ends when every answer was right."""

WARMEST: Final = 20.0
"""Where it ends when the logits tell nothing."""


def fit_temperature(
    logits: NDArray[np.float32], labels: NDArray[np.int64], weights: NDArray[np.float64]
) -> float:
    """Find the temperature with the least weighted negative log-likelihood.

    Parameters
    ----------
    logits
        ``(n, classes)``, of slices that the network was not trained on.
    labels
        ``(n,)``: the true positions.
    weights
        ``(n,)``: how much each slice counts; see `tumorlens.trust.weighting`.

    Returns
    -------
    float
        From 0.05 to 20; above 1 where the network was too sure.

    Raises
    ------
    MissingExtraError
        When SciPy is not installed.
    """
    optimize, special = (
        require(name, "calibrating a model", "evaluate")
        for name in ("scipy.optimize", "scipy.special")
    )
    rows = logits.astype(np.float64)
    true = rows[np.arange(len(rows)), labels]

    def loss(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        each = special.logsumexp(rows * inverse, axis=1) - true * inverse
        return float(weights @ each)

    # In 1 / T the loss is convex, so that there is one minimum and a search finds it.
    bounds = (np.log(COLDEST), np.log(WARMEST))
    found = optimize.minimize_scalar(loss, bounds=bounds, method="bounded")
    return float(np.exp(found.x))
