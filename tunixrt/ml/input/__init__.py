"""The input of training: examples as tokens and masks, packed and fed in a fixed order."""
