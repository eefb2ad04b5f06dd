"""What is done with every input, free of Ray."""
