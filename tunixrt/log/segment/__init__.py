"""Sealed segments: one import or one writer's batch each, named by the digest of their header."""
