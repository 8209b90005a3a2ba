"""Looking at what was built: the life of a row, the difference of two builds, the shipped queries, and exports."""
