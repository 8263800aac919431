"""The audit of claim models: plan, shards, findings, results."""
