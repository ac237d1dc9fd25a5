"""Fitted estimators as ONNX models; needs the packages of the extra ``skcnn[onnx]``.

`to_onnx` translates an estimator of this package; after `register`, skl2onnx
converts pipelines and ensembles that hold one.
"""

from skcnn.onnx.models import to_onnx
from skcnn.onnx.pipelines import register

__all__ = ["register", "to_onnx"]
