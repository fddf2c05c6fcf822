"""ALM's variants in the paper's ablations: each changes a few settings or replaces one part of the agent.

Importing this package does not import torch: the variants are data (`alm.variants.registry`) that name their
agent's class.
"""

from alm.variants.registry import MILLION, VARIANTS, Variant, require_fields, require_name

__all__ = ["MILLION", "VARIANTS", "Variant", "require_fields", "require_name"]
