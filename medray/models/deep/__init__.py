"""What the families of networks share: parameters of training, the loop, checkpoints, batches."""
