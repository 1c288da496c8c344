"""The world around sparse training: data, models, the training loop, recipes, run records.

Read in this order: `models`, `data`, `augment`, `train`, `recipes`, `run`, `records`, `cli`.
"""
