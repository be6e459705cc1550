"""Tables, figures and the report of recorded runs. store -> statistics -> topics -> report."""
