"""The paper's bounds on finite MDPs in exact arithmetic: statements checked, and learning on the bound."""
