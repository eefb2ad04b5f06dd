"""medray.imaging."""
