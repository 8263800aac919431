"""The parts of the population generator: what patients have, how it is coded, and how providers abuse it."""
