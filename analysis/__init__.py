"""Tables and figures from the recorded runs: load -> completeness -> statistics -> figures -> report."""
