"""Claims: what a provider bills, what the record supports, what the payer pays, and how far that can be gamed."""
