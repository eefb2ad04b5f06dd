"""medray.data."""
