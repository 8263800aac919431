"""What makes a claim model harder to game; each says what it costs and how an adaptive attacker sees through it."""
