"""Datasets: recipes, selection, members, rendering and exports."""
