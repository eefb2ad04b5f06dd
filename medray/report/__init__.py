"""medray.report."""
