"""One HTML page of everything: tables, figures, claims, and every stored run with its provenance."""
