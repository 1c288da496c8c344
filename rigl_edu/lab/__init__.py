"""The world around sparse training: data, models, the training loop, recipes, run records.

Read in this order: `models`, `data`, `augment`, `train`, `recipes`, `run`, `records`, `cli`.
"""

from .data import cifar10, cifar100, digits, image_folder
from .models import mlp, small_cnn, wide_resnet
from .records import load_records, published_results
from .tables import html_table, table_rows

__all__ = [
    "cifar10",
    "cifar100",
    "digits",
    "html_table",
    "image_folder",
    "load_records",
    "mlp",
    "published_results",
    "small_cnn",
    "table_rows",
    "wide_resnet",
]
