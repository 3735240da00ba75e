"""Many runs from one command: what is varied, what is looked for, and the run that sums it up."""
