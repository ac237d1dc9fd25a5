"""Definition of the convolution: short, slow, and the reference for tests of the fast one.

Nothing in the package imports it: it is read by learners (the course, the derivations in
`docs/mathematics/convolution.md` and `examples/convolution_definition.py`) and by tests. Batches
are ``(n, channels, height, width)``, as in courses and papers.

>>> import numpy as np
>>> X = np.arange(16.0).reshape(1, 1, 4, 4)
>>> W = np.ones((1, 1, 3, 3))
>>> convolve(X, W, np.zeros(1))
array([[[[45., 54.],
         [81., 90.]]]])
>>> dX, dW, db = convolve_backward(np.ones((1, 1, 2, 2)), X, W)
>>> dW
array([[[[10., 14., 18.],
         [26., 30., 34.],
         [42., 46., 50.]]]])
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

__all__ = ["convolve", "convolve_backward"]


def windows(padded: np.ndarray, W: np.ndarray, stride: int, dilation: int) -> np.ndarray:
    """Return the window of every position as a view of shape (n, C, OH, OW, KH, KW)."""
    extent = [dilation * (size - 1) + 1 for size in W.shape[2:]]
    view = sliding_window_view(padded, extent, axis=(2, 3), writeable=True)
    return view[:, :, ::stride, ::stride, ::dilation, ::dilation]


def convolve(
    X: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int = 1, padding: int = 0,
    dilation: int = 1,
) -> np.ndarray:  # fmt: skip
    """``Y[f, p, q] = Σ W[f, c, i, j] X[c, p·stride + i·dilation, q·stride + j·dilation] + b[f]``.

    Parameters
    ----------
    X : ndarray of shape (n, channels, height, width)
    W : ndarray of shape (filters, channels, kernel height, kernel width)
    b : ndarray of shape (filters,)
    stride, padding, dilation : int
        As in `Conv2d`, the same along both axes.

    Returns
    -------
    Y : ndarray of shape (n, filters, rows, columns)
    """
    padded = np.pad(X, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    seen = windows(padded, W, stride, dilation)
    return np.einsum("fcij,ncpqij->nfpq", W, seen) + b[:, np.newaxis, np.newaxis]


def convolve_backward(
    dY: np.ndarray, X: np.ndarray, W: np.ndarray, stride: int = 1, padding: int = 0,
    dilation: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Gradients of a loss with respect to `X`, `W` and `b`, from that of the output, ``dY``.

    ``dW[f, c, i, j] = Σ dY[f, p, q] X[c, p·stride + i·dilation, q·stride + j·dilation]``,
    ``db[f] = Σ dY[f, p, q]``, and every pixel collects from all the windows it lies in:
    ``dX[c, p·stride + i·dilation, q·stride + j·dilation] += Σ W[f, c, i, j] dY[f, p, q]``.

    Parameters
    ----------
    dY : ndarray of shape (n, filters, rows, columns)
    X, W, stride, padding, dilation
        As in `convolve`.

    Returns
    -------
    dX, dW, db : ndarray
        In the shapes of `X`, `W` and ``b``.
    """
    padded = np.pad(X, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    dW = np.einsum("nfpq,ncpqij->fcij", dY, windows(padded, W, stride, dilation))
    db = dY.sum(axis=(0, 2, 3))
    d_padded = np.zeros_like(padded)
    collected = windows(d_padded, W, stride, dilation)
    for i, j in np.ndindex(W.shape[2:]):  # windows overlap: one pixel of each at a time
        collected[..., i, j] += np.einsum("fc,nfpq->ncpq", W[:, :, i, j], dY)
    height, width = X.shape[2:]
    dX = d_padded[:, :, padding : padding + height, padding : padding + width]
    return dX, dW, db
