"""medray.lifecycle."""
