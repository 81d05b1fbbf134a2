"""Side-by-side measurements. Quote the ratios, never the times: machines differ and drift."""
