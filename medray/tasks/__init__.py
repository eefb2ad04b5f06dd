"""What is learnt: the task of a model, what its answers are, and when they are right."""
