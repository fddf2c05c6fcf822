"""One HTML page of everything: tables, figures, claims, and every stored run with where it comes from."""
