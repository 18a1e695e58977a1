"""Reads files of users as traces: one table, format -> reader."""
