"""medray.models."""
