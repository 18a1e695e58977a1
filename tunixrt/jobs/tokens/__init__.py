"""What is trained, token by token: the records of a dataset with their masks."""
