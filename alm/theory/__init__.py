"""The paper's bounds on finite MDPs, in exact arithmetic: every statement checked, and learning on the bound itself."""
