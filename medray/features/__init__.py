"""medray.features."""
