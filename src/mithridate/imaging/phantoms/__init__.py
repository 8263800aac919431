"""Procedural stand-ins for fundus photographs, chest radiographs and dermoscopy: seeded, no downloads, any size."""
