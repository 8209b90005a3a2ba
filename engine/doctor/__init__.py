"""What `setwright doctor` checks: the machine and the home, and whether the models of a spec can be reached."""
