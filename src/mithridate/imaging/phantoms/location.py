"""How a catalog marks a rendered image, kept apart from the renderers so that reading files does not import them."""

from __future__ import annotations

from typing import Final

PHANTOM_PREFIX: Final = "phantom:"
