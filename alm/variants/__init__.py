"""ALM's variants in the paper's ablations: each a few changed settings, or one replaced part of the agent.

Importing this package imports no torch: the variants are data (`alm.variants.registry`) that say where their
agent is.
"""

from alm.variants.registry import MILLION, VARIANTS, Variant, require_name

__all__ = ["MILLION", "VARIANTS", "Variant", "require_name"]
