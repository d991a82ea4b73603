"""The page that shows an evaluation: one HTML file that needs no network."""
