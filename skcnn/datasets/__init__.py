"""Loaders for IDX files (MNIST and similar data sets) and folders of images."""

from skcnn.datasets.idx import load_idx, load_mnist
from skcnn.datasets.image_folder import load_image_folder, load_images

__all__ = ["load_idx", "load_image_folder", "load_images", "load_mnist"]
