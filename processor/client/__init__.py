"""What other programs use: events encoded, announcements decoded, outcomes awaited."""
