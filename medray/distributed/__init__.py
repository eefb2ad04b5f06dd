"""medray.distributed."""
