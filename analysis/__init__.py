"""Tables, figures and the report of recorded runs. store -> statistics -> curves, stability, probe -> report."""
