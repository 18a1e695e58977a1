"""The pages of a static site."""
