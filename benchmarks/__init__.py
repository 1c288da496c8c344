"""Measurements of speed. They print a table and write a record; nothing in the book needs them."""
