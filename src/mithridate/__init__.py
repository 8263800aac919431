"""mithridate: audit medical models with small, measured doses of every adversarial attack.

For models that you own or are authorised to test.
"""

__version__ = "0.1.0"
