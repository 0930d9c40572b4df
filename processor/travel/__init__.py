"""The state at any point: from the store's own history while it reaches back, else folded again from the records."""
